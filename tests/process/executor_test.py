"""Executors: forwarded sessions answer and compute as bare ones, whatever happens to the executor."""

import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import unittest

import harness

EXECUTOR = os.environ["EXECUTOR"]
FRAMES = os.path.join(harness.APPS, "frames_app")
TOOL = os.path.join(os.path.dirname(__file__), "../../tools/random_model.py")
CORES = sorted(os.sched_getaffinity(0))


class Executor:
    def __init__(self, case, name="e0", *arguments, core=None):
        self.case, self.name, self.arguments = case, name, arguments
        self.device = f"cpu:{CORES[0] if core is None else core}"
        self.socket = os.path.join(case.folder, name)
        self.start()

    def start(self):
        ready, write = os.pipe()
        self.process = self.case.popen(
            [EXECUTOR, "--socket", self.socket, "--device", self.device, "--ready-fd", str(write),
             *self.arguments],
            pass_fds=[write], stdout=subprocess.DEVNULL,
            stderr=open(os.path.join(self.case.folder, self.name + ".log"), "ab"))
        os.close(write)
        if not select.select([ready], [], [], harness.DEADLINE_S)[0] or os.read(ready, 6) != b"READY\n":
            raise AssertionError("the executor did not get ready: " + self.log())
        os.close(ready)

    def log(self):
        with open(os.path.join(self.case.folder, self.name + ".log"), errors="replace") as file:
            return file.read()

    def kill(self):
        self.process.kill()
        self.process.wait()

    def status(self):
        return json.loads(subprocess.run([EXECUTOR, "--status", "--socket", self.socket], check=True,
                                         capture_output=True, timeout=harness.DEADLINE_S).stdout)

    def inferences(self):
        return sum(model["inferences"] for model in self.status()["models"])


class ExecutorTest(harness.ProcessTest):
    def setUp(self):
        super().setUp()
        self.small = os.path.join(self.folder, "small.onnx")
        subprocess.run([sys.executable, TOOL, "small", self.small], check=True)
        self.nobody = os.path.join(self.folder, "nobody")

    def app(self, executors, *arguments, name="app", **more):
        """frames_app, its sessions forwarded to `executors`; bare if that is None."""
        environment = {"STAGGER_EXECUTOR": ",".join(e.socket for e in executors), **more} if executors else {}
        return self.start([FRAMES, *map(str, arguments)], self.nobody if executors else None, name,
                          **environment)

    def bare(self, *arguments):
        return self.app(None, *arguments, name="bare").end()

    def memory_maps(self, app):
        with open(f"/proc/{app.pid}/maps") as maps:
            return sum("memfd:stagger" in line for line in maps)


