"""CUDA apps under control: the real agents and the real daemon, on the virtual GPU.

Runs itself inside `stagger vgpu`; the device's own log says who ran when, the daemon's recording who
had the turn, and each app where its bodies really were.
"""

import itertools
import json
import os
import signal
import tempfile

import bodies
import harness
import tiny_model

STAGGER = os.environ["STAGGER"]
CAMERA = os.environ["CUDA_CAMERA"]
LINKED = os.environ["CUDA_CAMERA_LINKED"]
AGENTS = harness.AGENT + ":" + os.environ["CUDA_AGENT"]
MS = 1_000_000
# A 10 ms body and some light work after it.
KERNELS = 20
QUICK = ["--pre", "0", "--body", "10", "--kernels", str(KERNELS), "--post", "4", "--post-cpu", "0.4",
         "--post-steps", "2"]
LEARNED = 25  # inferences after which the agent knows the app


# Where a body begins and ends is told from times, too; a sanitizer makes light work take as long as a body.
exact = harness.not_sanitized("a sanitizer changes what bodies are told by")


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
                      "exec", "launches", "random", "capture"):
            with self.subTest(shape):
                self.check_four_ways("--shape=" + shape, "--frames", "30")

    def test_four_ways_however_the_driver_is_found(self):
        for program, binding in ((CAMERA, "dlsym"), (CAMERA, "proc"), (LINKED, "linked")):
            with self.subTest(binding):
                self.check_four_ways("--bind", binding, "--frames", "30", program=program)

    def device_ops(self, app):
        return DEVICE_LOG.of(app.pid)

    def judged(self, *arguments, frames=50):
        truth, turns = (tempfile.mktemp(dir=self.folder) for _ in range(2))
        app = self.camera("app", self.daemon.socket, "--frames", str(frames), "--truth", truth,
                          *arguments, STAGGER_TURNS=turns)
        self.assertEqual(self.outcome(app)[0], 0, self.said())
        return bodies.judge(bodies.read_truth(truth), bodies.read_turns(turns)[app.pid], self.device_ops(app))

    @exact
    def test_bodies_are_found(self):
        self.daemon = harness.Daemon(self)
        for arguments in (["--shape=ssd"], ["--shape=graph"], ["--shape=streams"],
                          ["--shape=legacy"], ["--shape=poll"], ["--shape=per-thread"], ["--shape=models"],
                          ["--shape=nosync", "--fps", "60"], ["--shape=capture"], ["--shape=fork"],
                          ["--kernels", "2000", "--body", "20"], ["--first", "1000"],
                          ["--fps", "60", "--body", "1.5", "--post", "0.6"],
                          ["--kernels", "1", "--post-steps", "0"]):
            with self.subTest(" ".join(arguments)):
                found = self.judged(*arguments)
                # How close the times are tells of the machine, too: measured by hand (docs/measurements/phases.md).
                self.assertEqual(found.exact, found.looked_at, f"{found.line()}: {found.wrong[:3]}")
                self.assertGreater(found.looked_at, 10)
                self.assertEqual(found.uncovered, [])

    @exact
    def test_what_has_no_body_is_never_said_to_have_one(self):
        self.daemon = harness.Daemon(self)
        for arguments, frames in ((["--shape=random"], 60),
                                  (["--shape=launches", "--body", "0.5"], 1500)):
            with self.subTest(" ".join(arguments)):
                found = self.judged(*arguments, frames=frames)
                self.assertEqual(found.sure, 0)
                self.assertGreater(found.turns, 10)

    def test_a_stated_rate_paces_bodies(self):
        daemon = harness.Daemon(self)
        app = self.camera("paced", daemon.socket, "--frames", "40", STAGGER_FPS="2")
        seen = harness.wait_until(lambda: (s := daemon.stream("paced")) and s["deferred"] >= 6 and s,
                                  "bodies wait for their slots")
        # What waited for its slot is not late, and no part of the inference: else all took 500 ms.
        self.assertLess(seen["deadline_miss_ratio"], 0.5)
        self.assertLess(seen["inference_ms"]["p50"], 450)
        self.assertEqual(seen["skipped"], 0)
        paced = self.outcome(app)
        # Reuse is for ONNX Runtime's calls only, and says so.
        reuse = self.camera("reuse", daemon.socket, "--frames", "40", STAGGER_FPS="4", STAGGER_EXCESS="reuse")
        refused = harness.wait_until(lambda: (s := daemon.stream("reuse")) and s["reuse_refused"] and s, "told")
        self.assertEqual((refused["reuse_refused"], refused["deferred"]), (1, 0))
        self.assertEqual(self.outcome(reuse), paced)
        self.assertIn("stagger: excess 'reuse' is for ONNX Runtime's calls only", self.said("reuse"))

    def check_take_turns(self, shapes, policy="fifo", k=1):
        """Apps whose kernels, once the agent knows them, run in turns only; and no more than `k` turns at once."""
        turns = tempfile.mktemp(dir=self.folder)
        daemon = harness.Daemon(self, "--policy", policy, "--concurrency", str(k), "--lease-floor", "60000")
        apps = [self.camera(f"app-{i}", daemon.socket, *arguments, STAGGER_TURNS=turns)
                for i, arguments in enumerate(shapes)]
        for app in apps:
            self.assertEqual(self.outcome(app)[0], 0)
        self.assertEqual(daemon.totals()["expired"], 0)
        daemon.stop()
        turns = bodies.read_turns(turns)
        edges, since = [], 0
        for app in apps:
            mine = [turn for turn in turns[app.pid] if turn["turn"] > 0]
            self.assertGreater(len(mine), 20)
            edges += [edge for turn in mine for edge in ((turn["begun_ns"], 1), (turn["over_ns"], -1))]
            # Before the last app had turns, another may have had the GPU to itself, and begun without waiting.
            since = max(since, mine[3]["begun_ns"])
            known = next((turn for turn in mine if turn["state"] == "sure"), mine[0])
            # Its last turn it may not have written any more: the process ends with its body.
            last = max(turn["over_ns"] for turn in mine)
            after = [op for op in self.device_ops(app) if bodies.is_body(op) and
                     op["submitted_ns"] >= known["begun_ns"] and op["end_ns"] <= last]
            self.assertGreater(len(after), 200)
            self.assertEqual(bodies.outside(after, mine), [])
        at_once = itertools.accumulate(sorted(edges), lambda now, edge: (edge[0], now[1] + edge[1]))
        self.assertEqual([edge for edge in at_once if edge[0] > since and edge[1] > k], [])

    def test_apps_that_never_wait_take_turns(self):
        for arguments in (["--shape=nosync", "--frames", "300"],
                          ["--shape=launches", "--fps", "60", "--body", "5", "--frames", "200"],
                          ["--shape=launches", "--body", "0.5", "--frames", "2000"]):
            with self.subTest(" ".join(arguments)):
                self.check_take_turns([arguments] * 2)

    def test_of_mixed_apps_no_more_run_at_once_than_may(self):
        mixed = [["--shape=" + shape, "--frames", "80"] for shape in ("ssd", "graph", "streams", "models")]
        for policy, k in (("fifo", 1), ("edf", 2)):
            with self.subTest(policy):
                self.check_take_turns(mixed, policy, k)

    def body_times(self, app):
        """(begin_ns, end_ns) of the app's bodies, by the device's log."""
        ops = [op for op in self.device_ops(app) if bodies.is_body(op)]
        return [(ops[i]["begin_ns"], ops[i + KERNELS - 1]["end_ns"]) for i in range(0, len(ops), KERNELS)]

    def test_bodies_of_two_apps_do_not_overlap(self):
        daemon = harness.Daemon(self, "--lease-floor", "60000")
        apps = [self.camera(name, daemon.socket, "--frames", "120") for name in ("a", "b")]
        for app in apps:
            self.assertEqual(self.outcome(app)[0], 0)
        self.assertEqual(daemon.totals()["expired"], 0)
        first, second = (self.body_times(app) for app in apps)
        self.assertEqual((len(first), len(second)), (120, 120))
        known = max(first[LEARNED][0], second[LEARNED][0])
        overlaps = [(a, b) for a in first for b in second
                    if min(a[1], b[1]) - max(a[0], b[0]) > MS // 2 and min(a[0], b[0]) > known]
        self.assertEqual(overlaps, [])
        # And they do compete: one's body begins while the other waits for it.
        self.assertGreater(daemon.totals()["done"], 150)

    def test_an_app_that_has_the_gpu_to_itself_does_not_wait(self):
        recording = self.file("recording")
        daemon = harness.Daemon(self, "--record", recording, "--lease-floor", "60000")
        first = self.camera("first", daemon.socket, "--frames", "400")
        at_once = harness.wait_until(lambda: (s := daemon.stream("first")) and s["exclusive"] >= 20 and s["exclusive"],
                                     "turns without a wait")
        second = self.camera("second", daemon.socket, "--frames", "120")
        self.assertEqual(self.outcome(second)[0], 0)
        self.assertEqual(self.outcome(first)[0], 0)
        totals = daemon.totals()
        self.assertGreaterEqual(totals["exclusive"], at_once)
        self.assertEqual((totals["granted"], totals["expired"], totals["ungated"]), (totals["done"], 0, 0))
        daemon.stop()
        # Once the second had asked, the first waited again: but for one body that had begun before it heard of that.
        asked = [(event["at_ns"], event["client"], event.get("sole", False))
                 for event in bodies.read_lines(recording) if event.get("event") == "requested"]
        clients = list(dict.fromkeys(client for _, client, _ in asked))
        self.assertEqual(len(clients), 2)
        came = next(at for at, client, _ in asked if client == clients[1])
        went = max(at for at, client, _ in asked if client == clients[1])
        self.assertLessEqual(len([at for at, _, sole in asked if sole and came < at < went]), 1)
        mine, others = self.body_times(first), self.body_times(second)
        known = others[LEARNED][0]
        self.assertEqual([(a, b) for a in mine for b in others
                          if min(a[1], b[1]) - max(a[0], b[0]) > MS // 2 and min(a[0], b[0]) > known], [])

    def operator_app(self, name, socket, *arguments, **more):
        """ONNX Runtime, with an operator that computes on the GPU."""
        libraries = os.environ["LD_LIBRARY_PATH"] + ":" + os.path.dirname(harness.RUNTIME)
        return self.start([os.path.join(harness.APPS, "gpu_operator_app"), self.model, *arguments],
                          socket, name,
                          **{"LD_LIBRARY_PATH": libraries, "STAGGER_VGPU": os.environ["STAGGER_VGPU"],
                             **({"LD_PRELOAD": AGENTS} if socket else {}), **more})

    def test_a_framework_call_has_one_turn_where_its_body_is(self):
        tiny_model.write(self.model, 2, own="OnGpu")
        bare = self.operator_app("bare", None, "60").end()
        self.assertEqual((bare[0], len(bare[1])), (0, 60), bare)
        self.assertEqual(self.operator_app("alone", self.file("none"), "60").end(), bare)
        recording, turns = (tempfile.mktemp(dir=self.folder) for _ in range(2))
        daemon = harness.Daemon(self, "--record", recording)
        app = self.operator_app("ruled", daemon.socket, "60", STAGGER_TURNS=turns)
        self.assertEqual(app.end(), bare, self.said("ruled"))
        on_cpu = self.operator_app("cpu", daemon.socket, "3000", "cpu").end()
        self.assertEqual((on_cpu[0], len(on_cpu[1])), (0, 3000), self.said("cpu"))
        self.assertEqual(on_cpu[1][:60], bare[1])
        app_left = self.operator_app("left", daemon.socket, "60")
        harness.wait_until(lambda: self.granted(daemon, "left") > 0 or
                           app_left.process.poll() is not None, "a turn")
        daemon.kill()
        self.assertEqual(app_left.end(), bare, self.said("left"))
        # On the GPU: one turn for each inference there, none at the call. On the CPU: at the call.
        requests, clients = {}, {}
        for event in bodies.read_lines(recording):
            if event.get("event") == "joined":
                clients[event["client"]] = event["name"]
            elif event.get("event") == "requested":
                requests.setdefault(clients[event["client"]], []).append(event["device"])
        self.assertEqual(set(requests["ruled"]), {1})
        self.assertEqual(set(requests["cpu"]), {0})
        self.assertGreater(len(requests["cpu"]), 100)
        if harness.SANITIZERS:
            return  # what follows is exact, see above
        mine = bodies.read_turns(turns)[app.pid]
        launches = [(turn["first_launch"], turn["last_launch"]) for turn in mine][-40:]
        # 11 launches an inference, of which the first 10 are its body.
        self.assertEqual(launches, [(11 * i + 1, 11 * i + 10) for i in range(20, 60)])

    def test_an_app_that_hangs_costs_the_others_one_lease(self):
        daemon = harness.Daemon(self, "--lease-floor", "1000")
        # In the middle of a body: each has 20 kernels.
        hung = self.camera("hung", daemon.socket, "--frames", str(2 * LEARNED),
                           STAGGER_VGPU_FAULT=f"hang:conv:{LEARNED * 20 + 10}")
        harness.wait_until(lambda: (daemon.stream("hung") or {"expired": 0})["expired"] > 0,
                           "the lease's end")
        other = self.camera("other", daemon.socket, "--frames", "40")
        self.assertEqual(self.outcome(other)[0], 0, self.said("other"))
        self.assertEqual(daemon.stream("hung")["expired"], 1)
        hung.kill()

    @exact
    def test_a_kernel_behind_the_known_end_of_a_body_has_a_turn(self):
        recording, turns = (tempfile.mktemp(dir=self.folder) for _ in range(2))
        daemon = harness.Daemon(self, "--record", recording, "--lease-floor", "1000")
        other = self.camera("other", daemon.socket, "--frames", "500", STAGGER_TURNS=turns)
        hung = self.camera("hung", daemon.socket, "--shape", "hang", "--at", str(LEARNED + 5),
                           STAGGER_TURNS=turns)
        harness.wait_until(lambda: (daemon.stream("hung") or {"expired": 0})["expired"] > 0,
                           "the lease's end")
        self.assertEqual(self.outcome(other)[0], 0, self.said("other"))
        self.assertEqual(daemon.stream("hung")["expired"], 1)
        hung.kill()
        daemon.stop()
        # 22 launches an inference, 20 of them its body; then the one that never ends.
        turns = bodies.read_turns(turns)
        last = turns[hung.pid][-1]
        first = (LEARNED + 5) * 22 + 1
        self.assertEqual((last["first_launch"], last["last_launch"], last["state"]),
                         (first, first + 19, "sure"))
        # Its turn was never given back, so the daemon tells of it.
        events = bodies.read_lines(recording)
        client = next(e["client"] for e in events if e.get("event") == "joined" and e["name"] == "hung")
        told = {(action["action"], action["seq"]): event["at_ns"] for event in events
                for action in event.get("actions", ())
                if "seq" in action and action["client"] == client}
        seq = next(seq for action, seq in told if action == "expire")
        self.assertGreater(seq, last["turn"])
        granted, expired = told["grant", seq], told["expire", seq]
        endless = [op for op in self.device_ops(hung) if bodies.is_body(op)][-1]
        self.assertGreaterEqual(endless["end_ns"] - endless["begin_ns"], 1000 * MS)
        self.assertLess(granted, endless["submitted_ns"])
        self.assertLess(endless["submitted_ns"], expired)
        # The other is kept apart until the lease ends, and goes on.
        spans = [(turn["begun_ns"], turn["over_ns"]) for turn in turns[other.pid] if turn["turn"] > 0]
        self.assertEqual([span for span in spans if span[0] < expired - MS and span[1] > granted + MS], [])
        self.assertGreater(len([span for span in spans if span[0] > expired - MS]), 10)

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
    DEVICE_LOG = bodies.on_virtual_gpu()
    harness.main()
