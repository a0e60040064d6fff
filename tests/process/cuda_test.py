"""CUDA apps under control: the real agents and the real daemon, on the virtual GPU.

Runs itself inside `stagger vgpu`; the device's own log says who ran when, the daemon's recording who
had the turn, and each app where its bodies really were.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile

import harness

STAGGER = os.environ["STAGGER"]
CAMERA = os.environ["CUDA_CAMERA"]
LINKED = os.environ["CUDA_CAMERA_LINKED"]
AGENTS = harness.AGENT + ":" + os.environ["CUDA_AGENT"]
MS = 1_000_000
# A 10 ms body and some light work after it.
QUICK = ["--pre", "0", "--body", "10", "--kernels", "20", "--post", "4", "--post-cpu", "0.4",
         "--post-steps", "2"]
LEARNED = 25  # inferences after which the agent knows the app


class Cuda(harness.ProcessTest):
    def camera(self, name, socket, *arguments, program=CAMERA, agents=AGENTS, **more):
        libraries = os.environ["LD_LIBRARY_PATH"]
        return self.start([program, *QUICK, *arguments], socket, name,
                          **{"LD_LIBRARY_PATH": libraries, "STAGGER_VGPU": os.environ["STAGGER_VGPU"],
                             **({"LD_PRELOAD": agents} if socket else {}), **more})

    def outcome(self, app):
        """What must be the same all ways: the exit code, and a checksum of all outputs."""
        code, lines = app.end()
        return code, json.loads(lines[-1])["checksum"] if lines else None

    def file(self, name):
        return os.path.join(self.folder, name)

    def granted(self, daemon, name):
        return (daemon.stream(name) or {"granted": 0})["granted"]

    def check_four_ways(self, *arguments, program=CAMERA):
        bare = self.outcome(self.camera("bare", None, *arguments, program=program))
        self.assertEqual(bare[0], 0, self.said("bare"))
        alone = self.outcome(self.camera("alone", self.file("none"), *arguments, program=program))
        self.assertEqual(alone, bare, self.said("alone"))
        daemon = harness.Daemon(self)
        ruled = self.outcome(self.camera("ruled", daemon.socket, *arguments, program=program))
        self.assertEqual(ruled, bare, self.said("ruled"))
        app = self.camera("left", daemon.socket, *arguments, program=program)
        harness.wait_until(lambda: self.granted(daemon, "left") > 0 or app.process.poll() is not None,
                           "a turn")
        daemon.kill()
        self.assertEqual(self.outcome(app), bare, self.said("left"))

    def test_four_ways(self):
        for shape in ("ssd", "graph", "streams", "per-thread", "legacy", "poll", "nosync", "models", "fork",
                      "exec"):
            with self.subTest(shape):
                self.check_four_ways("--shape=" + shape, "--frames", "30")

    def test_four_ways_however_the_driver_is_found(self):
        for program, binding in ((CAMERA, "dlsym"), (CAMERA, "proc"), (LINKED, "linked")):
            with self.subTest(binding):
                self.check_four_ways("--bind", binding, "--frames", "30", program=program)

    def turns(self, recording):
        """[asked_ns, released_ns] of each turn of the one client in a recording."""
        turns = {}
        with open(recording, encoding="utf-8") as file:
            for line in file:
                event = json.loads(line)
                if event.get("event") == "requested":
                    turns[event["seq"]] = [event["at_ns"], 0]
                elif event.get("event") == "released" and event["seq"] in turns:
                    turns[event["seq"]][1] = event["at_ns"]
        return list(turns.values())

    def check_bodies_are_found(self, *arguments):
        recording, truth = (tempfile.mktemp(dir=self.folder) for _ in range(2))
        daemon = harness.Daemon(self, "--record", recording)
        app = self.camera("app", daemon.socket, "--frames", "100", "--truth", truth, *arguments)
        self.assertEqual(self.outcome(app)[0], 0, self.said())
        daemon.stop()
        turns = self.turns(recording)
        found = missed = extra = 0
        with open(truth, encoding="utf-8") as file:
            rows = [[int(word) for word in line.split(",")] for line in list(file)[1:]]
        for row, after in zip(rows[LEARNED:], rows[LEARNED + 1:]):
            _, start, begin, _, over, _ = row
            mine = [turn for turn in turns if start - MS < turn[0] < after[1] - MS]
            # A busy machine delays threads; a wrong body is off by more.
            right = [turn for turn in mine if abs(turn[0] - begin) < 4 * MS and
                     abs(turn[1] - over) < 4 * MS]
            found, missed = found + bool(right), missed + (not right)
            extra += max(0, len(mine) - 1)
        self.assertGreaterEqual(found, 9 * missed, f"{found} found, {missed} not, {extra} too many")
        self.assertLessEqual(extra, found // 10)

    def test_bodies_are_found(self):
        for arguments in (["--shape", "ssd"], ["--shape", "graph"], ["--shape", "streams"],
                          ["--shape", "legacy"], ["--shape", "poll"], ["--shape", "per-thread"],
                          ["--kernels", "2000", "--body", "20"], ["--first", "1000"]):
            with self.subTest(" ".join(arguments)):
                self.check_bodies_are_found(*arguments)

    def bodies(self, app):
        """[begin_ns, end_ns] of the app's bodies, by the device's log, once all of it is there."""
        def ops():
            with open(os.environ["DEVICE_LOG"], encoding="utf-8") as file:
                events = [json.loads(line) for line in file if line.endswith("\n")]
            mine = [event for event in events if event.get("pid") == app.pid]
            return any(event["event"] == "left" for event in mine) and mine
        bodies = []
        for op in harness.wait_until(ops, "the app's end in the device's log"):
            if op["event"] != "op" or op["kind"] != "kernel" or op["class"] != "body":
                continue
            if bodies and op["begin_ns"] - bodies[-1][1] < MS // 2:
                bodies[-1][1] = op["end_ns"]
            else:
                bodies.append([op["begin_ns"], op["end_ns"]])
        return bodies

    def test_bodies_of_two_apps_do_not_overlap(self):
        daemon = harness.Daemon(self)
        apps = [self.camera(name, daemon.socket, "--frames", "120") for name in ("a", "b")]
        for app in apps:
            self.assertEqual(self.outcome(app)[0], 0)
        self.assertEqual(daemon.totals()["expired"], 0)
        first, second = (self.bodies(app) for app in apps)
        self.assertEqual((len(first), len(second)), (120, 120))
        known = max(first[LEARNED][0], second[LEARNED][0])
        overlaps = [(a, b) for a in first for b in second
                    if min(a[1], b[1]) - max(a[0], b[0]) > MS // 2 and min(a[0], b[0]) > known]
        self.assertEqual(overlaps, [])
        # And they do compete: one's body begins while the other waits for it.
        self.assertGreater(daemon.totals()["done"], 150)

    def test_an_app_that_hangs_costs_the_others_one_lease(self):
        daemon = harness.Daemon(self, "--lease-floor", "300")
        # In the middle of a body: each has 20 kernels.
        hung = self.camera("hung", daemon.socket, "--frames", str(2 * LEARNED),
                           STAGGER_VGPU_FAULT=f"hang:conv:{LEARNED * 20 + 10}")
        harness.wait_until(lambda: (daemon.stream("hung") or {"expired": 0})["expired"] > 0,
                           "the lease's end")
        other = self.camera("other", daemon.socket, "--frames", "40")
        self.assertEqual(self.outcome(other)[0], 0, self.said("other"))
        self.assertEqual(daemon.stream("hung")["expired"], 1)
        hung.kill()

    def test_an_app_that_crashes_in_its_body_frees_its_turn(self):
        daemon = harness.Daemon(self, "--lease-floor", "60000")
        other = self.camera("other", daemon.socket, "--frames", "100")
        crashed = self.camera("crashed", daemon.socket, "--shape", "crash", "--at", str(LEARNED))
        self.assertEqual(crashed.end()[0], -signal.SIGSEGV)
        self.assertEqual(self.outcome(other)[0], 0, self.said("other"))
        totals = daemon.totals()
        self.assertEqual((totals["expired"], totals["cancelled"]), (0, 0))

    def test_without_a_driver_an_app_fails_as_it_would_without_us(self):
        nowhere = {"LD_LIBRARY_PATH": "/nonexistent"}
        for program in (CAMERA, LINKED):
            bare = self.camera("bare", None, program=program, **nowhere)
            bare = bare.end(), self.said("bare")
            ours = self.start([STAGGER, "run", "--socket", self.file("none"), "--", program, *QUICK],
                              name="ours", LD_LIBRARY_PATH="/nonexistent", STAGGER_QUIET="1")
            code, lines = ours.end()
            said = [line for line in self.said("ours").splitlines(True)
                    if not line.startswith("stagger: ")]
            self.assertEqual(((code, lines), "".join(said)), bare)
            self.assertNotEqual(code, 0)


if __name__ == "__main__":
    if "STAGGER_VGPU" not in os.environ:
        with tempfile.TemporaryDirectory(prefix="stagger-test-") as folder:
            log = os.path.join(folder, "device.jsonl")
            sys.exit(subprocess.run(
                [STAGGER, "vgpu", "--log", log, "--", sys.executable, "-B", *sys.argv],
                env={**os.environ, "DEVICE_LOG": log}, check=False).returncode)
    harness.main()
