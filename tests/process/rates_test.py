"""Calls beyond the rate a stream needs: paced, answered with the outputs of the call before, or let through.

A rate is never exceeded, on any machine: that is asserted of the times that the app itself tells. How evenly calls are
spread is tested in simulated time (tests/base/slot_clock_test.cc).
"""

import os
import subprocess
import sys
import unittest

import harness
from harness import wait_until

FRAMES = os.path.join(harness.APPS, "frames_app")
TOOL = os.path.join(os.path.dirname(__file__), "../../tools/random_model.py")
STAGGER = os.environ["STAGGER"]


class RatesTest(harness.ProcessTest):
    def setUp(self):
        super().setUp()
        self.daemon = harness.Daemon(self)

    def camera(self, count, fps, *pauses, kind="new", name="app", model=None, **more):
        """frames_app: `count` frames of a camera of `fps`, 0: always one ready."""
        socket = self.daemon.socket if more else None
        return self.start([FRAMES, "camera", model or self.model, str(count), "8", str(fps), kind,
                           *map(str, pauses)], socket, name, **more)

    def finish(self, app, *at_pauses):
        """The exit code, and a line per frame."""
        pauses = iter(at_pauses)
        code, lines = app.end(lambda: next(pauses)())
        return code, [line for line in lines if line != "pause"]

    def bare(self, count, kind="new", model=None):
        """What each frame gives if it is computed."""
        code, lines = self.finish(self.camera(count, 0, kind=kind, name="bare", model=model))
        self.assertEqual((code, len(lines)), (3, count))
        return [line.split(" ", 2)[2] for line in lines]

    def sources(self, lines, bare):
        """By frame: the frame whose outputs it got. Text of all values' sum, first and last: each frame's differ."""
        self.assertEqual(len(set(bare)), len(bare), "frames cannot be told apart")
        frame_of = {text: i for i, text in enumerate(bare)}
        return [frame_of[line.split(" ", 2)[2]] for line in lines]

    def stagger(self, verb, *arguments):
        return subprocess.run([STAGGER, verb, *arguments, "--socket", self.daemon.socket], check=True, text=True,
                              capture_output=True).stdout

    def attached(self, name="app"):
        wait_until(lambda: self.daemon.stream(name), "the app is attached")

    def check_reuse(self, lines, bare, first):
        """From frame `first` on: each frame has the outputs of the last that was computed."""
        sources = self.sources(lines, bare)
        for i, (line, source) in enumerate(zip(lines, sources)):
            self.assertEqual(int(line.split()[0]), i)
            self.assertIn(source, (i, sources[max(i - 1, 0)]), f"frame {i}")
        return [i for i, source in enumerate(sources) if source == i and i >= first]

    def assert_within_rate(self, lines, computed, fps):
        """One call a slot; and the first may come with the one that is made up for."""
        times = [float(lines[i].split()[1]) for i in computed] or [0.0]  # before the next slot: none
        self.assertLessEqual(len(times), (times[-1] - times[0]) / 1000 * fps + 3.5)

    def test_reuse_gives_the_outputs_of_the_call_before_and_keeps_the_rate(self):
        for kind in ("new", "kept"):
            with self.subTest(kind):
                bare = self.bare(130, kind)
                seen = []
                app = self.camera(130, 60, 3, 129, kind=kind, name=kind, STAGGER_FPS="8", STAGGER_EXCESS="reuse")
                tables = []
                code, lines = self.finish(app, lambda: self.attached(kind),
                                          lambda: (seen.append(self.daemon.fresh_status()["streams"][0]),
                                                   tables.append(self.stagger("status"))))
                self.assertEqual(code, 3)
                computed = self.check_reuse(lines[:129], bare[:129], 3)
                self.assert_within_rate(lines, computed, 8)
                stream = seen[0]
                self.assertEqual((stream["excess"], stream["reuse_refused"]), ("reuse", 0))
                # Frame 2 had its turn if the app was attached by then.
                self.assertIn(stream["done"] - len(computed), (0, 1))
                # All that came before the last computed call are told, and no more than there were.
                self.assertGreaterEqual(stream["skipped"], computed[-1] - 3 - len(computed) + 1)
                self.assertLessEqual(stream["skipped"], 126 - len(computed))
                self.assertRegex(tables[0], r"SKIPPED")
                self.assertIn(f"{kind}: calls beyond its rate get the outputs of the call before", tables[0])
                self.assertEqual(self.said(kind), "")

    def test_a_killed_daemon_takes_the_rate_with_it(self):
        bare = self.bare(60)
        app = self.camera(60, 60, 3, 30, STAGGER_FPS="2", STAGGER_EXCESS="reuse")
        code, lines = self.finish(app, self.attached, self.daemon.kill)
        self.assertEqual(code, 3)
        sources = self.sources(lines, bare)
        self.assert_within_rate(lines, [i for i in range(3, 30) if sources[i] == i], 2)
        self.assertEqual(sources[31:], list(range(31, 60)), "all run again")

    def test_reuse_is_refused_where_copies_would_not_be_the_streams_own(self):
        # Two threads, one session. What they get must be their own.
        command = [FRAMES, "threads", self.model, "40", "8", "0"]
        bare = self.start(command, name="bare").end()
        seen = []
        threads = self.start(command, self.daemon.socket, "threads", STAGGER_FPS="1", STAGGER_EXCESS="reuse",
                             STAGGER_WARMUP="4")
        self.assertEqual(threads.end(lambda: self.attached("threads")), bare)
        self.assertIn("stagger: excess 'reuse' refused for a session: ", self.said("threads"))
        self.assertEqual(self.said("threads").count("\n"), 1)
        # Shapes that vary.
        bare = self.bare(8, "varying")
        app = self.camera(8, 60, 7, kind="varying", name="varying", STAGGER_FPS="1", STAGGER_EXCESS="reuse")
        code, lines = self.finish(app, lambda: seen.append(wait_until(
            lambda: (s := self.daemon.stream("varying")) and s["reuse_refused"] == 1 and s, "told")))
        self.assertEqual((code, self.sources(lines, bare)), (3, list(range(8))))
        self.assertIn("its calls differ in the shapes or outputs", self.said("varying"))
        self.assertEqual(seen[0]["skipped"], 0)
        # Bindings and asynchronous calls.
        bare = self.start(self.linked("kinds", 8), name="bare").end()
        app = self.start(self.linked("kinds", 8), self.daemon.socket, "kinds", STAGGER_FPS="1",
                         STAGGER_EXCESS="reuse")
        self.assertEqual(app.end(), bare)
        self.assertIn("the app calls asynchronously", self.said("kinds"))

    def test_pace_keeps_the_rate_and_every_result(self):
        bare = self.bare(33)
        app = self.camera(33, 0, 2, 32, STAGGER_FPS="10", STAGGER_EXCESS="pace")
        seen = []
        code, lines = self.finish(app, self.attached,
                                  lambda: seen.append(self.daemon.fresh_status()["streams"][0]))
        self.assertEqual((code, self.sources(lines, bare)), (3, list(range(33))))
        # 30 calls: the second came with the first, the others one period apart.
        self.assertGreaterEqual(float(lines[31].split()[1]), 27 * 100)
        self.assertEqual((seen[0]["excess"], seen[0]["skipped"]), ("pace", 0))
        # At most all but the first two, and those that went on on trial: the 2nd early one, the 4th after it, the 8th ...
        held = seen[0]["deferred"]
        self.assertTrue(0 < held <= 25, held)
        # Else all that were held would be, by a whole period.
        self.assertLess(seen[0]["deadline_miss_ratio"], 0.5, "a call that waited for its slot is not late")
        for more in ({"STAGGER_EXCESS": "pass"}, {}):
            with self.subTest(more):  # nothing is held where all passes, or where no rate is stated
                settings = {"STAGGER_FPS": "1", **more} if more else {"STAGGER_WARMUP": "2"}
                self.assertEqual(self.finish(self.camera(33, 0, 2, name="free", **settings),
                                             lambda: self.attached("free"))[0], 3)
                with open(os.path.join(self.folder, "daemon.log")) as log:
                    self.assertIn("stream 'free' joined", log.read())
        self.assertEqual(self.daemon.totals()["deferred"], held)

    def test_a_camera_of_the_required_rate_is_not_held(self):
        app = self.camera(14, 4, 2, 13, STAGGER_FPS="4")
        seen = []
        code, _ = self.finish(app, self.attached,
                              lambda: seen.append(self.daemon.fresh_status()["streams"][0]))
        self.assertEqual(code, 3)
        self.assertEqual((seen[0]["excess"], seen[0]["skipped"]), ("pace", 0))
        # None, but for those that come early after one that a busy machine made late.
        self.assertLess(seen[0]["deferred"], 5)

    def test_policy_off_keeps_no_rate(self):
        self.stagger("policy", "off")
        for excess in ("pace", "reuse"):
            bare = self.bare(20)
            app = self.camera(20, 0, 2, name=excess, STAGGER_FPS="1", STAGGER_EXCESS=excess)
            code, lines = self.finish(app, lambda: self.attached(excess))
            self.assertEqual((code, self.sources(lines, bare)), (3, list(range(20))))
            self.assertLess(float(lines[-1].split()[1]), 15000, "at its rate it would take 17 s and more")

    def test_executors_get_no_more_than_the_rate(self):
        small = os.path.join(self.folder, "small.onnx")
        subprocess.run([sys.executable, TOOL, "small", small], check=True)
        from executor_test import Executor
        bare = self.bare(62, model=small)
        for excess in ("reuse", "pace"):
            with self.subTest(excess):
                executor = Executor(self, excess)
                app = self.camera(62, 60, 2, model=small, name=excess, STAGGER_FPS="20", STAGGER_EXCESS=excess,
                                  STAGGER_EXECUTOR=executor.socket)
                code, lines = self.finish(app, lambda: self.attached(excess))
                self.assertEqual(code, 3)
                if excess == "reuse":
                    computed = self.check_reuse(lines, bare, 2)
                    self.assert_within_rate(lines, computed, 20)
                else:
                    self.assertEqual(self.sources(lines, bare), list(range(62)))
                    self.assertGreaterEqual(float(lines[-1].split()[1]), 57 * 50)
                self.assertEqual(self.said(excess), "")

    def test_the_command_line_says_what_is_wrong(self):
        for options, complaint in (
                (["--fps", "4", "--excess", "drop"], "--excess: 'drop': expected 'pace', 'reuse' or 'pass'"),
                (["--excess", "reuse"], "run: --excess reuse: only beside a rate (fps)"),
                (["--fps", "4", "--excess", "reuse", "--executor", "/tmp/none", "--pipeline", "1"],
                 "run: --excess reuse: not beside a pipeline")):
            run = subprocess.run([STAGGER, "run", *options, "--", "true"], capture_output=True, text=True)
            self.assertEqual(run.returncode, 2)
            self.assertIn(complaint, run.stderr)


if __name__ == "__main__":
    harness.main()
