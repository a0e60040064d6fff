"""A plan that no longer holds, since bodies have grown, as real executors measure it.

On any machine the same is measured: bodies take a given time of their thread (tests/executor/fake_cuda_runtime.cc), and
so little that what others take of the cores cannot be told. What would fill a device is stated only.
"""

import json
import os
import shutil
import subprocess
import sys

import harness
from site_test import CORES, FRAME_RUNNER, Up

STAGGER = os.environ["STAGGER"]
TOOL = os.path.join(os.path.dirname(__file__), "../../tools/random_model.py")
GROWN = 20  # items of a call, from the sixth on; before it is one
ITEM_MS = 0.1


class Drifting(harness.ProcessTest):
    def setUp(self):
        super().setUp()
        # Two models, so that two apps are never served as one batch.
        self.models = {name: os.path.join(self.folder, name + ".onnx") for name in ("grows", "steady")}
        subprocess.run([sys.executable, TOOL, "small", self.models["grows"]], check=True)
        shutil.copy(self.models["grows"], self.models["steady"])
        with open(self.models["steady"], "ab") as file:
            file.write(bytes([0x32, 1, 0x78]))  # another description
        self.daemon = harness.Daemon(self)

    def site(self, devices, fps, *apps):
        """`devices` alike; each app (name, stated body_ms)."""
        share = 1 if len(CORES) > 1 else 1 / len(devices)
        text = "devices:\n"
        for name, core in zip(devices, (CORES[0], CORES[-1])):
            text += f'  - {{name: {name}, on: "cpu:{core}", share: {share}, speed: 1, memory_gb: 4}}\n'
        text += "apps:\n"
        for name, body_ms in apps:
            command = [FRAME_RUNNER, self.models[name], "--fps", str(fps), "--seconds", "600"]
            if name == "grows":
                command += ["--grow-after", str(2.5 / fps), "--grow-to", str(GROWN)]
            text += (f"  - {{name: {name}, command: {json.dumps(command)}, fps: {fps}, deadline_ms: 1000, "
                     f"executor: true, profile: {{body_ms: {body_ms}, memory_gb: 0.1}}}}\n")
        return Up(self, text, LD_LIBRARY_PATH=os.environ["FAKE_CUDA"], FAKE_BUSY_US=str(int(1000 * ITEM_MS)))

    def streams(self, up, *names):
        return {s["name"]: s for s in up.status()["streams"] if s["name"] in names}

    def placed(self, up):
        return {s["name"]: s for s in up.placement()["streams"]}

    def why(self, up, name):
        return " ".join(subprocess.run([STAGGER, "why", name, "--socket", up.socket], capture_output=True, text=True,
                                       check=True).stdout.split())

    def test_an_app_whose_work_grows_moves_once_and_the_daemon_may_die(self):
        # Stated: 0.1 + 199 ms of 200, on one device. In truth the first takes 2.
        up = self.site(["a", "b"], 5, ("grows", 0.1), ("steady", 199))
        before = {m[1]: m[2] for m in up.wait_for(r"stagger: (grows|steady): on (\w): ", 2)}
        self.assertEqual(before["grows"], before["steady"], "on as few devices as can be")
        after = {"grows": ["b" if before["grows"] == "a" else "a"], "steady": [before["steady"]]}
        harness.wait_until(lambda: up.places() == after, "one moves")
        stream = self.placed(up)["grows"]
        self.assertRegex(stream["reason"], r"moved from \w: .*the body of grows takes [\d.]+ ms there, not 0.1; ")
        self.assertGreaterEqual(stream["measured_body_ms"], GROWN * ITEM_MS)
        self.assertIn("grows moves from", self.daemon.log())
        harness.wait_until(lambda: up.where().get("grows") == after["grows"], "and so does the app")
        self.assertIn("the body of grows takes", self.why(up, "grows"))
        # It stays there, though it is measured over and over; and `up` knows.
        done = self.streams(up, "grows")["grows"]["done"]
        harness.wait_until(lambda: self.streams(up, "grows")["grows"]["done"] > done + 50, "more of them")
        self.assertEqual({n: s["moves"] for n, s in self.placed(up).items()}, {"grows": 1, "steady": 0})
        self.daemon.kill()
        self.daemon.start()
        up.wait_for(r"the daemon is back, and has the plan again")
        self.assertEqual(up.places(), after, "the plan as it was last")
        up.stop()
        self.daemon.stop()

    def test_where_nothing_else_has_room_rates_go_down_and_the_agents_keep_them(self):
        # Stated: 0.1 + 99 ms of 100, on the only device. In truth the first takes 2.
        up = self.site(["a"], 10, ("grows", 0.1), ("steady", 99))
        lowered = lambda s: s["fps_assigned"] is not None and s["fps_assigned"] < s["fps_required"]
        apps = lambda: self.streams(up, "grows", "steady")
        harness.wait_until(lambda: len(apps()) == 2 and all(lowered(s) for s in apps().values()), "lower rates")
        before = apps()["grows"]
        harness.wait_until(lambda: apps()["grows"]["deferred"] > before["deferred"] + 10, "its agent keeps it")
        self.assertIn("since its device has more to do than was planned", self.why(up, "grows"))
        self.assertIn("its rate is lowered to", self.daemon.log())
        up.stop()
        self.daemon.stop()


if __name__ == "__main__":
    harness.main()
