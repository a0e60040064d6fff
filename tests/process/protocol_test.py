"""Today's agent beside a daemon of the first protocol, beside a newer one, and after a refusal."""

import fcntl
import os
import resource
import select
import socket
import subprocess
import time

import harness

FIRST_DAEMON = os.environ["FIRST_DAEMON"]
MOST = 1500  # inferences
MOST_CLIENTS = 1024
# A greeting of the first protocol: name "one", no rate, weight 1, no features.
HELLO = bytes.fromhex("0100" "0000" "20000000" "0600" "0300" "6f6e65" "00000000" "00000000"
                      "e8030000" "00000000" "00" "0000000000000000")


class FirstDaemon:
    """first-protocol-daemon: what it hears are its lines."""

    def __init__(self, case, path, *arguments):
        self.app = harness.App(case.popen([FIRST_DAEMON, path, *arguments],
                                          stdin=subprocess.PIPE,
                                          stdout=subprocess.PIPE))
        case.assertEqual(self.app.line(), "ready ")

    def heard(self, start):
        """The lines so far that begin like this."""
        while b"\n" in self.app._rest or select.select([self.app.process.stdout], [], [], 0)[0]:
            if self.app.line() is None:
                break
        return [line for line in self.app.lines if line.startswith(start)]


class Protocol(harness.ProcessTest):
    def path(self):
        return os.path.join(self.folder, "s")

    def inferring(self):
        """An app that infers when it is told to."""
        return self.start(self.linked("run", MOST, 32, *range(1, MOST)), self.path(),
                          STAGGER_WARMUP="0")

    def infer(self, app):
        """One inference, at the pace of a camera."""
        time.sleep(0.05)
        app.await_pause()
        app.go_on()
        return True

    def granted(self, app, daemon, deadline_s=harness.DEADLINE_S):
        harness.wait_until(
            lambda: self.infer(app) and (daemon.stream("app") or {"granted": 0})["granted"],
            "turns", deadline_s)

    def test_an_older_and_a_newer_daemon_give_turns(self):
        bare = self.start(self.linked("run", 20, 32)).end()[1]
        for option in ([], ["--newer"]):
            daemon = FirstDaemon(self, self.path(), *option)
            app = self.inferring()
            harness.wait_until(lambda: self.infer(app) and len(daemon.heard("release ")) >= 20, "turns")
            self.assertEqual(daemon.heard("hello "), ["hello app"])
            self.assertEqual([line.split()[1] for line in daemon.heard("request ")[:20]],
                             [line.split()[1] for line in daemon.heard("release ")[:20]])
            self.assertEqual([line for line in app.lines if line != "pause"][:len(bare)], bare)
            self.assertEqual(self.said(), "")
            app.kill()
            daemon.app.kill()

    def test_refused_now_and_attached_within_31_seconds_after(self):
        older = FirstDaemon(self, self.path(), "--refuse", "staggerd 9 speaks protocol 99")
        app = self.inferring()
        harness.wait_until(lambda: self.infer(app) and older.heard("hello app"), "its visit")
        refused = time.monotonic()
        harness.wait_until(lambda: self.infer(app) and "refused: staggerd 9" in self.said(), "the line")
        older.app.kill()
        daemon = harness.Daemon(self)  # rolled back, under a running app
        self.granted(app, daemon, 60)
        waited = time.monotonic() - refused
        self.assertGreater(waited, 29, "it does not ask a daemon all the time that has refused it")
        print(f"attached {waited:.1f} s after its refusal")
        self.assertEqual(self.said().count("stagger:"), 1, self.said())
        app.kill()

    def test_no_room_now_and_attached_soon_after(self):
        older = FirstDaemon(self, self.path(), "--later", "200")
        app = self.inferring()
        harness.wait_until(lambda: self.infer(app) and len(older.heard("hello app")) >= 3,
                           "three visits, as long as there is no room")
        self.assertIn("for now: no room", self.said())
        older.app.kill()
        daemon = harness.Daemon(self)
        self.granted(app, daemon)
        self.assertEqual(self.said().count("for now"), 1, self.said())
        app.kill()

    def test_the_1025th_client_attaches_when_another_leaves(self):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if hard != resource.RLIM_INFINITY and hard < 2 * MOST_CLIENTS + 200:
            self.skipTest(f"at most {hard} descriptors here")
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        daemon = harness.Daemon(self)
        clients = []
        for _ in range(MOST_CLIENTS):
            with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as low:
                # Out of the way of select().
                client = socket.socket(fileno=fcntl.fcntl(low, fcntl.F_DUPFD_CLOEXEC, 1100))
            client.connect(daemon.socket)
            self.addCleanup(client.close)
            client.send(HELLO)
            self.assertEqual(client.recv(1024)[:2], b"\x20\x00", "a welcome")
            clients.append(client)
        app = self.inferring()
        harness.wait_until(lambda: self.infer(app) and "for now: this daemon already has 1024 clients"
                           in self.said(), "the line")
        self.assertIsNone(daemon.stream("app"))
        clients.pop().close()
        self.granted(app, daemon)
        self.assertEqual(self.said().count("stagger:"), 1, self.said())
        app.kill()


if __name__ == "__main__":
    harness.main()