class Forwarding(ExecutorTest):
    def test_every_question_is_answered_as_bare(self):
        executor = Executor(self)
        detector = os.path.join(harness.CACHE, "models/ssd_mobilenet_v2.onnx")
        for model in (self.model, self.small, detector):
            with self.subTest(model):
                bare = self.bare("describe", model)
                self.assertEqual(bare[0], 0)
                self.assertEqual(self.app([executor], "describe", model).end(), bare)
        self.assertEqual(self.said(), "", "all of them were forwarded")
        self.assertEqual(executor.log().count("to be loaded"), 3)

    def test_the_same_output_four_ways(self):
        arguments = ("run", self.small, 60, 8, 1, 30)
        bare = self.bare(*arguments)
        self.assertEqual(bare[0], 0)
        executor = Executor(self)
        seen = []
        forwarded = self.app([executor], *arguments).end(lambda: seen.append(executor.status()))
        self.assertEqual(forwarded, bare)
        self.assertEqual(seen[0]["models"][0]["inferences"], 30)
        self.assertEqual(seen[0]["slots"][0]["name"], "app")
        # No executor there at all: as without.
        gone = Executor(self, "gone")
        gone.kill()
        self.assertEqual(self.app([gone], *arguments, name="alone").end(), bare)
        self.assertIn("not forwarded to an executor: no executor at", self.said("alone"))
        # Killed midway.
        self.assertEqual(self.app([executor], *arguments).end(executor.kill), bare)

    def test_errors_are_the_runtimes_own(self):
        executor = Executor(self)
        bare = self.bare("errors", self.model)
        self.assertIn("Invalid", "".join(bare[1]))
        self.assertEqual(self.app([executor], "errors", self.model).end(), bare)
        missing = os.path.join(self.folder, "missing.onnx")
        self.assertEqual(self.app([executor], "describe", missing).end(), self.bare("describe", missing))
        with open(missing, "wb") as file:
            file.write(b"this is no model at all")
        bare = self.bare("describe", missing)
        self.assertEqual(bare[0], 4)
        self.assertEqual(self.app([executor], "describe", missing).end(), bare)

    def test_options_reach_the_executor_or_keep_the_session_here(self):
        executor = Executor(self)
        for what in ("optimize-none", "free-dim", "denormal"):
            with self.subTest(what):
                forwarded = self.app([executor], "option", self.model, what, name=what).end()
                self.assertEqual(forwarded, self.bare("option", self.model, what))
                self.assertEqual(self.said(what), "")
        for what, why in (("unknown", "session option session.something_new"),
                          ("custom-ops", "the session has custom operators")):
            with self.subTest(what):
                forwarded = self.app([executor], "option", self.model, what, name=what).end()
                self.assertEqual(forwarded, self.bare("option", self.model, what))
                self.assertIn("stagger: not forwarded to an executor: " + why, self.said(what))
        self.assertEqual(executor.log().count("to be loaded"), 3)

    def test_bindings_and_asynchronous_calls_run_in_the_app(self):
        executor = Executor(self)
        command = self.linked("kinds", 20)
        bare = self.start(command, name="bare").end()
        app = self.start(command, self.nobody, STAGGER_EXECUTOR=executor.socket)
        seen = []
        self.assertEqual(app.end(lambda: seen.append(executor.inferences())), bare)
        self.assertEqual(seen, [5], "plain calls were forwarded")
        self.assertIn("not forwarded to an executor: the app", self.said())

    def test_fork_and_closefrom(self):
        executor = Executor(self)
        command = self.linked("fork")
        self.assertEqual(self.start(command, self.nobody, STAGGER_EXECUTOR=executor.socket).end(),
                         self.start(command, name="bare").end())
        files = []
        for name in ("bare", "app"):
            files.append(os.path.join(self.folder, name + "-files"))
            os.mkdir(files[-1])
        bare = self.start(self.linked("closefrom", files[0]), name="bare").end()
        self.assertEqual(self.start(self.linked("closefrom", files[1]), self.nobody,
                                    STAGGER_EXECUTOR=executor.socket).end(), bare)

    def test_a_model_that_changes_on_disk_stays_what_it_was(self):
        arguments = ("run", self.small, 20, 8, 1, 10)
        bare = self.bare(*arguments)
        executor = Executor(self)
        other = os.path.join(self.folder, "other.onnx")
        shutil.copy(self.model, other)

        def change():
            with open(self.small, "r+b") as file:  # in place, as a careless copy does
                file.write(b"\0" * 100)
            executor.kill()  # so that the app needs the real model now
        self.assertEqual(self.app([executor], *arguments).end(change), bare)


