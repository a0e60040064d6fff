"""The real detector, four ways: bare, agent without a daemon, under the daemon, daemon killed."""

import json
import os
import signal

import harness

FRAMES = 100


class CameraDetectorFourWays(harness.ProcessTest):
    def detector(self, name, frames=FRAMES, socket=None):
        self.summary = os.path.join(self.folder, name + ".json")
        return self.start(
            [os.environ["CAMERA_DETECTOR"], "--every-frame", "--frames", str(frames), "--quiet",
             "--warmup", "2", "--json-out", self.summary], socket, name, STAGGER_WARMUP="5")

    def outcome(self, app):
        code, _ = app.end()
        with open(self.summary) as file:
            return code, json.load(file)["frame_hashes"]

    def test_same_frames_all_ways(self):
        code, hashes = bare = self.outcome(self.detector("bare"))
        self.assertEqual(code, 0)
        self.assertEqual(len(hashes), FRAMES)

        nobody = os.path.join(self.folder, "nobody")
        self.assertEqual(self.outcome(self.detector("alone", socket=nobody)), bare)
        self.assertEqual(self.said("alone").count("stagger:"), 1, self.said("alone"))

        daemon = harness.Daemon(self, "--lease-floor", "60000")
        self.assertEqual(self.outcome(self.detector("camera", socket=daemon.socket)), bare)
        self.assertEqual(self.said("camera"), "")
        totals = daemon.totals()
        self.assertEqual(totals["warmup"], 5)
        self.assertGreater(totals["granted"], FRAMES // 2)
        self.assertEqual(totals["granted"], totals["done"])

        app = self.detector("killed", socket=daemon.socket)
        harness.wait_until(lambda: (daemon.stream("killed") or {"granted": 0})["granted"] >= 10,
                           "ten turns")
        os.kill(app.pid, signal.SIGSTOP)  # its frames are to last until the next daemon is there
        daemon.kill()
        daemon.start()
        os.kill(app.pid, signal.SIGCONT)
        harness.wait_until(lambda: (daemon.stream("killed") or {"granted": 0})["granted"] >= 3,
                           "turns from the second daemon")
        self.assertEqual(self.outcome(app), bare)
        daemon.stop()


if __name__ == "__main__":
    harness.main()
