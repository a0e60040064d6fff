"""stagger bench t4, very short: what it prints is whole, and its counts agree. No ratio is judged."""

import json
import os
import signal
import subprocess

import harness

STAGGER = os.environ["STAGGER"]
LEG = ["name", "policy", "concurrency", "apps", "fps_required", "fps", "frames", "done", "drops",
       "skipped", "drop_ratio", "deadline_miss_ratio", "inference_ms", "latency_ms", "body_ms",
       "overlap_ratio", "repeats", "disturbed_repeats", "fps_spread"]
CLAIMS = ["sync drop ratio, controlled", "sync fps, controlled"]


class BenchT4(harness.ProcessTest):
    def bench(self, *arguments):
        return self.popen([STAGGER, "bench", "t4", *arguments], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, env=self.environment(),
                          stderr=open(os.path.join(self.folder, "app.err"), "wb"))

    def command(self, pid):
        try:
            with open(f"/proc/{pid}/comm", encoding="utf-8") as file:
                return file.read().strip()
        except FileNotFoundError:
            return None

    def test_counts_agree(self):
        process = self.bench("--legs", "alone,sync-controlled,sync-percentage", "--repeats", "1",
                             "--seconds", "1", "--json")
        out, _ = process.communicate(timeout=600)
        self.assertIn(process.returncode, (0, 1), self.said())  # 1: a claim failed, on a busy machine
        report = json.loads(out)
        self.assertEqual(list(report)[:3], ["bench", "legs", "device"])
        self.assertEqual(report["bench"], "t4")
        self.assertEqual(report["seconds"], 1)
        self.assertEqual([claim["name"] for claim in report["claims"]], CLAIMS)
        alone, controlled, percentage = report["legs"]
        for leg in report["legs"]:
            self.assertEqual(list(leg)[:len(LEG)], LEG)
            self.assertEqual(leg["repeats"], 1)
            self.assertGreater(leg["warmup_s"], 0)
            self.assertLessEqual(leg["fps"], leg["done"])
            self.assertEqual(leg["fps_spread"], [leg["fps"], leg["fps"]])
            # The device's own word: no body is shorter than it would be alone.
            self.assertGreater(leg["body_ms"]["min"], 38)
            self.assertGreaterEqual(leg["inference_ms"]["min"], leg["body_ms"]["min"])
            self.assertTrue(0 <= leg["overlap_ratio"] <= 1, leg["overlap_ratio"])
        self.assertEqual((alone["name"], alone["policy"], alone["apps"]), ("alone", None, 1))
        self.assertEqual((alone["frames"], alone["overlap_ratio"]), (None, 0))
        self.assertEqual(controlled["policy"], "fifo")
        for leg in (controlled, percentage):
            self.assertEqual((leg["apps"], leg["fps_required"], leg["frames"]), (4, 16, 16))
            self.assertEqual(leg["done"] + leg["drops"], leg["frames"])
            self.assertGreater(leg["done"], 0)
        self.assertEqual(controlled["simulated"]["drop_ratio"], 0)
        self.assertAlmostEqual(controlled["difference"]["drop_ratio"], controlled["drop_ratio"])
        self.assertEqual({percentage["percentage"],
                          *(other["percentage"] for other in percentage["percentages_not_kept"])},
                         {25, 50})

    def test_ctrl_c_ends_all_of_it(self):
        process = self.bench("--legs", "sync-controlled", "--seconds", "600")

        def apps():
            with open(f"/proc/{process.pid}/task/{process.pid}/children", encoding="utf-8") as file:
                children = [int(word) for word in file.read().split()]
            return [pid for pid in children if self.command(pid) == "cuda-camera"]
        children = harness.wait_until(lambda: len(apps()) == 4 and apps(), "four apps")
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=harness.DEADLINE_S)
        self.assertEqual(process.returncode, 130, self.said())
        self.assertFalse([pid for pid in children if os.path.exists(f"/proc/{pid}")])

    def test_an_unknown_leg_is_one_line(self):
        run = subprocess.run([STAGGER, "bench", "t4", "--legs", "sync"], capture_output=True,
                             text=True, check=False)
        self.assertEqual(run.returncode, 2)
        self.assertIn("--legs: unknown leg 'sync'; known: alone, sync-uncontrolled", run.stderr)
        self.assertEqual(run.stderr.count("\n"), 1)


if __name__ == "__main__":
    harness.main()
