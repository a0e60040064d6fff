"""A site whose plan is applied: apps run where it says, and move when a device goes or comes back."""

import json
import os
import re
import select
import signal
import subprocess

import harness
import tiny_model

STAGGER = os.environ["STAGGER"]
FRAME_RUNNER = os.environ["FRAME_RUNNER"]
CORES = sorted(os.sched_getaffinity(0))
LONG_S = 600  # longer than any test: apps run until they are told to stop


class Up:
    """`stagger up` of a site, its lines read as they come."""

    def __init__(self, case, site, *arguments, **environment):
        self.case = case
        self.socket = os.path.join(case.folder, "s")
        self.path = os.path.join(case.folder, "site.yaml")
        with open(self.path, "w") as file:
            file.write(site)
        self.fd, write = os.pipe()
        case.addCleanup(os.close, self.fd)
        self.process = case.popen(
            [STAGGER, "up", self.path, "--socket", self.socket, "--http", "off", *arguments],
            env=case.environment(**environment), stdin=subprocess.DEVNULL, stdout=write,
            stderr=os.fdopen(write, "wb"))
        self.lines = []
        self.rest = b""

    def read(self, timeout_s=0):
        """Takes over what has come; False at the end."""
        while select.select([self.fd], [], [], timeout_s)[0]:
            chunk = os.read(self.fd, 65536)
            if not chunk:
                return False
            *lines, self.rest = (self.rest + chunk).split(b"\n")
            self.lines += [line.decode(errors="replace") for line in lines]
            timeout_s = 0
        return True

    def wait_for(self, pattern, count=1, deadline_s=harness.DEADLINE_S):
        """The matches of `pattern` in the lines so far, once there are `count`."""
        def found():
            self.read()
            matches = [m for m in (re.search(pattern, line) for line in self.lines) if m]
            return matches if len(matches) >= count else None
        try:
            return harness.wait_until(found, pattern, deadline_s)
        except AssertionError as error:
            raise AssertionError(f"{error}\n" + "\n".join(self.lines[-40:])) from None

    def end(self):
        while self.read(0.1):
            pass
        return self.process.wait(harness.DEADLINE_S)

    def stop(self):
        self.process.terminate()
        self.case.assertEqual(self.end(), 0, "\n".join(self.lines))

    def status(self):
        out = subprocess.run([STAGGER, "status", "--json", "--socket", self.socket],
                             capture_output=True, timeout=harness.DEADLINE_S)
        return json.loads(out.stdout) if out.returncode == 0 else {"placement": None, "streams": []}

    def placement(self):
        return self.status()["placement"]

    def where(self):
        """Where apps say they send their inferences."""
        return {s["name"]: s["on"] for s in self.status()["streams"] if s["forwards"]}

    def places(self):
        placement = self.placement()
        return {s["name"]: s["devices"] for s in placement["streams"]} if placement else {}


class SiteTest(harness.ProcessTest):
    def setUp(self):
        super().setUp()
        # Next to no work, however slow the machine is. Other users of the cores then take nothing of them
        # that could be measured, so what is planned follows from the site file alone.
        self.models = []
        for steps in (4, 8, 12):
            self.models.append(os.path.join(self.folder, f"steps-{steps}.onnx"))
            tiny_model.write(self.models[-1], steps)

    def app(self, name, copies, fps, deadline_ms, body_ms, model, seconds=LONG_S, more=""):
        command = [FRAME_RUNNER, self.models[model], "--fps", str(fps), "--seconds", str(seconds),
                   "--deadline-ms", str(deadline_ms)]
        return f"""
  - name: {name}
    command: {json.dumps(command)}
    fps: {fps}
    deadline_ms: {deadline_ms}
    copies: {copies}
    executor: true
    profile: {{pre_ms: 0.5, body_ms: {body_ms}, post_ms: 0.5, memory_gb: 0.1}}
{more}"""

    def devices(self):
        # Two speeds: a core, and two halves of one. On a machine of one core all share it.
        return f"""devices:
  - {{name: a, on: "cpu:{CORES[0]}", share: {1 if len(CORES) > 1 else 0.5}, speed: 1, memory_gb: 4}}
  - {{name: b, on: "cpu:{CORES[-1]}", share: {0.5 if len(CORES) > 1 else 0.25}, speed: 0.5, memory_gb: 4}}
  - {{name: c, on: "cpu:{CORES[-1]}", share: {0.5 if len(CORES) > 1 else 0.25}, speed: 0.5, memory_gb: 4}}
"""


