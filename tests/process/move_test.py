"""Moving: the daemon tells running apps where their inferences go, and nothing is lost on the way."""

import os
import subprocess

import executor_test
import harness

CORES = executor_test.CORES


class MoveTest(executor_test.ExecutorTest):
    def setUp(self):
        super().setUp()
        self.daemon = harness.Daemon(self)
        self.executors = [self.executor(f"e{i}", CORES[i % len(CORES)]) for i in range(2)]

    def executor(self, name, core):
        """An executor with the agent preloaded, as `stagger up` starts it: a stream of the daemon."""
        environment = {"LD_PRELOAD": harness.AGENT, "STAGGER_SOCKET": self.daemon.socket,
                       "STAGGER_NAME": f"executor-{name}"}
        before = {key: os.environ.get(key) for key in environment}
        os.environ.update(environment)
        try:
            return executor_test.Executor(self, name, core=core)
        finally:
            for key, value in before.items():
                if value is None:
                    del os.environ[key]
                else:
                    os.environ[key] = value

    def forwarding(self, executors, *arguments, name="app", **more):
        """frames_app as a stream of the daemon; `executors` may be none: wherever it is told."""
        return self.start([executor_test.FRAMES, *map(str, arguments)], self.daemon.socket, name,
                          STAGGER_EXECUTOR=",".join(e.socket for e in executors), **more)

    def stagger(self, *arguments):
        environment = {k: v for k, v in os.environ.items() if not k.startswith("STAGGER_")}
        return subprocess.run([os.environ["STAGGER"], *map(str, arguments)], capture_output=True,
                              text=True, env=environment, timeout=harness.DEADLINE_S)

    def move(self, *arguments, app="app"):
        run = self.stagger("move", app, "--socket", self.daemon.socket, *arguments)
        self.assertEqual((run.returncode, run.stderr), (0, ""))

    def to(self, *executors):
        self.move("--to", ",".join(e.socket for e in executors))

    def await_stream(self, condition, what, name="app"):
        return harness.wait_until(lambda: (s := self.daemon.stream(name)) and condition(s) and s, what)

    def await_running(self, app):
        while (line := app.line()) != "running":
            self.assertIsNotNone(line, f"{app.lines} {self.said()}")

    def await_empty(self, executor):
        harness.wait_until(lambda: (s := executor.status())["models"] == [] and s["slots"] == [] and
                           s["shared_memory_bytes"] == 0, f"{executor.name} left: {executor.status()}")


class Moving(MoveTest):
    def test_fifty_moves_under_load_lose_nothing(self):
        app = self.forwarding(self.executors[:1], "endless", self.small, 8, 8, self.model)
        self.await_running(app)
        for round_number in range(50):
            new, old = self.executors[(round_number + 1) % 2], self.executors[round_number % 2]
            self.to(new)  # returns once the app says that it has moved
            if round_number % 10 == 9:
                self.await_empty(old)
                self.assertEqual(len(new.status()["models"]), 2)
        stream = self.await_stream(lambda s: s["on"] == ["executor-e0"], "seen where it is")
        self.assertGreater(stream["forwarded"], 100)
        self.assertEqual(stream["assigned_to"], ["executor-e0"])
        self.assertEqual(stream["device"], None, "the executors ask for turns, the app for none")
        # The daemon dies: the app stays where it is.
        self.daemon.kill()
        before = self.executors[0].inferences()
        harness.wait_until(lambda: self.executors[0].inferences() > before + 10, "going on")
        self.await_empty(self.executors[1])
        # And its successor learns where that is.
        self.daemon.start()
        self.await_stream(lambda s: s["on"] == ["executor-e0"] and s["assigned_to"] is None,
                          "a new daemon that knows")
        self.assertLessEqual(self.memory_maps(app), 2 + 2 + 2, "no mapping is left behind")
        descriptors = len(os.listdir(f"/proc/{app.pid}/fd"))
        app.process.stdin.close()
        code, lines = app.end()
        self.assertEqual((code, lines[1]), (0, "wrong 0"))
        self.assertGreater(int(lines[4].split()[1]), 100)
        self.assertLess(descriptors, 30)
        self.assertEqual(self.said(), "")

    def test_into_the_app_and_back(self):
        app = self.forwarding(self.executors[:1], "endless", self.small, 8, 1)
        self.await_running(app)
        self.move("--here")
        stream = self.await_stream(lambda s: s["on"] == [] and s["granted"] > 10, "turns of its own")
        self.await_empty(self.executors[0])
        self.to(self.executors[1])
        granted = self.await_stream(lambda s: s["forwarded"] > stream["forwarded"] + 10, "away")["granted"]
        self.to(*self.executors)  # and to both
        for each in self.executors:
            harness.wait_until(lambda: each.inferences() > 10, "both serve")
        self.assertLessEqual(self.daemon.stream("app")["granted"], granted + 1)
        app.process.stdin.close()
        self.assertEqual(app.end()[1][1], "wrong 0")

    def test_pipelined_frames_keep_their_order(self):
        code, lines = self.bare("run", self.small, 24, 8, 1)
        results = [line.split(" ", 1)[1] for line in lines]
        app = self.forwarding(self.executors[:1], "run", self.small, 24, 8, 1, 6, 12, 18,
                              STAGGER_PIPELINE="2")
        turns = iter((self.executors[1:], [], self.executors[:1]))

        def move():
            executors = next(turns)
            self.to(*executors) if executors else self.move("--here")
        _, piped = app.end(move)
        self.assertEqual([line.split(" ", 1)[1] for line in piped if line != "pause"],
                         [results[max(0, i - 2)] for i in range(24)])

    def test_an_executor_that_is_not_there_is_not_moved_to(self):
        app = self.forwarding(self.executors[:1], "run", self.small, 30, 8, 1, 10, 20)
        app.await_pause()
        run = self.stagger("move", "app", "--socket", self.daemon.socket, "--to", self.nobody,
                           "--wait", "0.2")
        self.assertEqual(run.returncode, 1)
        self.assertIn("app (on executor-e0)", run.stderr)
        app.go_on()
        app.await_pause()
        self.assertEqual(self.executors[0].inferences(), 20)
        app.go_on()
        self.assertEqual(app.end(), self.bare("run", self.small, 30, 8, 1, 10, 20))