class Sharing(ExecutorTest):
    def test_eight_apps_have_one_model(self):
        executor = Executor(self)
        bare = self.bare("run", self.small, 20, 8, 1, 10)
        apps = [self.app([executor], "run", self.small, 20, 8, 1, 10, name=f"app-{i}") for i in range(8)]
        for app in apps:
            app.await_pause()
        status = executor.status()
        self.assertEqual([(m["slots"], m["loads"]) for m in status["models"]], [(8, 1)])
        # Other options make it another model.
        other = self.app([executor], "option", self.small, "optimize-none", name="other")
        self.assertEqual(other.end()[0], 0)
        self.assertEqual(executor.log().count("to be loaded"), 2)
        for app in apps:
            app.go_on()
            self.assertEqual(app.end(), bare)
        harness.wait_until(lambda: executor.status()["models"] == [], "the model gone with its users")
        self.assertEqual(executor.status()["shared_memory_bytes"], 0)

    def test_models_take_turns_where_memory_is_short(self):
        # The runtime itself counts with the first model it loads; so load one before.
        detector = os.path.join(harness.CACHE, "models/ssd_mobilenet_v2.onnx")
        probe = Executor(self, "probe")
        app = self.app([probe], "run", detector, 1, 8, 0, 0, name="probe-app")
        app.await_pause()
        megabytes = probe.status()["models"][0]["memory_bytes"] >> 20
        app.go_on()
        app.end()
        executor = Executor(self, "tight", "--memory", str(megabytes * 3 // 2))
        bare = self.bare("run", detector, 6, 8, 0, 0, 2, 4)
        other = os.path.join(self.folder, "other.onnx")
        with open(detector, "rb") as file, open(other, "wb") as copy:
            copy.write(file.read() + bytes([0x32, 1, 0x78]))  # another description: another model
        first = self.app([executor], "run", detector, 6, 8, 0, 0, 2, 4, name="first")
        second = self.app([executor], "run", other, 6, 8, 0, 0, 2, 4, name="second")
        for _ in range(3):
            for app in (first, second):
                app.await_pause()
                app.go_on()
        self.assertEqual(first.end(), bare)
        self.assertEqual(second.end(), bare)

    def test_shared_memory_used_up_is_said_and_stays_local(self):
        executor = Executor(self, "e0", "--shared-memory", "1")
        arguments = ("run", self.model, 2, 700)  # 2 MB a frame
        self.assertEqual(self.app([executor], *arguments).end(), self.bare(*arguments))
        self.assertIn("find no room in shared memory", self.said())
        self.assertIn("no shared memory for", executor.log())


class Batching(ExecutorTest):
    def model_of(self, kind):
        path = os.path.join(self.folder, kind + ".onnx")
        subprocess.run([sys.executable, TOOL, kind, path], check=True)
        return path

    def start_checking(self, executor, model, batches):
        """One app per batch size, each with frames of its own, comparing with what they get bare."""
        commands = [("check", model, 1000 * i, batch, os.path.join(self.folder, f"known-{i}"))
                    for i, batch in enumerate(batches)]
        for bare in [self.app(None, *command, name=f"bare-{i}") for i, command in enumerate(commands)]:
            self.assertEqual(bare.end()[0], 0)
        apps = [self.app([executor], *command, name=f"app-{i}") for i, command in enumerate(commands)]
        for app in apps:
            self.assertEqual(app.line(), "running")
        return apps

    def end_checking(self, apps):
        for app in apps:
            app.process.stdin.close()
        for i, app in enumerate(apps):
            code, lines = app.end()
            self.assertEqual((code, lines[1]), (0, "wrong 0"), lines)
            self.assertEqual(self.said(f"app-{i}"), "", "all were forwarded")

    def the_model(self, executor):
        return executor.status()["models"][0]

    def test_what_waits_together_runs_as_one_and_gives_the_same(self):
        executor = Executor(self)
        # One of them sends three items at once.
        apps = self.start_checking(executor, self.model_of("wide"), [1] * 7 + [3])
        # Which sizes come about depends on how the apps meet: of eight that are always busy, one may be
        # served alone each time, and then there are never eight items.
        sizes = lambda model: {point["size"] for point in model["batching"]}
        model = harness.wait_until(lambda: (m := self.the_model(executor))["batched_inferences"] > 150 and
                                   sizes(m) >= {1, 2, 4} and m, "batches")
        self.end_checking(apps)
        self.assertIsNone(model["no_batches_because"])
        self.assertGreater(model["batched_inferences"], 2 * model["batches"], "more than pairs")
        self.assertEqual(executor.log().count("failed"), 0)

    def test_without_batches_each_runs_alone(self):
        executor = Executor(self, "e0", "--max-batch", "1")
        apps = self.start_checking(executor, self.small, [1] * 4)
        model = harness.wait_until(lambda: (m := self.the_model(executor))["inferences"] > 100 and m, "calls")
        self.end_checking(apps)
        self.assertEqual((model["batches"], model["batched_inferences"]), (0, 0))
        self.assertEqual([p["size"] for p in model["batching"]], [1])

    def test_what_fails_in_a_batch_runs_alone(self):
        executor = Executor(self)
        apps = self.start_checking(executor, self.model_of("limited"), [1] * 8)
        model = harness.wait_until(lambda: (m := self.the_model(executor))["no_batches_because"] and m,
                                   "a batch of four, which this model does not take")
        self.assertRegex(model["no_batches_because"], "Gather")
        harness.wait_until(lambda: self.the_model(executor)["inferences"] > model["inferences"] + 100,
                           "they go on")
        self.assertEqual(self.the_model(executor)["batches"], model["batches"])
        self.end_checking(apps)
        self.assertIn("no more batches", executor.log())

    def test_one_whose_requests_fail_takes_nobody_along(self):
        executor = Executor(self)
        model = self.model_of("lookup")
        apps = self.start_checking(executor, model, [1] * 4)
        bad = ("check", model, 1000000, 1, os.path.join(self.folder, "bad"))
        bare = self.bare(*bad)
        self.assertIn("error: ", "".join(bare[1]))
        for i in range(5):
            self.assertEqual(self.app([executor], *bad, name=f"bad-{i}").end(), bare)
        before = self.the_model(executor)["batched_inferences"]
        harness.wait_until(lambda: self.the_model(executor)["batched_inferences"] > before, "batches as before")
        self.assertIsNone(self.the_model(executor)["no_batches_because"])
        self.end_checking(apps)

    def test_a_model_whose_items_touch_is_not_batched(self):
        executor = Executor(self)
        apps = [self.app([executor], "endless", self.model, 300, name=f"app-{i}") for i in range(4)]
        for app in apps:
            while app.line() != "running":
                pass
        harness.wait_until(lambda: executor.inferences() > 100, "calls")
        model = self.the_model(executor)
        for app in apps:
            app.process.stdin.close()
            self.assertEqual(app.end()[1][1], "wrong 0")
        self.assertEqual((model["batch"], model["batches"], model["batching"]), (False, 0, []))


class Split(ExecutorTest):
    def test_threads_and_batches_spread_over_executors(self):
        executors = [Executor(self, f"e{i}") for i in range(2)]
        arguments = ("threads", self.small, 40, 8, 2)
        bare = self.bare(*arguments)
        self.assertEqual((bare[0], bare[1][-1]), (0, "good 160 of 160"), bare)
        self.assertEqual(self.app(executors, *arguments).end(), bare)
        arguments = ("run", self.small, 5, 8, 7, 4)
        seen = []
        look = lambda: seen.extend(e.inferences() for e in executors)
        self.assertEqual(self.app(executors, *arguments).end(look), self.bare(*arguments))
        self.assertEqual(seen, [4, 4], "each batch was divided")
        self.assertEqual(self.said(), "")

    def test_a_model_whose_items_touch_is_not_split(self):
        executors = [Executor(self, f"e{i}") for i in range(2)]
        self.assertEqual(self.app(executors, "run", self.model, 3, 8, 8).end(),
                         self.bare("run", self.model, 3, 8, 8))
        self.assertEqual(executors[0].log().count("failed") + executors[1].log().count("failed"), 0)

    def test_pipeline_returns_the_frame_before(self):
        executors = [Executor(self, f"e{i}") for i in range(2)]
        code, lines = self.bare("run", self.small, 12, 8, 1)
        results = [line.split(" ", 1)[1] for line in lines]
        for depth in (1, 3):
            _, piped = self.app(executors, "run", self.small, 12, 8, 1,
                                STAGGER_PIPELINE=str(depth)).end()
            self.assertEqual([line.split(" ", 1)[1] for line in piped],
                             [results[max(0, i - depth)] for i in range(12)])
        # One executor dies between two calls: its frame runs again on the other, or here.
        app = self.app(executors, "run", self.small, 12, 8, 1, 6, STAGGER_PIPELINE="1")
        _, piped = app.end(executors[0].kill)
        self.assertEqual([line.split(" ", 1)[1] for line in piped if line != "pause"],
                         [results[max(0, i - 1)] for i in range(12)])

    def test_pipeline_refuses_a_second_thread(self):
        executor = Executor(self)
        code, lines = self.app([executor], "threads", self.small, 5, 8, 1, STAGGER_PIPELINE="1").end()
        self.assertEqual(code, 4)
        self.assertIn("was called from a second thread", "".join(lines))


class Killed(ExecutorTest):
    def test_a_hundred_kills_and_no_wrong_answer(self):
        executors = [Executor(self, f"e{i}") for i in range(2)]
        app = self.app(executors, "endless", self.small, 8, 1)
        while app.line() != "running":
            pass
        for round_number in range(100):
            executor = executors[round_number % 2]
            executor.kill()
            executor.start()
            if round_number % 10 == 9:  # it comes back to both
                for each in executors:
                    harness.wait_until(lambda: each.inferences() > 0, "forwarding again")
        self.assertLessEqual(self.memory_maps(app), 2 + 2 + 1 + 64, "no mapping is left behind")
        descriptors = len(os.listdir(f"/proc/{app.pid}/fd"))
        app.process.stdin.close()
        code, lines = app.end()
        self.assertEqual(code, 0)
        self.assertEqual(lines[1], "wrong 0")
        self.assertGreater(int(lines[2].split()[1]), 100)
        self.assertLess(descriptors, 30)
        for each in executors:
            harness.wait_until(lambda: each.status()["shared_memory_bytes"] == 0, "memory given back")

    def test_an_app_that_dies_leaves_nothing(self):
        executor = Executor(self)
        for _ in range(3):
            app = self.app([executor], "endless", self.small, 8, 1)
            while app.line() != "running":
                pass
            app.kill()
        harness.wait_until(lambda: executor.status()["models"] == [], "models gone")
        self.assertEqual(executor.status()["shared_memory_bytes"], 0)

    def test_nonsense_on_the_socket_hurts_nobody(self):
        executor = Executor(self)
        bare = self.bare("run", self.small, 10, 8, 1, 5)

        def rubbish():
            for packet in (b"x", b"\0" * 60000, bytes.fromhex("4500000010000000") + b"\0" * 16):
                with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as one:
                    one.connect(executor.socket)
                    one.send(packet)
                    one.settimeout(harness.DEADLINE_S)
                    self.assertRegex(one.recv(4096), b"not understood|out of turn")
        self.assertEqual(self.app([executor], "run", self.small, 10, 8, 1, 5).end(rubbish), bare)


class CommandLine(ExecutorTest):
    def stagger(self, *arguments):
        environment = {k: v for k, v in os.environ.items() if not k.startswith("STAGGER_")}
        return subprocess.run([os.environ["STAGGER"], *arguments], capture_output=True, text=True,
                              env=environment, timeout=harness.DEADLINE_S)

    @unittest.skipIf(len(CORES) < 2, "one core is no two devices")
    def test_a_site_with_cores_as_devices(self):
        site = os.path.join(self.folder, "site.yaml")
        cores = ", ".join(f"cpu:{core}" for core in CORES[:2])
        with open(site, "w") as file:
            file.write(f"devices: [{cores}]\napps:\n  - name: app\n    executor: true\n    copies: 2\n"
                       f"    command: [{FRAMES}, run, {self.small}, '20', '8', '1']\n")
        run = self.stagger("up", site, "--http", "off", "--socket", os.path.join(self.folder, "s"))
        self.assertEqual(run.returncode, 0, run.stderr)
        _, bare = self.bare("run", self.small, 20, 8, 1)
        for name in ("app-1", "app-2"):
            prefix = f"{name} | "
            self.assertEqual([line.removeprefix(prefix) for line in run.stdout.splitlines()
                              if line.startswith(prefix)], bare)
        self.assertNotIn("not forwarded", run.stderr)
        for core in CORES[:2]:
            self.assertRegex(run.stderr, rf"executor-cpu:{core} .*to be loaded")

    def test_run_names_executors(self):
        executor = Executor(self)
        run = self.stagger("run", "--socket", self.nobody, "--name", "gate", "--executor",
                           executor.socket, "--", FRAMES, "run", self.small, "3", "8", "1")
        self.assertEqual((run.returncode, run.stdout.splitlines()), self.bare("run", self.small, 3, 8, 1))
        self.assertIn("gate: model", executor.log())
        run = self.stagger("run", "--pipeline", "1", "--", "true")
        self.assertEqual(run.returncode, 2)
        self.assertIn("--pipeline: only with --executor", run.stderr)

    def test_bad_usage(self):
        for arguments, words in ((("--device", "gpu:x"), "one GPU as in gpu:0"),
                                 (("--device", "gpu:0,gpu:1"), "one GPU as in gpu:0"),
                                 (("--device", "gpu:0", "--share", "0.5"), "--share: of one core only"),
                                 (("--device", "cpu:x"), "expected cpu, one core"),
                                 (("--device", "cpu:1023"), "there is no such core"),
                                 (("--max-batch", "0"), "--max-batch"),
                                 (("--memory", "-1"), "--memory")):
            run = subprocess.run([EXECUTOR, "--socket", self.nobody, *arguments],
                                 capture_output=True, text=True, timeout=harness.DEADLINE_S)
            self.assertEqual(run.returncode, 2)
            self.assertIn(words, run.stderr)
        run = subprocess.run([EXECUTOR, "--status", "--socket", self.nobody], capture_output=True,
                             text=True, timeout=harness.DEADLINE_S)
        self.assertEqual(run.returncode, 1)

    def test_two_executors_do_not_share_a_socket(self):
        executor = Executor(self)
        run = subprocess.run([EXECUTOR, "--socket", executor.socket], capture_output=True, text=True,
                             timeout=harness.DEADLINE_S)
        self.assertEqual(run.returncode, 1)
        executor.process.send_signal(signal.SIGTERM)
        self.assertEqual(executor.process.wait(harness.DEADLINE_S), 0, executor.log())
        self.assertFalse(os.path.exists(executor.socket))


if __name__ == "__main__":
    harness.main()