class Applied(SiteTest):
    def test_twelve_apps_a_device_that_dies_and_one_more_app(self):
        # With deadlines of 40 ms the belts cannot be beside the yards: two devices. Whichever of
        # the three goes, what is left is enough.
        site = self.devices() + "apps:" + self.app("belt", 2, 15, 40, 8, 0) + \
            self.app("gate", 4, 5, 200, 12, 1) + self.app("yard", 6, 1, 1000, 30, 2)
        up = Up(self, site)
        up.wait_for(r"^\S+ \| ready", 12)
        placement = up.placement()
        self.assertEqual(len(placement["streams"]), 12)
        self.assertEqual({d["name"] for d in placement["devices"] if d["here"]}, {"a", "b", "c"})
        for stream in placement["streams"]:
            self.assertEqual(len(stream["devices"]), 1, stream)
            self.assertTrue(stream["reason"])
        before = up.places()
        used = sorted({d for on in before.values() for d in on})
        self.assertEqual(len(used), 2, "as few devices as can be")

        # One more app, placed beside them.
        one_more = self.start(
            [STAGGER, "run", "--name", "extra", "--fps", "5", "--deadline", "200", "--like", "gate", "--socket",
             up.socket, "--", FRAME_RUNNER, self.models[1], "--fps", "5", "--deadline-ms", "200",
             "--seconds", str(LONG_S)], name="extra")
        self.assertEqual(one_more.line(), "ready", self.said("extra"))
        self.assertRegex(self.said("extra"), r"stagger: extra: on \w: ")
        self.assertEqual(len(up.places()["extra"]), 1)
        # It, too, may be refused.
        refused = subprocess.run(
            [STAGGER, "run", "--name", "huge", "--fps", "15", "--deadline", "50", "--profile", "body_ms=60",
             "--socket",
             up.socket, "--", "true"], env=self.environment(), capture_output=True, text=True)
        self.assertEqual(refused.returncode, 1, refused.stderr)
        self.assertIn("'huge' was not started: huge does not fit anywhere: lower body from 60",
                      refused.stderr)

        # Where each would go is known, and its model is loaded there.
        harness.wait_until(lambda: (p := up.placement()) and all(s["standby"] for s in p["streams"]),
                           "standby for all")
        # The busiest device dies, and dies again as soon as it is started again.
        victim = max(used, key=lambda name: sum(on == [name] for on in before.values()))
        pid = int(up.wait_for(rf"executor-{victim}: started, pid (\d+)")[-1][1])
        os.kill(pid, signal.SIGKILL)
        harness.wait_until(lambda: (p := up.places()) and not any(victim in on for on in p.values()) and
                           all(p.values()), "all are elsewhere")
        harness.wait_until(lambda: (w := up.where()) == {n: on for n, on in up.places().items() if n in w} and
                           len(w) >= 12, f"the apps themselves are: {up.where()}, {up.places()}")
        again = int(up.wait_for(rf"executor-{victim}: started, pid (\d+)", 2)[-1][1])
        os.kill(again, signal.SIGKILL)
        harness.wait_until(lambda: not any(victim in on for on in up.places().values()), "elsewhere again")
        stayed = up.places()
        placement = up.placement()
        self.assertFalse(next(d for d in placement["devices"] if d["name"] == victim)["here"])
        for stream in placement["streams"]:
            if victim in before.get(stream["name"], []):
                self.assertGreaterEqual(stream["moves"], 1)
                self.assertIn(f"{victim} is gone", stream["reason"])
        self.assertTrue(any(f"{victim} is gone" in event["text"] for event in placement["events"]))
        self.assertTrue(all(stayed.values()))
        # It comes back for good, and so do those that had to leave it.
        up.wait_for(rf"executor-{victim}: started", 3)
        harness.wait_until(lambda: (p := up.places()) and all(p[n] == on for n, on in before.items()),
                           "all are home again")

        # Nobody's inferences ran in the app meanwhile.
        here = {s["name"]: n for s in up.status()["streams"]
                if (n := s["granted"] + s["ungated"] + s["warmup"])}
        self.assertEqual(here, {}, "inferences in apps")

        # Each is asked to stop, says how much it did, and so ends the site.
        for stream in up.status()["streams"]:
            if stream["forwards"]:
                os.kill(stream["pid"], signal.SIGTERM)
        self.assertEqual(one_more.end()[0], 0)
        self.assertEqual(up.end(), 0, "\n".join(up.lines[-20:]))
        text = "\n".join(up.lines)
        summaries = {m[1]: json.loads(m[2]) for m in up.wait_for(r"^(\S+) \| (\{.*\})$", 12)}
        self.assertEqual(set(summaries), set(before))
        # A frame without a result would have ended its app.
        for summary in [*summaries.values(), json.loads(one_more.lines[-1])]:
            self.assertGreater(summary["frames"], 0)
        self.assertNotIn("runs in the app", text)

    def test_the_daemon_comes_back_and_gets_the_plan_again(self):
        daemon = harness.Daemon(self)
        up = Up(self, self.devices() + "apps:" + self.app("gate", 2, 5, 200, 12, 0))
        up.wait_for(r"^\S+ \| ready", 2)
        places = up.places()
        self.assertEqual(set(places), {"gate-1", "gate-2"})
        daemon.kill()
        daemon.start()
        self.assertIsNone(daemon.status()["placement"])
        up.wait_for(r"the daemon is back, and has the plan again")
        self.assertEqual(up.places(), places)
        up.stop()
        # With `up` gone its plan is.
        harness.wait_until(lambda: daemon.status()["placement"] is None, "no plan any more")
        daemon.stop()


