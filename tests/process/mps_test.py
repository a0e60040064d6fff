"""MPS: the real daemon, a stand-in for NVIDIA's control program, and apps on the virtual GPU in its mps
mode, where one client's illegal access ends them all. Runs itself inside `stagger vgpu`."""

import json
import os
import signal
import subprocess
import sys

import harness

STAGGER = os.environ["STAGGER"]
CAMERA = os.environ["CUDA_CAMERA"]
PROGRAMS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "mps")
PATH = PROGRAMS + ":" + os.environ["PATH"]
QUICK = ["--pre", "0", "--body", "10", "--kernels", "20", "--post", "4", "--post-cpu", "0.4",
         "--post-steps", "2", "--fps", "20"]
# Goes on whatever its calls return, like one that never looks at errors; ends after so many good
# frames.
HEEDLESS = """
import ctypes, sys, time
cuda = ctypes.CDLL("libcuda.so.1")
context, module, kernel = ctypes.c_void_p(), ctypes.c_void_p(), ctypes.c_void_p()
cuda.cuInit(0)
cuda.cuCtxCreate_v2(ctypes.byref(context), 0, 0)
cuda.cuModuleLoadData(ctypes.byref(module), b"kernel conv cost=10ms\\n")
cuda.cuModuleGetFunction(ctypes.byref(kernel), module, b"conv")
good = 0
while good < int(sys.argv[1]):
    launched = cuda.cuLaunchKernel(kernel, 1, 1, 1, 1, 1, 1, 0, None, None, None)
    good += launched == 0 and cuda.cuCtxSynchronize() == 0
    time.sleep(0.03)
print("heedless is done", flush=True)
"""


