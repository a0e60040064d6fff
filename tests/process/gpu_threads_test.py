"""One app, four threads, two virtual GPUs: each thread's bodies have turns on the GPU of its context.

Runs itself inside `stagger vgpu`. With a sanitizer the agents and the app are instrumented, the driver is not.
"""

import os

import bodies
import harness

AGENTS = harness.AGENT + ":" + os.environ["CUDA_AGENT"]


class GpuThreads(harness.ProcessTest):
    def app(self, name, socket=None, **more):
        return self.start([os.path.join(harness.APPS, "gpu_threads_app"), "60"], socket, name,
                          **{"LD_LIBRARY_PATH": os.environ["LD_LIBRARY_PATH"], "STAGGER_VGPU": os.environ["STAGGER_VGPU"],
                             **({"LD_PRELOAD": AGENTS} if socket else {}), **more})

    def test_four_threads_take_turns_on_two_gpus(self):
        bare = self.app("bare").end()
        self.assertEqual((bare[0], len(bare[1])), (0, 4), bare)
        self.assertEqual(self.app("alone", os.path.join(self.folder, "none")).end(), bare)
        recording = os.path.join(self.folder, "recording")
        daemon = harness.Daemon(self, "--lease-floor", "60000", "--record", recording)
        self.assertEqual(self.app("ruled", daemon.socket).end(), bare, self.said("ruled"))
        totals = harness.wait_until(lambda: (t := daemon.totals())["streams"] == 0 and t, "gone")
        self.assertEqual((totals["granted"], totals["expired"]), (totals["done"], 0))
        daemon.stop()
        asked = [event["device"] for event in bodies.read_lines(recording) if event.get("event") == "requested"]
        self.assertEqual(set(asked), {1, 2})
        self.assertGreater(min(asked.count(1), asked.count(2)), 0)


if __name__ == "__main__":
    bodies.on_virtual_gpu("--devices", "one=t4,two=t4")
    harness.main()
