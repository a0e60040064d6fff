"""Executors on a GPU, on the virtual one: the real executor, agents and daemon, and a runtime that says it
has the CUDA execution provider (tests/executor/fake_cuda_runtime.cc).

Runs itself inside `stagger vgpu`.
"""

import json
import os
import re
import subprocess
import sys
import tempfile

import bodies
import harness
from site_test import Up

STAGGER = os.environ["STAGGER"]
EXECUTOR = os.environ["EXECUTOR"]
FAKE = os.environ["FAKE_CUDA"]
FRAMES = os.path.join(harness.APPS, "frames_app")
FRAME_RUNNER = os.environ["FRAME_RUNNER"]
CAMERA = os.environ["CUDA_CAMERA"]
AGENTS = harness.AGENT + ":" + os.environ["CUDA_AGENT"]
TOOL = os.path.join(os.path.dirname(__file__), "../../tools/random_model.py")
REAL = os.path.dirname(harness.RUNTIME)
QUICK = ["--pre", "0", "--body", "10", "--kernels", "20", "--post", "4", "--post-cpu", "0.4",
         "--post-steps", "2"]
LEARNED = 25  # inferences after which the agent knows the app
MS = 1_000_000
BODY = 12     # kernels of the provider's body; one more follows


class GpuExecutorTest(harness.ProcessTest):
    def setUp(self):
        super().setUp()
        self.small = os.path.join(self.folder, "small.onnx")
        subprocess.run([sys.executable, TOOL, "small", self.small], check=True)
        self.options = os.path.join(self.folder, "options")
        self.nobody = os.path.join(self.folder, "nobody")
        self.sockets = {}

    def libraries(self, runtime):
        return {"LD_LIBRARY_PATH": os.environ["LD_LIBRARY_PATH"] + ":" + runtime,
                "STAGGER_VGPU": os.environ["STAGGER_VGPU"], "FAKE_CUDA_LOG": self.options}

    def executor(self, *arguments, name="e0", socket=None, device="gpu:0", **more):
        """The process; it listens when this returns. With the daemon's `socket` under control."""
        self.sockets[name] = os.path.join(self.folder, name)
        ready, write = os.pipe()
        environment = self.environment(socket, name, **{
            **self.libraries(REAL), **({"LD_PRELOAD": AGENTS} if socket else {}), **more})
        process = self.popen([EXECUTOR, "--socket", self.sockets[name], "--device", device, "--ready-fd",
                              str(write), *arguments], pass_fds=[write], env=environment,
                             stdout=subprocess.DEVNULL,
                             stderr=open(os.path.join(self.folder, name + ".err"), "ab"))
        os.close(write)
        self.assertEqual(os.read(ready, 6), b"READY\n", self.said(name))
        os.close(ready)
        return process

    def status(self, name="e0"):
        return json.loads(subprocess.run([EXECUTOR, "--status", "--socket", self.sockets[name]], check=True,
                                         capture_output=True, timeout=harness.DEADLINE_S).stdout)

    def app(self, *arguments, name="app", runtime=FAKE, executors=("e0",), **more):
        sockets = ",".join(self.sockets[executor] for executor in executors)
        environment = {**self.libraries(runtime), **({"STAGGER_EXECUTOR": sockets} if executors else {}), **more}
        return self.start([FRAMES, *map(str, arguments)], self.nobody if executors else None, name, **environment)

    def doctor(self, runtime, *command):
        done = subprocess.run([STAGGER, "doctor", "--json", "--executor", self.sockets["e0"], "--", *command],
                              env=self.environment(**self.libraries(runtime)), capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, timeout=harness.DEADLINE_S)
        return done.stdout + done.stderr


class Computing(GpuExecutorTest):
    def test_a_session_of_the_cpu_computes_on_the_gpu(self):
        arguments = ("run", self.small, 60, 8, 1, 30)
        bare = self.app(*arguments, name="bare", executors=()).end()
        self.assertEqual(bare[0], 0, self.said("bare"))
        self.assertFalse(os.path.exists(self.options), "the app asks for no provider")
        executor = self.executor("--memory", "900", CUDA_VISIBLE_DEVICES="7", NVIDIA_VISIBLE_DEVICES="all")
        seen = []
        app = self.app(*arguments)
        self.assertEqual(app.end(lambda: seen.append(self.status())), bare, self.said())
        self.assertEqual(self.said(), "")
        [model] = seen[0]["models"]
        self.assertEqual((seen[0]["device"], model["inferences"]), ("gpu:0", 30))
        # The provider's own 64 MB, as NVML tells: not the machine's memory.
        self.assertGreaterEqual(model["memory_bytes"], 64 << 20)
        self.assertLess(model["memory_bytes"], 80 << 20)
        with open(self.options) as file:
            options = file.read().split()
        self.assertEqual(options[:2], ["device_id=0", f"gpu_mem_limit={900 << 20}"])
        self.assertRegex(options[2], "^CUDA_VISIBLE_DEVICES=GPU-[0-9a-f-]{36}$")
        self.assertEqual(options[3:], ["NVIDIA_TF32_OVERRIDE=0"])
        harness.wait_until(lambda: self.status()["models"] == [], "the model gone with its user")
        executor.terminate()
        kernels = [op for op in DEVICE_LOG.of(executor.pid) if op.get("kind") == "kernel"]
        self.assertGreaterEqual(len(kernels), 60 * (BODY + 1))

    def test_memory_is_the_gpus(self):
        self.executor("--memory", "40")
        self.assertEqual(self.app("run", self.small, 2, 8, 1).end(),
                         self.app("run", self.small, 2, 8, 1, name="bare", executors=()).end())
        self.assertRegex(self.said(), r"it takes 6\d MB loaded, and models may take 40 MB here")


