"""`stagger bench hooks`, small: its JSON holds together. What the figures are is not judged here."""

import json
import os
import subprocess

import harness

STAGGER = os.environ["STAGGER"]


class BenchHooks(harness.ProcessTest):
    def setUp(self):
        super().setUp()
        done = subprocess.run([STAGGER, "bench", "hooks", "--json", "--repeats", "1", "--seconds", "0.3",
                               "--blocks", "20"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              timeout=600, check=False)
        self.assertIn(done.returncode, (0, 1), done.stderr)  # 1: a claim failed, on a busy machine
        self.report = json.loads(done.stdout)
        self.code = done.returncode

    def test_the_report_holds_together(self):
        report = self.report
        self.assertEqual((report["bench"], report["repeats"]), ("hooks", 1))
        calls = {call["call"]: call for call in report["calls"]}
        self.assertLessEqual({"launch in a body", "not hooked"}, set(calls))
        legs = {leg["name"]: leg for leg in report["legs"]}
        for kernels in ("60", "2000"):
            for way in ("bare", "controlled"):
                leg = legs[f"alone-{kernels}-{way}"]
                self.assertGreater(leg["done"], 0)
                self.assertEqual(leg["policy"], "fifo" if way == "controlled" else None)
        by_hand = legs["hand-over-by-hand"]
        self.assertEqual((by_hand["apps"], by_hand["policy"]), (2, None))
        self.assertGreater(by_hand["release_ms"], 0, "nobody begins before the other is done")
        leg = legs["hand-over"]
        self.assertEqual(leg["apps"], 2)
        self.assertGreater(leg["ping_pong_ms"], 0)
        self.assertGreater(leg["release_ms"], 0, "nobody begins before the other is done")
        self.assertGreater(leg["gap_ms"]["p50"], 0, "bodies follow each other")
        self.assertAlmostEqual(leg["gap_rest_ms"] + leg["gap_of_virtual_gpu_ms"],
                               leg["gap_ms"]["p50"], places=6)
        self.assertTrue(0 <= leg["idle_ratio"] <= 1, leg["idle_ratio"])
        verdicts = [claim["verdict"] for claim in report["claims"]]
        self.assertEqual(len(verdicts), len(calls) + 5)
        self.assertEqual(self.code, 1 if "fail" in verdicts else 0)


if __name__ == "__main__":
    harness.main()
