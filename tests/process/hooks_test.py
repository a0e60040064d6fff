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
                              timeout=100, check=False)
        self.assertIn(done.returncode, (0, 1), done.stderr)  # 1: a claim failed, on a busy machine
        self.report = json.loads(done.stdout)
        self.code = done.returncode

    def test_the_report_holds_together(self):
        report = self.report
        self.assertEqual((report["bench"], report["repeats"]), ("hooks", 1))
        calls = {call["call"]: call for call in report["calls"]}
        self.assertGreater(calls["launch in a body"]["added_ns"], 0)
        # A call that is not hooked is the driver's own function: what is left is noise.
        self.assertLess(abs(calls["not hooked"]["added_ns"]),
                        0.5 * calls["launch in a body"]["added_ns"])
        legs = {leg["name"]: leg for leg in report["legs"]}
        for way in ("bare", "controlled"):
            leg = legs[f"alone-60-{way}"]
            self.assertGreater(leg["done"], 0)
            self.assertEqual(leg["policy"], "fifo" if way == "controlled" else None)
            # The device's own word: no body is shorter than it would be alone.
            self.assertGreater(leg["body_ms"]["min"], 38)
        verdicts = [claim["verdict"] for claim in report["claims"]]
        self.assertEqual(len(verdicts), len(calls) + 1)
        self.assertEqual(self.code, 1 if "fail" in verdicts else 0)


if __name__ == "__main__":
    harness.main()