class Refused(GpuExecutorTest):
    def check(self, said, runtime=FAKE, **more):
        """The app computes as bare, one line says why; so does the doctor."""
        self.executor(**more)
        command = [FRAMES, "run", self.small, "3", "8", "1"]
        bare = self.app(*command[1:], name="bare", executors=()).end()
        self.assertEqual(self.app(*command[1:], runtime=runtime).end(), bare)
        lines = [line for line in self.said().splitlines() if "no daemon listens" not in line]
        self.assertEqual(len(lines), 1, lines)
        self.assertRegex(lines[0], "^stagger: not forwarded to an executor: " + said)
        self.assertRegex(self.doctor(runtime, *command), said)

    def test_a_runtime_without_the_provider(self):
        path = re.escape(os.path.realpath(harness.RUNTIME))
        self.check(rf"gpu:0: ONNX Runtime 1\.29\.0 in {path} has no CUDAExecutionProvider; "
                   "expected a GPU package of it, in the app", runtime=REAL)

    def test_a_gpu_that_is_not_there(self):
        self.check("gpu:3: there is no such GPU here; expected a number below 1", device="gpu:3")
        self.assertIn("gpu:3: there is no such GPU here", self.said("e0"))

    def test_no_driver(self):
        self.check("gpu:0: there is no GPU here: libnvidia-ml.so.1: cannot open", LD_LIBRARY_PATH=REAL)

    def test_nvml_without_a_driver(self):
        self.check("gpu:0: the CUDA driver does not load: libcuda.so.1: cannot open.*expected libcuda.so.1",
                   LD_LIBRARY_PATH=os.environ["NVML"])

    def test_a_provider_that_does_not_start(self):
        path = re.escape(os.path.join(FAKE, "libonnxruntime.so.1"))
        self.check(rf"gpu:0: the CUDAExecutionProvider of ONNX Runtime 1\.29\.0 in {path} does not start: "
                   "Failed to load .*libcudnn.so.9 is missing", FAKE_CUDA_FAILS="1")

    def test_what_one_device_refuses_another_takes(self):
        self.executor(name="gpu")
        self.executor(name="cpu", device=f"cpu:{min(os.sched_getaffinity(0))}")
        bare = self.app("run", self.small, 20, 8, 1, 10, name="bare", executors=()).end()
        app = self.app("run", self.small, 20, 8, 1, 10, runtime=REAL, executors=("gpu", "cpu"))
        seen = []
        self.assertEqual(app.end(lambda: seen.append(self.status("cpu"))), bare)
        self.assertEqual(seen[0]["models"][0]["inferences"], 10)
        self.assertRegex(self.said(), "has no CUDAExecutionProvider.*; its inferences run elsewhere$")
        self.assertEqual(self.said("gpu").count("to be loaded"), 1, "it is not asked again and again")