def alive(pid):
    """Runs: a process that has ended and that nobody has reaped does not."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
            return file.read().rsplit(")", 1)[1].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


class Mps(harness.ProcessTest):
    def daemon(self, *arguments, path=PATH, **environment):
        return harness.Daemon(self, *arguments, environment={
            "PATH": path, "CUDA_MPS_PIPE_DIRECTORY": os.path.join(self.folder, "theirs"), **environment})

    def mps(self, daemon):
        return daemon.status()["mps"]

    def app_sees(self, daemon, *options):
        """CUDA's variables in an app's environment, and what was said."""
        done = subprocess.run([STAGGER, "run", "--socket", daemon.socket, *options, "--", "env"],
                              capture_output=True, text=True, timeout=harness.DEADLINE_S, check=True)
        return {name: value for name, _, value in
                (line.partition("=") for line in done.stdout.splitlines())
                if name.startswith("CUDA_MPS")}, done.stderr

    def test_is_started_watched_started_again_and_stopped(self):
        daemon = self.daemon("--mps", "on")
        mps = self.mps(daemon)
        self.assertEqual((mps["mode"], mps["state"], mps["ours"], mps["restarts"], mps["reason"]),
                         ("on", "running", True, 0, None))
        self.assertTrue(alive(mps["pid"]))
        variables, said = self.app_sees(daemon, "--gpu-threads", "50", "--gpu-memory", "4")
        uuid = daemon.status()["devices"][1]["uuid"]
        self.assertEqual(variables, {"CUDA_MPS_PIPE_DIRECTORY": mps["pipe_directory"],
                                     "CUDA_MPS_ACTIVE_THREAD_PERCENTAGE": "50",
                                     "CUDA_MPS_PINNED_DEVICE_MEM_LIMIT": uuid + "=3814M"})
        self.assertEqual(said, "")
        shown = subprocess.run([STAGGER, "status", "--socket", daemon.socket], capture_output=True,
                               text=True, timeout=harness.DEADLINE_S, check=True).stdout
        self.assertIn(f"MPS running: pid {mps['pid']}, pipes in ", shown)
        os.kill(mps["pid"], signal.SIGKILL)
        again = harness.wait_until(
            lambda: (now := self.mps(daemon))["restarts"] == 1 and now["state"] == "running" and now,
            "a second control daemon")
        self.assertNotEqual(again["pid"], mps["pid"])
        self.assertEqual(daemon.log().count("MPS is down: "), 1)
        metrics = harness.wait_until(
            lambda: "stagger_mps_restarts_total 1\n" in (text := daemon.metrics()) and text,
            "the new start in /metrics")
        self.assertIn('stagger_mps_state{state="running"} 1\n', metrics)
        self.assertIn('stagger_mps_state{state="down"} 0\n', metrics)
        self.assertIn('stagger_gpu_faults_total{device="gpu:0"} 0\n', metrics)
        self.assertNotIn('stagger_gpu_faults_total{device="cpu:0"}', metrics)
        # One that is killed leaves it running; the next at this socket takes it over.
        daemon.kill()
        daemon = self.daemon("--mps", "on")
        taken = self.mps(daemon)
        self.assertEqual((taken["pid"], taken["ours"]), (again["pid"], True))
        daemon.stop()
        self.assertFalse(alive(taken["pid"]))

    def test_of_somebody_else_is_used_and_left_alone(self):
        theirs = os.path.join(self.folder, "theirs")
        os.mkdir(theirs)
        subprocess.run([os.path.join(PROGRAMS, "nvidia-cuda-mps-control"), "-d"], check=True,
                       env={**os.environ, "CUDA_MPS_PIPE_DIRECTORY": theirs,
                            "CUDA_MPS_LOG_DIRECTORY": theirs})
        daemon = self.daemon("--mps", "auto")
        mps = self.mps(daemon)
        self.assertEqual((mps["state"], mps["ours"], mps["pipe_directory"]),
                         ("running", False, theirs))
        daemon.stop()
        self.assertTrue(alive(mps["pid"]))

    def test_that_cannot_be_had(self):
        def refused(path, **environment):
            done = subprocess.run([harness.STAGGERD, "--socket", os.path.join(self.folder, "r"),
                                   "--http", "off", "--mps", "on"], capture_output=True, text=True,
                                  env={**os.environ, "PATH": path, "CUDA_MPS_PIPE_DIRECTORY": "/none",
                                       **environment}, timeout=harness.DEADLINE_S)
            self.assertEqual(done.returncode, 1)
            return done.stderr
        self.assertIn("staggerd: mps on: nvidia-cuda-mps-control is not in PATH; expected ",
                      refused("/usr/bin"))
        self.assertIn("failed (exit code 1): An instance of this daemon is already running",
                      refused(PATH, STAND_IN_MPS="fails"))
        self.assertIn("nvidia-cuda-mps-control -d did not come back within 5 s",
                      refused(PATH, STAND_IN_MPS="slow"))
        self.assertIn("mps on: there is no GPU (", refused(PATH, LD_LIBRARY_PATH="/none"))
        daemon = self.daemon("--mps", "auto", path="/usr/bin:/bin")
        mps = self.mps(daemon)
        self.assertEqual((mps["state"], mps["pid"], mps["pipe_directory"]), ("off", None, None))
        self.assertEqual(mps["reason"], "nvidia-cuda-mps-control is not in PATH")
        self.assertEqual(daemon.log().count("no MPS: "), 1)
        variables, said = self.app_sees(daemon, "--gpu-memory", "4")
        self.assertIn("warning: 'env': its limit of GPU memory will not be kept: MPS does not run "
                      "(nvidia-cuda-mps-control is not in PATH)", said)
        self.assertNotIn("CUDA_MPS_PIPE_DIRECTORY", variables)

    def test_a_control_daemon_that_clients_use_is_not_killed(self):
        daemon = self.daemon("--mps", "on", STAND_IN_MPS="stubborn")
        pid = self.mps(daemon)["pid"]
        daemon.stop()
        self.assertTrue(alive(pid))
        self.assertIn("was told to quit and goes on: clients still use it", daemon.log())

    def test_a_fault_and_what_comes_after(self):
        with open(os.path.join(self.folder, "site.yaml"), "w", encoding="utf-8") as file:
            json.dump({"mps": "on", "apps": [
                {"name": "bad", "command": [CAMERA, *QUICK, "--frames", "1000"],
                 "env": {"STAGGER_VGPU_FAULT": "address:conv:500"}},
                {"name": "good", "command": [CAMERA, *QUICK, "--frames", "120"],
                 "gpu_threads_percent": 50},
                {"name": "heedless", "command": [sys.executable, "-c", HEEDLESS, "120"]}]}, file)
        said_file = os.path.join(self.folder, "said")
        up = self.popen([STAGGER, "up", "--http", "off", "--socket", os.path.join(self.folder, "s"),
                         os.path.join(self.folder, "site.yaml")],
                        env={**os.environ, "PATH": PATH, "CUDA_MPS_PIPE_DIRECTORY": "/none"},
                        stdout=open(os.path.join(self.folder, "out"), "wb"),
                        stderr=open(said_file, "wb"))

        def said():
            with open(said_file, encoding="utf-8") as file:
                return file.read()
        harness.wait_until(lambda: "stagger: good: finished" in said() and
                           "stagger: heedless: finished" in said() or up.poll() is not None,
                           "the others' end")
        text = said()
        self.assertIsNone(up.poll(), text)
        self.assertEqual(text.count("stagger: gpu:0: a fault (illegal address by bad) broke "), 1, text)
        self.assertEqual(text.count("failed under "), 1, text)
        self.assertIn("stagger: bad: ended by its own GPU fault (exit code 1); again in 30 s", text)
        self.assertIn("stagger: good: ended by a GPU fault (exit code 1); again in 1 s", text)
        self.assertIn("stagger: heedless: its GPU context is broken: stopping it", text)
        # Nobody came before the last broken one had gone: none was refused.
        self.assertEqual(text.count("stagger: good: started"), 2, text)
        self.assertEqual(text.count("stagger: heedless: started"), 2, text)
        self.assertNotIn("CUDA_ERROR_MPS_CONNECTION_FAILED", text)
        with open(os.path.join(self.folder, "out"), encoding="utf-8") as file:
            out = file.read()
        self.assertIn('"frames":120', out)
        self.assertIn("heedless | heedless is done", out)
        up.send_signal(signal.SIGINT)
        up.wait(harness.DEADLINE_S)


if __name__ == "__main__":
    if "STAGGER_VGPU" not in os.environ:
        sys.exit(subprocess.run([STAGGER, "vgpu", "--mode", "mps", "--", sys.executable, "-B",
                                 *sys.argv], check=False).returncode)
    harness.main()
