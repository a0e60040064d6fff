"""Small apps that use the runtime in every way an app may: same output with and without control."""

import os

import harness


class FourWays(harness.ProcessTest):
    def check(self, command, granted=1, **environment):
        """Runs `command` bare, alone and under a daemon; returns the outcome and the totals."""
        bare = self.start(command, name="bare").end()
        nobody = os.path.join(self.folder, "nobody")
        self.assertEqual(self.start(command, nobody, "alone", **environment).end(), bare,
                         "agent without a daemon")
        daemon = harness.Daemon(self, "--lease-floor", "60000")
        attached = lambda: harness.wait_until(lambda: daemon.stream("app"), "attached")
        self.assertEqual(self.start(command, daemon.socket, **environment).end(attached), bare,
                         "under the daemon")
        totals = harness.wait_until(lambda: (t := daemon.totals())["streams"] == 0 and t,
                                    "the app's stream gone")
        self.assertGreaterEqual(totals["granted"], granted, self.said())
        self.assertEqual(totals["done"], totals["granted"])
        self.assertNotIn("stagger:", self.said(), "nothing to say under a daemon")
        daemon.stop()
        return bare, totals

    def test_linked_app_outlives_a_killed_daemon(self):
        # Turns before the kill, inferences without a daemon, turns after its return.
        command = self.linked("run", 3000, 64, 1000, 2000, *range(2010, 2600, 10))
        bare = self.start(command, name="bare").end()
        self.assertEqual(bare[0], 0)
        nobody = os.path.join(self.folder, "nobody")
        self.assertEqual(self.start(command, nobody, "alone").end(), bare)
        self.assertEqual(self.said("alone").count("stagger:"), 1, self.said("alone"))

        daemon = harness.Daemon(self)
        app = self.start(command, daemon.socket)
        app.await_pause()
        self.assertGreater(daemon.stream("app")["granted"], 0)
        daemon.kill()
        app.go_on()
        app.await_pause()
        daemon.start()

        def look_again():
            # An inference is what makes the agent look for a daemon, once its pause is over.
            app.go_on()
            app.await_pause()
            return daemon.totals()["streams"]
        harness.wait_until(look_again, "attached to the second daemon")
        app.go_on()
        self.assertEqual(app.end(), bare)
        totals = harness.wait_until(lambda: (t := daemon.totals())["streams"] == 0 and t, "gone")
        self.assertGreater(totals["granted"], 0)

    def test_app_that_dlopens_the_runtime_by_path(self):
        command = [os.path.join(harness.APPS, "dlopen_app"), harness.RUNTIME, self.model, "1", "300"]
        bare, totals = self.check(command)
        self.assertEqual(bare[0], 0)
        self.assertEqual(totals["warmup"], 2)

    def test_app_that_closes_the_runtime_and_opens_it_again(self):
        command = [os.path.join(harness.APPS, "dlopen_app"), harness.RUNTIME, self.model, "3", "300"]
        bare, totals = self.check(command)
        self.assertEqual(bare[0], 0)
        self.assertEqual(totals["warmup"], 6, "each new session warms up")

    def test_rtld_next_means_what_it_meant(self):
        command = [os.path.join(harness.APPS, "next_app")]
        bare, _ = self.check(command, granted=0)
        self.assertEqual(bare, (7, ["answer 12", "parent 1000000000", "default is the first: 1",
                                    "missing: 1", "error: yes"]))

    def test_run_async_and_binding(self):
        command = self.linked("kinds", 100)
        bare, totals = self.check(command, granted=280)
        self.assertEqual(bare[0], 0)
        self.assertLessEqual(totals["granted"] + totals["warmup"], 300, totals)

    @harness.not_sanitized("ThreadSanitizer takes the child's first thread for one of the parent's", "TSAN")
    def test_fork_then_both_infer(self):
        bare, totals = self.check(self.linked("fork"), STAGGER_WARMUP="0")
        self.assertEqual(bare[0], 0)
        self.assertIn("child 6", bare[1])

    def test_posix_spawn_of_itself(self):
        bare, totals = self.check(self.linked("spawn"), STAGGER_WARMUP="0")
        self.assertEqual(bare[0], 0)
        self.assertIn("child 0", bare[1])

    def test_exit_while_a_body_runs(self):
        command = self.linked("exit-in-body")
        bare = self.start(command).end()
        self.assertEqual(bare[0], 3)
        daemon = harness.Daemon(self, "--lease-floor", "60000")
        for _ in range(5):
            app = self.start(command, daemon.socket, STAGGER_WARMUP="0")
            app.await_pause()
            harness.wait_until(lambda: daemon.stream("app"), "attached")
            app.go_on()
            app.await_pause()
            harness.wait_until(lambda: "app" in daemon.running(), "a body running")
            app.go_on()
            self.assertEqual(app.end()[0], 3)
            harness.wait_until(lambda: not daemon.running() and not daemon.totals()["streams"],
                               "the turn given back")

    def test_closefrom_takes_the_socket_away(self):
        files = os.path.join(self.folder, "files")
        os.mkdir(files)
        command = self.linked("closefrom", files)
        bare = self.start(command, name="bare").end()
        self.assertEqual(bare[0], 0)
        self.assertEqual(bare[1][-1], "file " + "x" * 20)
        self.assertEqual(self.start(command, os.path.join(files, "nobody"), "alone").end(), bare)

        daemon = harness.Daemon(self)
        app = self.start(command, daemon.socket, STAGGER_WARMUP="0")
        app.await_pause()
        harness.wait_until(lambda: daemon.stream("app"), "attached")
        app.go_on()
        app.await_pause()
        # Its number is a file's now: no byte went there, and another connection was made.
        harness.wait_until(lambda: daemon.stream("app"), "attached again")
        app.go_on()
        self.assertEqual(app.end(), bare)

    def test_session_creation_fails_with_the_same_words(self):
        self.model = os.path.join(self.folder, "missing.onnx")
        bare, _ = self.check(self.linked("run", 1, 8), granted=0)
        self.assertEqual(bare[0], 4)
        self.assertIn("missing.onnx", bare[1][0])

    def test_every_api_version_answers_as_bare(self):
        bare, _ = self.check(self.linked("versions"), granted=0)
        self.assertIn("1 yes", bare[1])
        self.assertIn("1000 no", bare[1])

    def test_an_app_that_never_infers_never_connects(self):
        def threads(app):
            app.await_pause()
            names = self.names(app)
            app.go_on()
            self.assertEqual(app.end()[0], 0)
            return sorted(names)

        daemon = harness.Daemon(self)
        daemon.status()
        before = daemon.fds()
        command = self.linked("never")
        bare = threads(self.start(command, name="bare"))
        app = self.start(command, daemon.socket)
        self.assertNotIn("stagger-link", found := threads(app))
        self.assertEqual(len(found), len(bare))
        self.assertEqual(self.said(), "")
        self.assertLessEqual(daemon.fds(), before, "no connection was made")
        self.assertEqual(daemon.totals()["streams"], 0)


