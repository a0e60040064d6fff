"""The suite's arithmetic, on made-up runs whose answers are known."""

import json
import os
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import bodies
import matrix
import report

MS = 1_000_000


def recording(*events):
    file = tempfile.NamedTemporaryFile("w", suffix=".rec")
    for event in events:
        file.write(json.dumps(event) + "\n")
    file.flush()
    return file


class Bodies(unittest.TestCase):
    def test_turns_are_read_from_a_recording(self):
        ask = lambda at, seq, actions: {"at_ns": at, "event": "requested", "client": 2, "seq": seq,
                                        "actions": actions}
        grant = lambda seq: {"action": "grant", "client": 2, "seq": seq}
        with recording({"stagger_recording": 1}, ask(10, 1, [grant(1)]), ask(20, 2, []),
                       {"at_ns": 30, "event": "released", "client": 2, "seq": 1, "actions": [grant(2)]},
                       {"at_ns": 45, "event": "released", "client": 2, "seq": 2, "actions": []},
                       ask(50, 3, [grant(3)])) as file:
            self.assertEqual(bodies.turns_of(file.name), [[10, 10, 30], [20, 30, 45]])

    def test_busy_time_counts_overlapping_kernels_once(self):
        self.assertEqual(bodies.busy([(0, 10), (5, 20), (30, 40)]), 30)
        self.assertEqual(bodies.busy([(0, 10), (5, 20), (30, 40)], 8, 35), 17)

    def test_a_body_and_its_turn(self):
        # Body kernels from 10 to 40 ms, post-processing at 60; the turn from 9.5 to 42.
        kernels = [[10 * MS, 25 * MS], [25 * MS, 40 * MS], [60 * MS, 65 * MS]]
        seen = bodies.compare([(5 * MS, 70 * MS)], kernels, [[9 * MS, 9.5 * MS, 42 * MS]])
        self.assertEqual((seen["inferences"], seen["with_one_turn"], seen["without_a_turn"]), (1, 1, 0))
        self.assertEqual(seen["kernels_per_inference"], 3)
        self.assertAlmostEqual(seen["inside_ratio"]["p50"], 30 / 35, 3)
        self.assertEqual(seen["kernels_before_grant"]["p50"], 0)
        self.assertEqual(seen["kernels_after_turn"]["p50"], 1)
        self.assertEqual(seen["first_kernel_after_grant_ms"]["p50"], 0.5)
        self.assertEqual(seen["release_after_last_kernel_ms"]["p50"], 2)

    def test_a_turn_that_is_missing_and_one_too_many(self):
        kernels = [[10 * MS, 20 * MS], [110 * MS, 120 * MS]]
        turns = [[109 * MS, 109 * MS, 115 * MS], [116 * MS, 116 * MS, 121 * MS]]
        seen = bodies.compare([(5 * MS, 30 * MS), (105 * MS, 130 * MS)], kernels, turns)
        self.assertEqual((seen["with_one_turn"], seen["without_a_turn"]), (0, 1))
        self.assertEqual(seen["turns_per_inference"], 1)
        self.assertIsNone(seen["inside_ratio"])

    def test_an_apps_own_notes(self):
        notes = [[i, i * 100 * MS, (i * 100 + 5) * MS, 0, (i * 100 + 40) * MS, (i * 100 + 60) * MS]
                 for i in range(3)]
        turns = [[5 * MS, 5 * MS, 41 * MS], [105 * MS, 105 * MS, 150 * MS]]
        self.assertEqual(bodies.against_truth(notes, turns),
                         {"found": 1, "missed": 1, "further_turns": 0})


class Matrix(unittest.TestCase):
    def test_a_window(self):
        # 10 fps for 1 s; one app in time, one 150 ms late and half as often.
        fast = [(i * 100 * MS, i * 100 * MS, i * 100 * MS + 20 * MS, i * 100 * MS + 20 * MS)
                for i in range(20)]
        slow = [(i * 200 * MS, i * 200 * MS + 100 * MS, i * 200 * MS + 150 * MS, i * 200 * MS + 150 * MS)
                for i in range(10)]
        seen = matrix.judge([fast, slow], 0, 1000 * MS, 10)
        self.assertEqual((seen["done"], seen["fps"], seen["app_fps"]), (15, 15, [5, 10]))
        self.assertAlmostEqual(seen["miss_ratio"], 0.5)
        self.assertEqual(seen["latency_p99_ms"], 150)
        self.assertEqual(seen["inference_p50_ms"], 20)

    def test_percentiles(self):
        self.assertEqual(matrix.percentile(range(1, 101), 0.99), 99)
        self.assertEqual(matrix.percentile([7], 0.99), 7)
        self.assertIsNone(matrix.percentile([], 0.5))

    def test_the_verdict_is_against_the_better_of_off_and_mps(self):
        legs = {"off": {"fps": 100.0}, "edf k=auto": {"fps": 98.0}}
        self.assertTrue(matrix.verdict(legs)["good"])
        legs["mps"] = {"fps": 102.0}
        self.assertFalse(matrix.verdict(legs)["good"])
        self.assertIsNone(matrix.verdict({"off": {"fps": 100.0}}))


class Report(unittest.TestCase):
    def test_what_differs_fails(self):
        row = {"ways": {"bare": "a", "controlled": "b"}, "same": False, "killed_midway": True,
               "failures": {}}
        part = {"part": "outputs", "status": "done", "why": "", "seconds": 1, "result": {"x": row}}
        self.assertEqual(report.exit_code([part]), 1)
        self.assertIn("outputs differ or failed: x", report.markdown([part], False))
        row["same"] = True
        self.assertEqual(report.exit_code([part]), 0)

    def test_half_a_result_is_still_a_page(self):
        part = {"part": "costs", "status": "out of time", "why": "", "seconds": 1, "result": {"unit": "ns"}}
        self.assertIn("not shown", report.markdown([part], False))


unittest.main()