class Probed(SiteTest):
    def test_an_app_without_a_profile_is_tried_first(self):
        apps = self.app("gate", 2, 10, 100, 12, 0)
        apps = "\n".join(line for line in apps.split("\n") if "profile" not in line)
        site = self.devices() + "apps:" + apps
        up = Up(self, site)
        [found] = up.wait_for(r"gate: profile: \{pre_ms: 0, body_ms: ([\d.e-]+), post_ms: 0(, here: true)?\}")
        self.assertGreater(float(found[1]), 0)
        self.assertLess(float(found[1]), 100)
        up.wait_for(r"^\S+ \| ready", 2)
        self.assertEqual(set(up.places()), {"gate-1", "gate-2"})
        up.stop()


class Gpus(SiteTest):
    def test_apps_see_the_gpu_of_their_place_only(self):
        # The stand-in for NVML has two GPUs; each app needs more than half of one.
        def app(name):
            return (f'  - {{name: {name}, command: [sh, -c, "echo visible=$CUDA_VISIBLE_DEVICES"], fps: 10, '
                    f'profile: {{body_ms: 60}}}}\n')
        site = 'devices: [{name: g0, on: "gpu:0"}, {name: g1, on: "gpu:1"}]\napps:\n' + \
            app("one") + app("two")
        up = Up(self, site, LD_LIBRARY_PATH=os.environ["NVML"] + ":" + os.path.dirname(harness.RUNTIME))
        self.assertEqual(up.end(), 0, "\n".join(up.lines))
        seen = {m[1]: m[2] for m in up.wait_for(r"^(one|two) \| visible=(GPU-\S+)$", 2)}
        self.assertEqual(len(set(seen.values())), 2, seen)
        # A GPU that is not there: nothing starts.
        missing = Up(self, site.replace("gpu:1", "gpu:7"),
                     LD_LIBRARY_PATH=os.environ["NVML"] + ":" + os.path.dirname(harness.RUNTIME))
        self.assertEqual(missing.end(), 1, "\n".join(missing.lines))
        self.assertIn("gpu:7", "\n".join(missing.lines))
        self.assertFalse(any("started, pid" in line for line in missing.lines))


class Refused(SiteTest):
    def check(self, site, *said, code=1, arguments=()):
        up = Up(self, site, *arguments)
        self.assertEqual(up.end(), code, "\n".join(up.lines))
        text = "\n".join(up.lines)
        for part in said:
            self.assertIn(part, text)
        self.assertNotIn("started, pid", text, "nothing was started")
        self.assertNotIn("serves", text, "not even a daemon")
        return text

    def test_a_site_that_does_not_fit(self):
        site = self.devices() + "apps:" + self.app("gate", 2, 5, 200, 12, 0, seconds=1) + \
            self.app("huge", 1, 10, 90, 95, 0)
        self.check(site, "the site does not fit: 1 of 3 streams have no place, so nothing was started",
                   "huge-1 does not fit anywhere: lower body from 95 to", "--partial")
        up = Up(self, site, "--partial")
        self.assertEqual(up.end(), 0, "\n".join(up.lines))
        self.assertTrue(any("huge-1: not started: does not fit anywhere" in line for line in up.lines))
        self.assertEqual(len(up.wait_for(r"gate-\d: finished", 2)), 2)

    def test_devices_that_are_not_there(self):
        apps = "apps:" + self.app("gate", 1, 5, 200, 12, 0)
        self.check('devices: [{name: a, on: "cpu:999"}]\n' + apps,
                   "devices: a is on cpu:999, and there is no such core for this process")
        self.check('devices: [{name: a, on: "tpu:0"}]\n' + apps, "devices[0].on: tpu:0 is no device",
                   code=2)
        self.check('devices: [{name: a, speed: 2}]\n' + apps.replace("    executor: true\n", ""),
                   "they say how fast they are, and not what they are")
        self.check(f'devices: [{{name: a, on: "cpu:{CORES[0]}", share: 0.7}}, '
                   f'{{name: b, on: "cpu:{CORES[0]}", share: 0.7}}]\n' + apps,
                   "expected shares of at most 1 in all", code=2)

    def test_a_split_that_the_app_does_not_agree_to(self):
        # 111 ms per frame, ten times a second, and twice that on the slower ones.
        site = self.devices() + "apps:" + self.app("wide", 1, 10, 400, 110, 0)
        self.check(site, "wide-1: it would have to be split over 2 devices", "needs a pipeline of 1")


if __name__ == "__main__":
    harness.main()