class Threads(harness.ProcessTest):
    def test_two_apps_of_four_threads_share_one_turn(self):
        # An app whose bodies join each other without a break keeps its turn until its lease ends.
        daemon = harness.Daemon(self, "--concurrency", "1", "--lease-floor", "60000")
        apps = [self.start(self.linked("threads", 200), daemon.socket, name) for name in "ab"]
        for app in apps:
            app.await_pause()
        harness.wait_until(lambda: daemon.totals()["streams"] == 2, "both attached")
        for app in apps:
            app.go_on()
        for app in apps:
            self.assertEqual(app.end(), (0, ["pause", "good 800"]))
        totals = harness.wait_until(lambda: (t := daemon.totals())["streams"] == 0 and t, "both gone")
        # Bodies of one app share a turn: how many there are is the scheduler's business.
        self.assertGreaterEqual(totals["granted"], len(apps))
        self.assertLess(totals["granted"], 2 * 4 * 200)
        self.assertEqual(totals["expired"], 0)
        self.assertEqual(totals["cancelled"], 0)

    def settle(self, choice, socket=None):
        """The app's threads but the agent's, and the signals blocked by (main, others, link)."""
        app = self.start(self.linked("chosen", choice), socket)
        app.await_pause()
        if socket:
            harness.wait_until(lambda: "stagger-link" in self.names(app), "the link thread")
        main, others, link = [], [], []
        for task in os.listdir(f"/proc/{app.pid}/task"):
            with open(f"/proc/{app.pid}/task/{task}/status") as file:
                fields = dict(line.split(":\t", 1) for line in file.read().splitlines()
                              if ":\t" in line)
            group = (main if int(task) == app.pid else
                     link if fields["Name"] == "stagger-link" else others)
            group.append(int(fields["SigBlk"], 16))
        app.go_on()
        self.assertEqual(app.end()[0], 0)
        return len(others), (main, sorted(others), link)

    def test_thread_counts_the_app_chose_are_kept(self):
        daemon = harness.Daemon(self)
        for choice in ("one-thread", "three-threads", "spinning", "default"):
            with self.subTest(choice):
                self.assertEqual(self.settle(choice, daemon.socket)[0], self.settle(choice)[0])

    def test_the_link_thread_masks_all_signals_and_nobody_elses(self):
        daemon = harness.Daemon(self)
        _, (bare_main, bare_others, nobody) = self.settle("default")
        _, (main, others, link) = self.settle("default", daemon.socket)
        self.assertEqual((len(link), nobody), (1, []))
        unblockable = {9, 19, 32, 33}  # KILL, STOP and the two glibc keeps for itself
        for number in range(1, 65):
            if number not in unblockable:
                self.assertTrue(link[0] >> (number - 1) & 1, f"signal {number}")
        self.assertEqual(main, bare_main)
        self.assertEqual(others, bare_others)


if __name__ == "__main__":
    harness.main()
