"""What a second preloaded library finds in the agent: turns on several devices, dlsym filters."""

import os

import harness

TWO_GPUS = {"LD_LIBRARY_PATH": os.environ["NVML"], "FAKE_NVML": ""}


class Interface(harness.ProcessTest):
    def daemon(self, *arguments):
        return harness.Daemon(self, "--lease-floor", "60000", *arguments, environment=TWO_GPUS)

    def app(self, daemon=None, name="app", **more):
        """An app that plays the second library; with a daemon, it is attached."""
        socket = daemon.socket if daemon else os.path.join(self.folder, "nobody")
        app = self.start([os.path.join(harness.APPS, "interface_app"), self.model], socket, name,
                         **more)
        if daemon:
            self.ask(app, "attach", "attached")
        return app

    def tell(self, app, line):
        app.process.stdin.write(line.encode() + b"\n")
        app.process.stdin.flush()

    def ask(self, app, line, expected):
        self.tell(app, line)
        self.assertEqual(app.line(), expected, line)

    def end(self, app):
        app.process.stdin.close()
        self.assertEqual(app.process.wait(harness.DEADLINE_S), 0, self.said())

    def test_one_process_holds_two_devices_and_shares_neither(self):
        daemon = self.daemon()
        app, other = self.app(daemon), self.app(daemon, "other")
        self.ask(app, "device 0", "1")
        self.ask(app, "device 1", "2")
        self.ask(app, "device 9", "-1")
        self.ask(app, "enter a 1", "a entered")
        self.ask(app, "enter b 2", "b entered")
        self.ask(app, "enter c 2", "c entered")  # joins
        self.tell(other, "enter x 1")
        self.tell(other, "enter y 2")
        harness.wait_until(lambda: daemon.waiting() == ["other", "other"], "the other waits for both")
        # The last come first: whichever of the two threads reads, the right one goes on.
        self.ask(app, "leave b 5000000", "b left")
        self.ask(app, "leave c 5000000", "c left")
        self.assertEqual(other.line(), "y entered")
        self.assertEqual(daemon.fresh_status()["devices"][1]["waiting"][0]["stream"], "other")
        self.ask(app, "leave a 5000000", "a left")
        self.assertEqual(other.line(), "x entered")
        harness.wait_until(lambda: daemon.stream("app")["done"] == 2, "two turns, three bodies")
        self.end(app)
        self.end(other)

    def test_both_turns_are_claimed_after_a_restart_of_the_daemon(self):
        daemon = self.daemon()
        app = self.app(daemon)
        self.ask(app, "enter a 1", "a entered")
        self.ask(app, "enter b 2", "b entered")
        daemon.kill()
        daemon.arguments += ("--devices", "gpu:1,gpu:0")  # numbers them the other way round
        daemon.start()
        self.ask(app, "attach", "attached")
        harness.wait_until(lambda: (daemon.stream("app") or {"claimed": 0})["claimed"] == 2,
                           "both claimed")
        running = {device["name"]: len(device["running"])
                   for device in daemon.fresh_status()["devices"]}
        self.assertEqual(running, {"cpu:0": 0, "gpu:0": 1, "gpu:1": 1})
        self.ask(app, "device 0", "1")
        self.ask(app, "leave a 5000000", "a left")  # of what is gpu:0, whatever its number
        status = harness.wait_until(
            lambda: (s := daemon.status()) and s["totals"]["done"] == 1 and s, "its release")
        running = {device["name"]: len(device["running"]) for device in status["devices"]}
        self.assertEqual(running, {"cpu:0": 0, "gpu:0": 0, "gpu:1": 1})
        self.end(app)

    def test_an_inference_is_recorded_when_it_ends(self):
        daemon = self.daemon()
        app = self.app(daemon)
        self.ask(app, "warmup", "counted")
        self.ask(app, "enter a 1", "a entered")
        self.ask(app, "leave a 0", "a left")
        stream = harness.wait_until(lambda: (s := daemon.stream("app"))["done"] == 1 and s, "a body")
        self.assertIsNone(stream["inference_ms"]["max"])
        self.assertEqual((stream["device"], stream["warmup"]), ("gpu:0", 1))
        self.ask(app, "ended 1 5000000 61000000", "ended")
        stream = harness.wait_until(
            lambda: (s := daemon.stream("app"))["inference_ms"]["max"] and s, "the call's end")
        self.assertEqual(stream["inference_ms"]["max"], 61)
        self.assertEqual(stream["profile"]["post_ms"]["mean"], 5)
        self.assertGreaterEqual(stream["profile"]["pre_ms"]["mean"], 2)
        self.end(app)

    def test_without_a_daemon_everything_is_uncontrolled(self):
        app = self.app()
        self.ask(app, "device 0", "-1")
        self.ask(app, "enter a 1", "a uncontrolled")
        self.ask(app, "leave a 5", "a left")
        self.ask(app, "ended 1 1 5", "ended")
        self.end(app)

    def test_a_forked_child_holds_nothing_and_takes_nothing_away(self):
        daemon = self.daemon()
        app = self.app(daemon)
        self.ask(app, "enter a 1", "a entered")
        self.ask(app, "fork", "child 0")
        self.assertEqual(daemon.fresh_status()["devices"][1]["running"][0]["stream"], "app")
        self.ask(app, "leave a 5000000", "a left")
        harness.wait_until(lambda: daemon.stream("app")["done"] == 1, "its release")
        self.end(app)

    def test_one_line_per_topic(self):
        app = self.app()
        for line in ("say 0 first", "say 0 second", "say 15 third"):
            self.ask(app, line, "said")
        self.end(app)
        self.assertEqual(self.said(), "stagger: first\nstagger: third\n")
        quiet = self.app(name="quiet", STAGGER_QUIET="1")
        self.ask(quiet, "say 0 first", "said")
        self.end(quiet)
        self.assertEqual(self.said("quiet"), "")

    def test_dlsym_filters(self):
        app = self.app()
        # Four are asked, a fifth is not; nobody is asked about RTLD_NEXT.
        self.ask(app, "filters",
                 "redirected 1 third 1 fifth 0 next 0 asked 0 plain 1 asked 4 error 1")
        self.end(app)

    def test_framework_depth(self):
        app = self.app()
        self.ask(app, "depth", "outside 0 inside 1 after 0")
        self.end(app)


if __name__ == "__main__":
    harness.main()
