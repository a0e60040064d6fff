"""Apps and daemons that die, hang or are killed at random: the others go on, nothing is left over."""

import json
import os
import random
import signal
import subprocess
import time

import harness

LONG = 700  # a body of some tens of milliseconds and more
ENDLESS = 10**6


class Faults(harness.ProcessTest):
    def stop_while_holding(self, daemon, name):
        """An app of that name, SIGSTOPped inside a body that has its turn; and its stream as it was then."""
        app = self.start(self.linked("run", ENDLESS, LONG), daemon.socket, name, STAGGER_WARMUP="0")
        end = time.monotonic() + harness.DEADLINE_S
        while time.monotonic() < end:
            harness.wait_until(lambda: name in daemon.running(), f"{name} runs")
            os.kill(app.pid, signal.SIGSTOP)
            status = daemon.fresh_status()
            if any(turn["stream"] == name for device in status["devices"]
                   for turn in device["running"]):
                return app, next(s for s in status["streams"] if s["name"] == name)
            os.kill(app.pid, signal.SIGCONT)  # it was between two bodies
        self.fail("never stopped inside a body")

    def test_killed_holder_frees_its_turn(self):
        daemon = harness.Daemon(self, "--concurrency", "1", "--lease-floor", "60000")
        holder, _ = self.stop_while_holding(daemon, "holder")
        waiter = self.start(self.linked("run", ENDLESS, 32), daemon.socket, "waiter",
                            STAGGER_WARMUP="0")
        harness.wait_until(lambda: "waiter" in daemon.waiting(), "the other waits")
        self.assertEqual(daemon.stream("waiter")["granted"], 0)
        holder.kill()
        harness.wait_until(lambda: daemon.stream("waiter")["granted"] > 0, "the waiter's turn")
        self.assertIsNone(daemon.stream("holder"))
        self.assertEqual(daemon.stream("waiter")["cancelled"], 0)
        waiter.kill()

    def test_a_recorded_fault_replays_the_same(self):
        recording = os.path.join(self.folder, "r.jsonl")
        daemon = harness.Daemon(self, "--concurrency", "1", "--lease-floor", "100",
                                "--record", recording)
        holder, _ = self.stop_while_holding(daemon, "holder")
        other = self.start(self.linked("run", ENDLESS, 32), daemon.socket, "other",
                           STAGGER_WARMUP="0")
        harness.wait_until(lambda: (daemon.stream("other") or {"granted": 0})["granted"] > 100,
                           "the other's turns")
        # On a busy machine a body before it may have cost a lease as well.
        self.assertGreaterEqual(daemon.stream("holder")["expired"], 1)
        holder.kill()
        other.kill()
        daemon.kill()
        replay = subprocess.run([os.environ["STAGGER"], "replay", "--json", recording],
                                capture_output=True, text=True, timeout=harness.DEADLINE_S)
        self.assertEqual(replay.returncode, 0, replay.stdout + replay.stderr)
        outcome = json.loads(replay.stdout)
        self.assertTrue(outcome["identical"])
        self.assertGreater(outcome["actions"], 100)

    def test_hung_holder_loses_its_turn_after_its_lease(self):
        daemon = harness.Daemon(self, "--concurrency", "1", "--lease-floor", "3000")
        holder, stopped = self.stop_while_holding(daemon, "holder")
        other = self.start(self.linked("run", ENDLESS, 32), daemon.socket, "other",
                           STAGGER_WARMUP="0")
        harness.wait_until(lambda: (daemon.stream("other") or {"granted": 0})["granted"] > 10,
                           "the other's turns")
        self.assertEqual(daemon.stream("holder")["expired"], stopped["expired"] + 1)
        # Awake again, the late one gives back what it lost and takes turns like any other.
        before = daemon.stream("holder")["granted"]
        os.kill(holder.pid, signal.SIGCONT)
        harness.wait_until(lambda: daemon.stream("holder")["granted"] > before, "turns once more")
        stream = daemon.stream("holder")
        self.assertEqual(stream["late"] + stream["cancelled"], stopped["late"] + stopped["cancelled"] + 1, stream)

    def test_hung_daemon_leaves_the_app_running(self):
        daemon = harness.Daemon(self)
        app = self.start(self.linked("run", ENDLESS, 64), daemon.socket, STAGGER_WARMUP="0")
        harness.wait_until(lambda: (daemon.stream("app") or {"granted": 0})["granted"] > 10, "turns")
        daemon.signal(signal.SIGSTOP)
        harness.wait_until(lambda: app.line() and "running uncontrolled" in self.said(),
                           "the one line that says why")
        for _ in range(50):
            self.assertIsNotNone(app.line())
        daemon.signal(signal.SIGCONT)
        before = daemon.stream("app")["granted"]
        harness.wait_until(
            lambda: app.line() and daemon.stream("app")["granted"] > before + 10, "turns once more")
        self.assertEqual(self.said().count("stagger:"), 1, self.said())
        app.kill()

    def test_two_hundred_kills_leave_nothing_behind(self):
        chance = random.Random(20260101)
        daemon = harness.Daemon(self, "--concurrency", "1")
        daemon.status()
        before = daemon.fds()
        kills = 0
        slots = []
        while kills < 200 or slots:
            while kills + len(slots) < 200 and len(slots) < 4:
                app = self.start(self.linked("run", ENDLESS, 48), daemon.socket, "victim",
                                 STAGGER_WARMUP="0")
                # Half of them anywhere in their life, the other half soon after the first body.
                anywhere = chance.random() < 0.5
                if not anywhere:
                    app.line()
                slots.append((time.monotonic() + chance.uniform(0, 0.15 if anywhere else 0.03), app))
            slots.sort(key=lambda slot: slot[0])
            moment, app = slots.pop(0)
            time.sleep(max(0, moment - time.monotonic()))
            app.kill()
            app.process.stdout.close()
            app.process.stdin.close()
            self.processes.remove(app.process)
            kills += 1
        harness.wait_until(lambda: daemon.totals()["streams"] == 0, "no streams")
        self.assertEqual((daemon.running(), daemon.waiting()), ([], []))
        self.assertGreater(daemon.totals()["granted"], 0, "the kills hit apps that had turns")
        harness.wait_until(lambda: daemon.fds() <= before, "no descriptor left behind")
        granted = daemon.fresh_status()["totals"]["granted"]
        self.start(self.linked("run", ENDLESS, 32), daemon.socket, "fresh")
        harness.wait_until(lambda: (daemon.stream("fresh") or {"granted": 0})["granted"] > 0, "turns")
        self.assertGreater(daemon.totals()["granted"], granted)
        daemon.stop()


if __name__ == "__main__":
    harness.main()