class Starting(MoveTest):
    def test_an_app_with_no_executors_goes_where_it_is_told(self):
        bare = self.bare("run", self.small, 30, 8, 1, 10)
        # Told before it starts: its model is never loaded in the app.
        self.daemon_says("app", [self.executors[1].socket])
        seen = []
        app = self.forwarding([], "run", self.small, 30, 8, 1, 10)
        self.assertEqual(app.end(lambda: seen.append(self.executors[1].inferences())), bare)
        self.assertEqual(seen, [10])
        # Started again, as a supervisor would: the same.
        app = self.forwarding([], "run", self.small, 30, 8, 1, 10)
        self.assertEqual(app.end(lambda: seen.append(self.executors[1].inferences())), bare)
        self.assertEqual(seen, [10, 10])
        # Told nothing: in the app, until it is told.
        app = self.forwarding([], "run", self.small, 30, 8, 1, 10, name="other")
        app.await_pause()
        self.assertEqual(self.await_stream(lambda s: s["forwards"], "said so", "other")["on"], [])
        self.move("--to", "executor-e0", app="other")
        app.go_on()
        app.end()
        self.assertEqual(app.lines, bare[1])
        self.assertIn("stream 'other' left: pid", self.log_when("stream 'other' left"))
        self.assertRegex(self.executors[0].log(), "other: model")

    def daemon_says(self, name, executors):
        run = self.stagger("move", name, "--socket", self.daemon.socket, "--to", ",".join(executors))
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertIn("no stream", run.stderr)

    def log_when(self, words):
        return harness.wait_until(lambda: words in self.daemon.log() and self.daemon.log(), words)

    def test_executors_are_known_from_their_start_to_their_death(self):
        self.await_stream(lambda s: s["serves"] == self.executors[0].socket, "known before any use",
                          "executor-e0")
        self.executors[0].kill()
        harness.wait_until(lambda: self.daemon.stream("executor-e0") is None, "gone")
        self.daemon.kill()
        self.daemon.start()
        self.await_stream(lambda s: s["serves"] == self.executors[1].socket, "known to a new daemon",
                          "executor-e1")

    def test_the_table_shows_where_apps_run(self):
        run = self.stagger("run", "--socket", self.daemon.socket, "--name", "gate", "--executor", "auto",
                           "--pipeline", "1", "--", "true")
        self.assertEqual(run.returncode, 0, run.stderr)
        run = self.stagger("run", "--executor", "auto,/tmp/e0", "--", "true")
        self.assertEqual(run.returncode, 2)
        app = self.forwarding(self.executors[:1], "run", self.small, 5, 8, 1, 4)
        app.await_pause()
        self.await_stream(lambda s: s["done"] == 4, "counted")
        status = self.stagger("status", "--socket", self.daemon.socket)
        self.assertRegex(status.stdout, r"(?m)^app .* executor-e0$")
        app.go_on()
        app.end()


if __name__ == "__main__":
    harness.main()