class Turns(GpuExecutorTest):
    def test_its_bodies_take_turns_with_those_of_a_local_app(self):
        turns, recording = (tempfile.mktemp(dir=self.folder) for _ in range(2))
        daemon = harness.Daemon(self, "--policy", "edf", "--concurrency", "1", "--lease-floor", "60000",
                                "--record", recording)
        executor = self.executor(socket=daemon.socket, STAGGER_TURNS=turns, STAGGER_DEADLINE_MS="10000")
        # It is a stream before it infers.
        harness.wait_until(lambda: daemon.stream("e0"), "the executor's stream")
        bare = self.app("run", self.small, 100, 8, 1, name="bare", executors=()).end()
        camera = self.start([CAMERA, *QUICK, "--frames", "150"], daemon.socket, "camera",
                            **self.libraries(REAL), LD_PRELOAD=AGENTS, STAGGER_TURNS=turns)
        app = self.app("run", self.small, 100, 8, 1, STAGGER_DEADLINE_MS="4000")
        self.assertEqual(app.end(), bare, self.said())
        self.assertEqual(camera.end()[0], 0, self.said("camera"))
        totals = daemon.totals()
        self.assertEqual((totals["expired"], totals["cancelled"]), (0, 0))
        by_pid = bodies.read_turns(turns)
        mine, other = ([turn for turn in by_pid[pid] if turn["turn"] > 0 and turn["over_ns"] > 0]
                       for pid in (executor.pid, camera.pid))
        # One for each inference, which is its body and no more.
        self.assertGreaterEqual(len(mine), 100 - LEARNED)
        self.assertEqual({turn["last_launch"] - turn["first_launch"] for turn in mine[LEARNED:]}, {BODY - 1})
        self.assertEqual([(a, b) for a in mine for b in other
                          if max(a["begun_ns"], b["begun_ns"]) < min(a["over_ns"], b["over_ns"])], [])
        stream = daemon.stream("e0")
        self.assertEqual(stream["deadline_ms"], 10000)
        self.assertGreater(stream["wait_ms"]["p99"], 1, "they do compete")
        # To the daemon each inference is due when its app needs it: 4 s after it was sent.
        daemon.stop()
        events = bodies.read_lines(recording)
        client = next(e["client"] for e in events if e.get("event") == "joined" and e["name"] == "e0")
        asked = [e for e in events if e.get("event") == "requested" and e["client"] == client]
        self.assertEqual({e["device"] for e in asked}, {1})
        due_in = sorted(10000 - e["since_call_ns"] / MS for e in asked)
        self.assertLessEqual(due_in[-1], 4000)
        self.assertGreater(due_in[len(due_in) // 2], 2000)


class Planned(GpuExecutorTest):
    def site(self, apps):
        return ('policy: edf\nconcurrency: 1\ndevices:\n'
                '  - {name: g, on: "gpu:0", executor: true, memory_gb: 12}\n' + "apps:\n" + apps)

    def sent(self, fps=5, profile="profile: {body_ms: 15, memory_gb: 0.2}"):
        command = json.dumps([FRAME_RUNNER, self.small, "--fps", str(fps), "--seconds", "60"])
        return f"  - {{name: sent, command: {command}, fps: {fps}, copies: 2, executor: true, {profile}}}\n"

    def local(self):
        command = json.dumps([CAMERA, *QUICK, "--fps", "5", "--frames", "100000"])
        return (f"  - {{name: local, command: {command}, fps: 5, "
                "profile: {body_ms: 10, post_ms: 5, memory_gb: 0.2}}\n")

    def test_an_executor_beside_a_local_app_on_one_gpu(self):
        up = Up(self, self.site(self.sent() + self.local()), **self.libraries(FAKE))
        up.wait_for(r"^(sent-1|sent-2|local): on g: |stagger: (sent-1|sent-2|local): on g: ", 3)
        pid, = {int(m[1]) for m in up.wait_for(r"executor-g: started, pid (\d+)")}

        def infers():
            streams = {s["name"]: s for s in up.status()["streams"]}
            return len(streams) == 4 and all(s["done"] > LEARNED for s in streams.values()) and streams
        streams = harness.wait_until(infers, "all infer")
        self.assertEqual(up.where(), {"sent-1": ["executor-g"], "sent-2": ["executor-g"]})
        # It asks for turns as the local app does, with the deadline of those whose inferences it runs.
        self.assertEqual(streams["executor-g"]["deadline_ms"], 200)
        self.assertGreater(streams["executor-g"]["granted"], 0)
        self.assertGreater(streams["local"]["granted"], 0)
        with open(self.options) as file:
            visible, = set(re.findall("CUDA_VISIBLE_DEVICES=(.*)", file.read()))
        self.assertRegex(visible, "^GPU-")
        with open(f"/proc/{streams['local']['pid']}/environ", "rb") as file:
            self.assertIn(f"CUDA_VISIBLE_DEVICES={visible}".encode(), file.read().split(b"\0"))
        # Its death is none of the local app's business.
        os.kill(pid, 9)
        up.wait_for(r"executor-g: started, pid", 2)
        done = streams["sent-1"]["done"]
        harness.wait_until(lambda: up.places().get("sent-1") == ["g"] and up.where().get("sent-1") == ["executor-g"] and
                           next(s for s in up.status()["streams"] if s["name"] == "sent-1")["done"] > done + 20,
                           "they are back on it")
        placed = {s["name"]: s for s in up.placement()["streams"]}
        self.assertEqual(placed["local"]["moves"], 0)
        up.stop()

    def test_an_app_that_cannot_be_tried_needs_a_profile(self):
        site = self.site(self.sent(profile="min_fps: 1"))
        up = Up(self, site, **self.libraries(FAKE))
        self.assertEqual(up.end(), 1)
        self.assertIn("only GPUs have executors here", "\n".join(up.lines))


if __name__ == "__main__":
    DEVICE_LOG = bodies.on_virtual_gpu()
    harness.main()
