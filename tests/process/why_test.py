"""`stagger why` of real apps under a real daemon, and `stagger doctor` of an app that forwards."""

import json
import os
import subprocess

import harness
from executor_test import Executor

STAGGER = os.environ["STAGGER"]
CAMERA = os.environ["CAMERA_DETECTOR"]


class StaggerTest(harness.ProcessTest):
    def stagger(self, *arguments, **more):
        """(exit code, stdout, stderr)."""
        environment = self.environment()
        environment.update(more)
        done = subprocess.run([STAGGER, *map(str, arguments)], env=environment, check=False,
                              capture_output=True, text=True, input="\n\n\n\n",
                              timeout=harness.DEADLINE_S)
        return done.returncode, done.stdout, done.stderr


class Why(StaggerTest):
    def why(self, name, *arguments):
        code, out, err = self.stagger("why", name, "--socket", self.daemon.socket, *arguments)
        self.assertEqual((code, err), (0, ""))
        return out

    def cameras(self, fps, required=True, **more):
        """Two detectors that compete for one turn, until the daemon knows their bodies."""
        if required:
            more["STAGGER_FPS"] = str(fps)
        self.daemon = harness.Daemon(self, "--concurrency", "1")
        for name in ("gate-1", "gate-2"):
            self.start([CAMERA, "--preload=20", "--fps", str(fps), "--threads", "1", "--quiet"],
                       self.daemon.socket, name, **more)
        harness.wait_until(
            lambda: all((s := self.daemon.stream(f"gate-{i}")) and s["done"] >= 40 for i in (1, 2)),
            "40 inferences of each")

    def test_contended(self):
        # More than any machine does, so that one always waits for the other.
        self.cameras(1000, required=False)
        answer = json.loads(self.why("gate-1", "--json"))
        self.assertEqual(len(answer["streams"]), 1)
        waits = answer["streams"][0]["waits"]
        self.assertEqual(waits["behind"][0]["stream"], "gate-2")
        self.assertGreater(waits["behind"][0]["time_ms"], 0)
        self.assertAlmostEqual(sum(b["time_ms"] for b in waits["behind"]) + waits["nobody_ms"],
                               waits["queued_ms"], delta=0.1)
        self.assertEqual(sum(reason["count"] for reason in waits["reasons"]), waits["count"])
        # One name for both copies, and a pid for one.
        both = self.why("gate")
        self.assertEqual([line for line in both.splitlines() if line.startswith("gate-")],
                         [line for line in both.splitlines() if ": pid " in line])
        self.assertEqual(both.count(": pid "), 2)
        self.assertIn("behind bodies of gate-2", both)
        self.assertIn("behind bodies of gate-1", both)
        self.assertIn("Policy fifo: 1 body at once on cpu:0", both)
        self.assertIn("gate-2: pid", self.why(self.daemon.stream("gate-2")["pid"]))
        code, out, err = self.stagger("why", "hall", "--socket", self.daemon.socket)
        self.assertEqual((code, out), (1, ""))
        # In the order in which they joined.
        self.assertRegex(err, "no stream is called 'hall'; there are gate-[12], gate-[12]")

    def test_overload(self):
        self.cameras(500, STAGGER_MIN_FPS="1.5")
        harness.wait_until(lambda: self.daemon.stream("gate-1")["fps_assigned"] < 500,
                           "a lowered rate")
        said = " ".join(self.why("gate-1").split())
        self.assertRegex(said, r"Its rate is lowered to [0-9.]+ of 500 fps, for .* now, because "
                               r"streams with a stated rate ask for [0-9]+ % of what cpu:0 can do\.")
        self.assertIn("It weighs 1, the others 1: more weight gives up less.", said)
        self.assertIn("It never goes below its min_fps of 1.5.", said)
        self.assertNotIn("Its rate is not lowered", said)

    def test_without_a_daemon_or_a_name(self):
        self.assertEqual(self.stagger("why")[0], 2)
        code, out, err = self.stagger("why", "gate", "--socket", os.path.join(self.folder, "nobody"))
        self.assertEqual((code, out), (1, ""))
        self.assertTrue(err.startswith("stagger: why: "), err)


class Forwarding(StaggerTest):
    def doctor(self, executors, command):
        named = [word for e in executors for word in ("--executor", e.socket)]
        code, out, err = self.stagger("doctor", "--json", *named, "--", *command)
        self.assertEqual(code, 0, err)
        return json.loads(out)

    def test_what_is_forwarded_and_what_stays(self):
        executor = Executor(self)
        seen = self.doctor([executor], self.linked("kinds", 50))
        forwarding = seen["processes"][0]["forwarding"]
        calls = {(c["name"], c["handled"]): c["count"] for c in seen["processes"][0]["calls"]}
        self.assertEqual(calls[("Run", "forwarded")], 50)
        self.assertEqual((forwarding["sessions"], forwarding["calls"]), (1, 50))
        self.assertEqual(forwarding["executors"], [{"socket": executor.socket, "inferences": 50}])
        self.assertEqual({s["reason"]: s["calls"] for s in forwarding["stayed"]},
                         {"the app binds tensors itself": 50, "the app calls asynchronously": 50})

    def test_a_session_that_stays(self):
        executor = Executor(self)
        frames = os.path.join(harness.APPS, "frames_app")
        seen = self.doctor([executor], [frames, "option", self.model, "custom-ops"])
        forwarding = seen["processes"][0]["forwarding"]
        self.assertEqual(forwarding["sessions"], 0)
        self.assertEqual(forwarding["stayed"], [{"reason": "the session has custom operators",
                                                 "sessions": 1, "calls": 0}])

    def test_nobody_there(self):
        executor = Executor(self)
        executor.kill()
        seen = self.doctor([executor], self.linked("kinds", 5))
        stayed = seen["processes"][0]["forwarding"]["stayed"]
        self.assertTrue(any("no executor at" in one["reason"] for one in stayed), stayed)


class Devices(StaggerTest):
    def test_doctor_names_a_gpu_that_no_app_can_use(self):
        nvml = os.environ["NVML"]
        self.assertTrue(os.path.isdir(nvml), nvml)
        path = nvml + ":" + os.path.dirname(harness.RUNTIME)
        code, out, err = self.stagger("doctor", "--", "true", LD_LIBRARY_PATH=path,
                                      FAKE_NVML_MODE="2")
        self.assertEqual(code, 0, err)
        self.assertRegex(out, r"gpu:\d: its compute mode is prohibited: no app can use it")


if __name__ == "__main__":
    harness.main()
