"""Starts daemons and apps for the process tests, and never leaves one behind.

Everything waits on events with a deadline; a deadline that passes fails the test.
"""

import ctypes
import glob
import http.client
import json
import os
import select
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

import tiny_model

STAGGERD = os.environ["STAGGERD"]
AGENT = os.environ["AGENT"]
APPS = os.environ["APPS"]
CACHE = os.environ["CACHE_DIR"]
RUNTIME = os.path.join(CACHE, "onnxruntime/lib/libonnxruntime.so.1")
DEADLINE_S = 120  # far more than anything takes: only what hangs comes to it
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None)
# The options of this build's sanitizers, by the variable's name; none in a build without.
SANITIZERS = {name: os.environ[name] for name in ("ASAN_OPTIONS", "TSAN_OPTIONS", "UBSAN_OPTIONS")
              if name in os.environ}


def not_sanitized(why, by=None):
    """Of a test that builds with a sanitizer leave out, or those with that one ("TSAN")."""
    return unittest.skipIf(f"{by}_OPTIONS" in SANITIZERS if by else SANITIZERS, why)


def die_with_parent():
    """In the child: a test that is killed at its time limit leaves nothing running."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def wait_until(condition, what, deadline_s=DEADLINE_S):
    """Polls until condition() is true-ish and returns that."""
    end = time.monotonic() + deadline_s
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > end:
            raise AssertionError(f"not within {deadline_s} s: {what}")
        time.sleep(0.01)


class Daemon:
    def __init__(self, case, *arguments, environment=None):
        self.case = case
        self.environment = {**os.environ, **(environment or {})}
        self.socket = os.path.join(case.folder, "s")
        self.arguments = arguments
        self.start()

    def start(self):
        ready, write = os.pipe()
        self.process = self.case.popen(
            [STAGGERD, "--socket", self.socket, "--http", "127.0.0.1:0", "--ready-fd", str(write),
             *self.arguments],
            pass_fds=[write], env=self.environment, stdout=subprocess.DEVNULL,
            stderr=open(os.path.join(self.case.folder, "daemon.log"), "ab"))
        os.close(write)
        line = b""
        end = time.monotonic() + DEADLINE_S
        while not line.endswith(b"\n"):
            if not select.select([ready], [], [], max(0, end - time.monotonic()))[0]:
                raise AssertionError("the daemon did not get ready")
            chunk = os.read(ready, 4096)
            if not chunk:
                raise AssertionError("the daemon ended: " + self.log())
            line += chunk
        os.close(ready)
        self.http = line.decode().strip().removeprefix("READY http=")

    def log(self):
        with open(os.path.join(self.case.folder, "daemon.log"), errors="replace") as file:
            return file.read()

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        self.process.terminate()
        self.case.assertEqual(self.process.wait(DEADLINE_S), 0, self.log())

    def signal(self, number):
        self.process.send_signal(number)

    def get(self, path):
        connection = http.client.HTTPConnection(self.http, timeout=DEADLINE_S)
        try:
            connection.request("GET", path)
            return connection.getresponse().read().decode()
        finally:
            connection.close()

    def status(self):
        return json.loads(self.get("/api/status"))

    def metrics(self):
        return self.get("/metrics")

    def fresh_status(self):
        """A status built after this call began: the daemon may answer with its last one for a while."""
        first = self.status()["uptime_s"]
        second = wait_until(lambda: (s := self.status())["uptime_s"] > first and s, "a newer status")
        return wait_until(lambda: (s := self.status())["uptime_s"] > second["uptime_s"] and s,
                          "a newer status")

    def totals(self):
        return self.status()["totals"]

    def stream(self, name):
        return next((s for s in self.status()["streams"] if s["name"] == name), None)

    def running(self):
        return [turn["stream"] for device in self.status()["devices"] for turn in device["running"]]

    def waiting(self):
        return [turn["stream"] for device in self.status()["devices"] for turn in device["waiting"]]

    def fds(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))


class App:
    """A running app whose stdout is read line by line."""

    def __init__(self, process):
        self.process = process
        self.pid = process.pid
        self.lines = []
        self._rest = b""

    def line(self, deadline_s=DEADLINE_S):
        """The next line, or None at the end of the output."""
        end = time.monotonic() + deadline_s
        fd = self.process.stdout.fileno()
        while b"\n" not in self._rest:
            if not select.select([fd], [], [], max(0, end - time.monotonic()))[0]:
                raise AssertionError(f"the app said nothing for {deadline_s} s; before: {self.lines[-5:]}")
            chunk = os.read(fd, 65536)
            if not chunk:
                return None
            self._rest += chunk
        line, self._rest = self._rest.split(b"\n", 1)
        self.lines.append(line.decode())
        return self.lines[-1]

    def await_pause(self):
        while (line := self.line()) != "pause":
            if line is None:
                raise AssertionError(f"the app ended before its pause: {self.lines[-5:]}")

    def go_on(self):
        self.process.stdin.write(b"\n")
        self.process.stdin.flush()

    def end(self, at_pause=lambda: None):
        """Reads to the end; the outcome that must be the same all ways."""
        while (line := self.line()) is not None:
            if line == "pause":
                at_pause()
                self.go_on()
        return self.process.wait(DEADLINE_S), self.lines

    def kill(self):
        os.killpg(self.pid, signal.SIGKILL)
        self.process.wait()


class ProcessTest(unittest.TestCase):
    maxDiff = 4000

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="stagger-test-")
        self.processes = []
        self.model = os.path.join(self.folder, "tiny.onnx")
        tiny_model.write(self.model)
        # Of any process that this test starts, however deep.
        for name, options in SANITIZERS.items():
            os.environ[name] = f"{options}:log_path={self.folder}/sanitizer"

    def tearDown(self):
        for process in self.processes:
            try:  # the whole group: an app's children too
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe:
                    try:
                        pipe.close()
                    except BrokenPipeError:
                        pass
        reports = []
        for path in sorted(glob.glob(self.folder + "/sanitizer.*")):
            with open(path, errors="replace") as file:
                reports.append(file.read())
        shutil.rmtree(self.folder, ignore_errors=True)
        self.assertEqual(reports, [], "a sanitizer's report:\n" + "\n".join(reports))

    def popen(self, command, **settings):
        process = subprocess.Popen(command, start_new_session=True, preexec_fn=die_with_parent,
                                   **settings)
        self.processes.append(process)
        for stream in ("stderr",):
            if settings.get(stream) not in (None, subprocess.DEVNULL):
                settings[stream].close()
        return process

    def environment(self, socket=None, name="app", **more):
        """The app's environment; `socket` None is the bare app."""
        environment = {key: value for key, value in os.environ.items()
                       if not key.startswith("STAGGER")}
        environment["LD_LIBRARY_PATH"] = os.path.dirname(RUNTIME)
        if socket:
            environment.update(LD_PRELOAD=AGENT, STAGGER_SOCKET=socket, STAGGER_NAME=name)
        environment.update(more)
        return environment

    def start(self, command, socket=None, name="app", **more):
        return App(self.popen(command, env=self.environment(socket, name, **more),
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              stderr=open(os.path.join(self.folder, name + ".err"), "ab")))

    def names(self, app):
        """The names of the app's threads."""
        names = []
        for task in os.listdir(f"/proc/{app.pid}/task"):
            with open(f"/proc/{app.pid}/task/{task}/comm") as file:
                names.append(file.read().strip())
        return names

    def said(self, name="app"):
        with open(os.path.join(self.folder, name + ".err"), errors="replace") as file:
            return file.read()

    def linked(self, mode, *arguments):
        return [os.path.join(APPS, "linked_app"), mode, self.model, *map(str, arguments)]


def main():
    unittest.main(verbosity=2)
