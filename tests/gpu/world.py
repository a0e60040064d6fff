"""What the suite works with: where things are, how apps, daemons and MPS are started and ended.

Nothing here changes a GPU's settings. Everything that is started is ended, by its own process id.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
NO_SUCH_DAEMON = "/nonexistent/stagger.sock"


class Trouble(Exception):
    """A part cannot go on; the text says why."""


class Skip(Exception):
    """A part cannot be had here; the text says why."""


def tail(path, characters=1500):
    with contextlib.suppress(OSError):
        with open(path, errors="replace") as file:
            return file.read()[-characters:].strip()
    return ""


def last_object(text):
    """The JSON object on the last line of a program's output."""
    for line in reversed(text.strip().splitlines()):
        if line.startswith("{"):
            return json.loads(line)
    raise Trouble("the program printed no result")


class World:
    def __init__(self, arguments):
        self.dry = arguments.dry_run
        self.quick = arguments.quick
        self.out = os.path.abspath(arguments.out)
        self.stagger = os.path.join(arguments.install, "bin/stagger")
        self.staggerd = os.path.join(arguments.install, "bin/staggerd")
        self.cuda_camera = os.path.join(arguments.install, "examples/cuda-camera")
        self.built = arguments.built  # what run.sh compiled: camera, camera-shared, driver_costs
        self.python = arguments.python
        self.torch = arguments.torch == "1"
        self.deadline = time.monotonic() + arguments.seconds
        self.scratch = tempfile.mkdtemp(prefix="sgpu-")  # short: sockets lie in it
        self.running = []
        self.rate = 0
        self.solo_ms = {}  # program -> inference time alone, as `outputs` saw it
        self.frames = os.path.join(self.scratch, "frames.npy")
        os.makedirs(os.path.join(self.out, "logs"), exist_ok=True)

    def left(self):
        return self.deadline - time.monotonic()

    def log(self, name):
        return os.path.join(self.out, "logs", name + ".log")

    # ---- programs ---------------------------------------------------------------------------------

    def programs(self):
        if not self.torch:
            return ["camera"]
        # SSD300 has no smaller input, and a CPU takes a second for it.
        return ["camera", "retinanet"] if self.dry and self.quick else ["camera", "ssd300", "retinanet"]

    def command(self, program, *arguments):
        """What a user would type to run one of the apps."""
        arguments = [str(word) for word in arguments]
        if program in ("ssd300", "retinanet"):
            if not self.torch:
                raise Skip("no Python here that can import torch and torchvision")
            tiny = ["--device", "cpu"] + (["--size", "64"] if program == "retinanet" else []) \
                if self.dry else []
            return [self.python, os.path.join(HERE, program + ".py"), "--video", self.frames, *tiny,
                    *arguments]
        rate = ["--rate", str(self.rate)] if self.rate else []
        built = os.path.join(self.built, program)
        if program == "camera" and (self.dry or not os.path.exists(built)):
            program = "cuda-camera"  # the runtime API needs a real driver, and nvcc
        if program == "cuda-camera":
            return [self.cuda_camera, *rate, *arguments]
        if not os.path.exists(built):
            raise Skip(f"{program} was not built (see build.log)")
        return [built, *rate, *arguments]

    def under(self, socket, name, command, deadline_ms=None):
        if socket is None:
            return command
        deadline = ["--deadline", f"{deadline_ms:.3f}"] if deadline_ms else []
        return [self.stagger, "run", "--socket", socket, "--name", name, *deadline, "--", *command]

    def environment(self, **more):
        environment = {key: value for key, value in os.environ.items()
                       if not key.startswith("STAGGER") or key.startswith("STAGGER_VGPU")}
        # Sixteen processes on a few cores, each with one thread for the CPU's part.
        environment.update(OMP_NUM_THREADS="1", PYTHONFAULTHANDLER="1",
                           CUBLAS_WORKSPACE_CONFIG=":4096:8")
        environment.update(more)
        return environment

    def start(self, command, name, **more):
        """Starts a command; stdout and stderr go to files."""
        out = open(os.path.join(self.scratch, name + ".out"), "wb")
        err = open(self.log(name), "ab")
        process = subprocess.Popen(command, env=self.environment(**more), stdout=out, stderr=err,
                                   stdin=subprocess.DEVNULL, start_new_session=True)
        out.close()
        err.close()
        process.name = name
        self.running.append(process)
        return process

    def output(self, name):
        with open(os.path.join(self.scratch, name + ".out"), errors="replace") as file:
            return file.read()

    def finish(self, process, limit_s):
        """Waits for its end; what it printed. Anything but exit code 0 is trouble."""
        try:
            code = process.wait(max(1, min(limit_s, self.left())))
        except subprocess.TimeoutExpired:
            self.end([process])
            raise Trouble(f"{process.name}: not done within {limit_s:.0f} s") from None
        self.running = [p for p in self.running if p is not process]
        if code != 0:
            raise Trouble(f"{process.name}: exit code {code}: {tail(self.log(process.name), 600)}")
        return self.output(process.name)

    def run(self, command, name, limit_s=60, **more):
        return self.finish(self.start(command, name, **more), limit_s)

    def end(self, processes, patience_s=20):
        """Asks them to stop, and kills their groups if they do not. How many had to be killed."""
        killed = 0
        for process in processes:
            if process.poll() is None:
                process.terminate()
        end = time.monotonic() + patience_s
        for process in processes:
            try:
                process.wait(max(0.1, end - time.monotonic()))
            except subprocess.TimeoutExpired:
                killed += 1
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        self.running = [p for p in self.running if p not in processes]
        return killed

    def close(self):
        self.end(list(self.running), 5)
        shutil.rmtree(self.scratch, ignore_errors=True)

    # ---- the daemon -------------------------------------------------------------------------------

    @contextlib.contextmanager
    def daemon(self, *arguments, name="staggerd", **more):
        socket = os.path.join(tempfile.mkdtemp(dir=self.scratch), "s")
        process = self.start([self.staggerd, "--socket", socket, "--http", "off", *arguments], name,
                             **more)
        try:
            end = time.monotonic() + 15
            while not os.path.exists(socket):
                if process.poll() is not None or time.monotonic() > end:
                    raise Trouble(f"staggerd did not start: {tail(self.log(name), 600)}")
                time.sleep(0.02)
            yield socket
        finally:
            self.end([process], 5)

    def status(self, socket):
        run = subprocess.run([self.stagger, "status", "--json", "--socket", socket], timeout=20,
                             capture_output=True, text=True, check=False)
        if run.returncode != 0:
            raise Trouble("stagger status: " + run.stderr.strip())
        return json.loads(run.stdout)

    def policy(self, socket, *words):
        run = subprocess.run([self.stagger, "policy", *map(str, words), "--socket", socket],
                             timeout=20, capture_output=True, text=True, check=False)
        if run.returncode != 0:
            raise Trouble("stagger policy: " + run.stderr.strip())

    def verbs(self):
        """The verbs this build of stagger has."""
        run = subprocess.run([self.stagger, "--help"], capture_output=True, text=True, check=False)
        return {line.split()[0] for line in run.stdout.splitlines() if line.startswith("  ")
                and line.split()}

    # ---- MPS --------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def mps(self):
        """NVIDIA's MPS as an ordinary process of this user, with folders of its own."""
        control = shutil.which("nvidia-cuda-mps-control")
        if control is None:
            raise Skip("no nvidia-cuda-mps-control here")
        pipe = tempfile.mkdtemp(prefix="p", dir=self.scratch)
        folders = {"CUDA_MPS_PIPE_DIRECTORY": pipe,
                   "CUDA_MPS_LOG_DIRECTORY": os.path.join(self.out, "logs", "mps")}
        os.makedirs(folders["CUDA_MPS_LOG_DIRECTORY"], exist_ok=True)
        daemon = self.start([control, "-f"], "mps-control", **folders)

        def ask(what):
            run = subprocess.run([control], input=what + "\n", env=self.environment(**folders),
                                 capture_output=True, text=True, timeout=15, check=False)
            return run.stdout.strip() if run.returncode == 0 else ""
        try:
            time.sleep(1)
            if daemon.poll() is not None:
                raise Skip("nvidia-cuda-mps-control ended at once: " + tail(self.log("mps-control")))
            # A client must come through, and through MPS.
            try:
                self.run(self.command("camera", "--frames", 2, "--body", 1, "--post", 4),
                         "mps-probe", 30, **folders)
            except Trouble as trouble:
                raise Skip(f"an app does not start under MPS: {trouble}") from None
            if not ask("get_server_list"):
                raise Skip("apps run, but MPS has no server: they went past it")
            yield folders
        finally:
            with contextlib.suppress(subprocess.TimeoutExpired, OSError):
                ask("quit")
            self.end([daemon], 10)
