"""The virtual GPU: real processes, the real libcuda.so.1 double, judged by the device's own log.

How operations share the device is tested in model time (tests/vgpu/device_test.cc); here, what only processes can show.
"""

import json
import os
import shlex
import signal
import subprocess

import harness

STAGGER = os.environ["STAGGER"]
CAMERA = os.environ["CUDA_CAMERA"]
LINKED = os.environ["CUDA_CAMERA_LINKED"]
LIBRARIES = os.environ["VIRTUAL_DRIVER"]
# Small and quick: ten inferences of a 4 ms body.
QUICK = ["--frames", "10", "--pre", "0", "--body", "4", "--kernels", "20", "--post", "2",
         "--post-cpu", "0.2", "--post-steps", "2"]
NS = 1_000_000


class VirtualGpu(harness.ProcessTest):
    def path(self, name):
        return os.path.join(self.folder, name)

    def vgpu(self, command, *options, **environment):
        """stagger vgpu -- COMMAND to its end: exit code, stdout, stderr; the log is in self.log()."""
        with open(self.path("out"), "wb") as out:
            process = self.popen(
                [STAGGER, "vgpu", "--log", self.path("log"), *options, "--", *command],
                env=self.environment(**environment), stdin=subprocess.DEVNULL, stdout=out,
                stderr=open(self.path("err"), "wb"))
        code = process.wait(harness.DEADLINE_S)
        with open(self.path("out"), encoding="utf-8") as out, \
                open(self.path("err"), encoding="utf-8") as err:
            return code, out.read(), err.read()

    def camera(self, *arguments, program=CAMERA, options=(), **environment):
        code, out, err = self.vgpu([program, *arguments], *options, **environment)
        self.assertEqual(code, 0, err)
        return json.loads(out)

    def side_by_side(self, apps, *options):
        """Apps on one device that begin together, each (name, environment, arguments): {name: (code, err)}."""
        script = []
        for name, environment, arguments in apps:
            words = [*(f"{key}={value}" for key, value in environment.items()), CAMERA, *arguments,
                     "--ready-file", self.path(name + ".ready"), "--wait-for", self.path("go")]
            script.append(f"(cd {self.folder}; env {shlex.join(words)} >/dev/null 2>{name}.err; echo $? >{name}.code) &")
        for name, _, _ in apps:
            script.append(f"until [ -e {self.path(name + '.ready')} ]; do sleep 0.02; done;")
        code, _, err = self.vgpu(["sh", "-c", " ".join(script) + f" : >{self.path('go')}; wait"], *options)
        self.assertEqual(code, 0, err)
        os.remove(self.path("go"))
        outcomes = {}
        for name, _, _ in apps:
            os.remove(self.path(name + ".ready"))
            texts = []
            for kind in ("code", "err"):
                with open(self.path(f"{name}.{kind}"), encoding="utf-8") as file:
                    texts.append(file.read())
            outcomes[name] = (int(texts[0]), texts[1])
        return outcomes

    def log(self):
        with open(self.path("log"), encoding="utf-8") as file:
            return [json.loads(line) for line in file]

    def kernels(self, of_class=None):
        return [e for e in self.log() if e["event"] == "op" and e["kind"] == "kernel" and
                (of_class is None or e["class"] == of_class)]

    # ---- apps ----------------------------------------------------------------------------------

    def test_the_same_output_however_an_app_is_built(self):
        ssd = self.camera(*QUICK)
        self.assertEqual(ssd["done"], 10)
        for arguments in (["--bind", "proc"], ["--shape=legacy"], ["--shape=graph"],
                          ["--shape=nosync"], ["--shape=models"], ["--shape=fork", "--at", "5"],
                          ["--shape=exec", "--at", "5"]):
            with self.subTest(arguments):
                again = self.camera(*QUICK, *arguments)
                self.assertEqual((again["done"], again["checksum"]), (10, ssd["checksum"]))
        for shape in ("ssd", "streams", "per-thread"):
            with self.subTest(linked=shape):
                opened = self.camera(*QUICK, "--shape=" + shape)
                linked = self.camera(*QUICK, "--shape=" + shape, program=LINKED)
                self.assertEqual(opened["checksum"], linked["checksum"])

    def test_a_graph_is_one_body(self):
        self.camera(*QUICK, "--shape=graph")
        kernels = self.kernels("body")
        self.assertEqual(len(kernels), 200)
        for i in range(0, 200, 20):
            self.assertEqual(len({k["submitted_ns"] for k in kernels[i:i + 20]}), 1)

    def test_two_thousand_tiny_kernels(self):
        summary = self.camera("--frames", "3", "--pre", "0", "--body", "40", "--kernels", "2000",
                              "--post", "1", "--post-cpu", "0")
        self.assertEqual(summary["done"], 3)
        kernels = self.kernels("body")
        self.assertEqual(len(kernels), 6000)
        self.assertEqual({k["end_ns"] - k["begin_ns"] for k in kernels}, {20000})

    def test_a_small_net_at_60_fps_and_a_slow_first_inference(self):
        summary = self.camera("--fps", "60", "--frames", "60", "--pre", "0", "--body", "3",
                              "--kernels", "6", "--demand", "0.4", "--post", "1", "--post-cpu", "0",
                              "--first", "500")
        self.assertEqual(summary["frames"], 60)
        self.assertEqual(summary["done"] + summary["drops"], 60)
        # The first one takes half a second, which costs about 30 frames.
        self.assertGreaterEqual(summary["drops"], 29)
        self.assertGreaterEqual(summary["inference_ms"]["max"], 503)
        first, = [k for k in self.kernels() if k["name"] == "compile"]
        self.assertEqual(first["end_ns"] - first["begin_ns"], 500 * NS)

    def test_a_thread_percentage_makes_kernels_longer(self):
        self.camera(*QUICK, CUDA_MPS_ACTIVE_THREAD_PERCENTAGE="50")
        self.assertEqual({k["end_ns"] - k["begin_ns"] for k in self.kernels("body")}, {4 * NS // 10})

    # ---- faults --------------------------------------------------------------------------------

    def test_an_illegal_address_ends_all_mps_clients(self):
        # At the bad one's 15th inference of 300.
        frames = [*QUICK, "--frames", "300"]
        apps = [("bad", {"STAGGER_VGPU_FAULT": "address:conv:300"}, frames), ("good", {}, frames)]
        outcomes = self.side_by_side(apps)
        self.assertIn("CUDA_ERROR_ILLEGAL_ADDRESS", outcomes["bad"][1])
        self.assertEqual(outcomes["good"][0], 1)
        self.assertIn("CUDA_ERROR_MPS_CLIENT_TERMINATED", outcomes["good"][1])
        outcomes = self.side_by_side(apps, "--mode", "timeslice")
        self.assertIn("CUDA_ERROR_ILLEGAL_ADDRESS", outcomes["bad"][1])
        self.assertEqual(outcomes["good"][0], 0, outcomes["good"][1])

    def test_a_killed_server_ends_waiting_with_an_error(self):
        code, _, err = self.vgpu([CAMERA, *QUICK], "--fault", "server:conv:50")
        self.assertEqual(code, 1)
        self.assertIn("CUDA_ERROR_DEVICE_UNAVAILABLE", err)

    def test_a_crash_frees_the_device_at_once(self):
        # Long, so that the crash comes before its end even on a busy machine.
        code, _, _ = self.vgpu([CAMERA, *QUICK, "--body", "200", "--shape=crash", "--at", "3"])
        self.assertEqual(code, 128 + signal.SIGSEGV)
        left, = [e for e in self.log() if e["event"] == "left"]
        ended = [k for k in self.kernels() if k["result"] != 0]
        self.assertEqual([(k["result"], k["end_ns"]) for k in ended], [(4, left["at_ns"])])

    def test_a_hanging_kernel_ends_with_its_process(self):
        hang = [CAMERA, *QUICK, "--shape=hang", "--at", "2"]
        code, out, err = self.vgpu(["sh", "-c", f"timeout -s KILL 1 {shlex.join(hang)}; "
                                    f"exec {shlex.join([CAMERA, *QUICK])}"])
        self.assertEqual(code, 0, err)
        self.assertEqual(json.loads(out)["done"], 10)

    def test_memory_limits(self):
        code, _, err = self.vgpu([CAMERA, *QUICK], "--memory", "512KiB")
        self.assertEqual(code, 1)
        self.assertIn("cuMemAlloc: CUDA_ERROR_OUT_OF_MEMORY", err)
        limited = {"CUDA_MPS_PINNED_DEVICE_MEM_LIMIT": "0=500K"}
        code, _, err = self.vgpu([CAMERA, *QUICK], **limited)
        self.assertEqual(code, 1)
        self.assertIn("cuMemAlloc: CUDA_ERROR_OUT_OF_MEMORY", err)
        self.camera(*QUICK, CUDA_MPS_PINNED_DEVICE_MEM_LIMIT="0=2M")

    def test_nonsense_from_one_client_leaves_the_others_alone(self):
        script = ("import os, socket\n"
                  "def say(*packets):\n"
                  "  s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)\n"
                  "  s.connect(os.environ['STAGGER_VGPU'])\n"
                  "  for packet in packets: s.send(packet)\n"
                  "  return s\n"
                  "def dropped(s):\n"
                  "  s.settimeout(20)\n"
                  "  while s.recv(65536): pass\n"
                  "hello = (0).to_bytes(4, 'little') + (3).to_bytes(4, 'little') + b'\\0' * 8 + "
                  "b'\\0' * 6 + b'\\xf0\\x3f' + b'\\xff' * 8\n"
                  "for second in b'x', b'\\xff' * 64, b'\\1\\0\\0\\0' + b'\\xff' * 60, "
                  "b'\\2\\0\\0\\0\\7\\0\\0\\0name', b'\\6\\0\\0\\0' + b'\\xff' * 28:\n"
                  "  dropped(say(second))\n"
                  "  dropped(say(hello, second))\n"
                  "quiet = say(hello)\n")
        code, out, err = self.vgpu(["sh", "-c", f"{shlex.join([CAMERA, *QUICK])} & "
                                    f"python3 -c {shlex.quote(script)} || exit 9; wait $!"])
        self.assertEqual(code, 0, err)
        self.assertEqual(json.loads(out)["done"], 10)

    # ---- around the command --------------------------------------------------------------------

    def test_exit_codes_signals_and_input_pass_through(self):
        self.assertEqual(self.vgpu(["sh", "-c", "exit 7"])[0], 7)
        self.assertEqual(self.vgpu(["sh", "-c", "kill -KILL $$"])[0], 128 + signal.SIGKILL)
        process = self.popen([STAGGER, "vgpu", "--", "sh", "-c",
                              "trap 'echo caught; exit 5' TERM; echo ready; read line; echo $line; "
                              "while :; do sleep 0.05; done"],
                             env=self.environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                             stderr=subprocess.DEVNULL)
        app = harness.App(process)
        self.assertEqual(app.line(), "ready")
        process.stdin.write(b"hello\n")
        process.stdin.flush()
        self.assertEqual(app.line(), "hello")
        process.send_signal(signal.SIGTERM)
        self.assertEqual(app.line(), "caught")
        self.assertEqual(process.wait(harness.DEADLINE_S), 5)

    def test_says_how_late_it_was(self):
        _, _, err = self.vgpu([CAMERA, *QUICK])
        self.assertRegex(err, r"stagger: vgpu: 1 processes, 220 kernels, \d+ operations; \d+ awaited "
                              r"completions reached their app late by \d+ us \(p50\)")

    def test_bad_usage_is_one_line(self):
        bad = self.path("bad.yaml")
        with open(bad, "w", encoding="utf-8") as file:
            file.write("name: x\nmemory: 4 cakes\n")
        for arguments, expected in (
                (["--mode", "both", "--", "true"], "--mode: 'both'; expected mps or timeslice"),
                (["--kernel-cost", "5", "--", "true"], "--kernel-cost: '5'; expected a time"),
                (["--memory", "much", "--", "true"], "--memory: 'much'; expected a size"),
                (["--fault", "burn:x:1", "--", "true"], "'burn:x:1' is not a fault"),
                (["--model", "h100", "--", "true"], "'h100' is no model; expected t4"),
                (["--model", bad, "--", "true"], "memory: expected a size, for example 16GiB"),
                (["--devices", "a=t4,a=t4", "--", "true"], "--devices: 'a' twice"),
                (["--devices", "a=t4:0", "--", "true"], "'0' is no speed from 0.01 to 100"),
                (["--devices", "t4:1:much", "--", "true"], "'t4:1:much': 'much' is no size"),
                (["--devices", "7=t4", "--", "true"], "'7' is no name"),
                (["--devices", "h100", "--", "true"], "'h100' is no model; expected t4"),
                (["--devices", "t4", "--model", "t4", "--", "true"], "--model excludes --devices"),
                (["--lose", "0", "--", "true"], "--lose, --restore: not beside a command"),
                ([], "what to run?"),
                (["--"], "what to run?")):
            with self.subTest(arguments):
                run = subprocess.run([STAGGER, "vgpu", *arguments], capture_output=True, text=True,
                                     check=False)
                self.assertEqual(run.returncode, 2)
                self.assertIn(expected, run.stderr)
                self.assertEqual(run.stderr.count("\n"), 1, run.stderr)

    def test_a_model_file(self):
        model = self.path("model.yaml")
        with open(model, "w", encoding="utf-8") as file:
            file.write("name: Small GPU\nmemory: 4GiB\nsigma: 0.5\npcie_gbps: 1\ncopy_latency_us: 0\n"
                       "kernels:\n  - {name: mine, cost: 3ms, demand: 0.5, class: post}\n")
        script = ("import ctypes; c = ctypes.CDLL('libcuda.so.1'); p = ctypes.c_void_p; "
                  "x = p(); m = p(); f = p(); n = ctypes.create_string_buffer(64); "
                  "assert c.cuInit(0) == 0 and c.cuCtxCreate_v2(ctypes.byref(x), 0, 0) == 0; "
                  "c.cuDeviceGetName(n, 64, 0); print(n.value.decode()); "
                  "assert c.cuModuleLoadData(ctypes.byref(m), b'.version 8') == 0\n"
                  "for k in b'mine', b'other':\n"
                  "  assert c.cuModuleGetFunction(ctypes.byref(f), m, k) == 0\n"
                  "  assert c.cuLaunchKernel(f, 1, 1, 1, 1, 1, 1, 0, None, None, None) == 0\n"
                  "assert c.cuCtxSynchronize() == 0")
        code, out, err = self.vgpu(["python3", "-c", script], "--model", model, "--kernel-cost", "7ms")
        self.assertEqual((code, out), (0, "Small GPU\n"), err)
        mine, other = self.kernels()
        self.assertEqual((mine["class"], mine["end_ns"] - mine["begin_ns"]), ("post", 3 * NS))
        self.assertEqual((other["class"], other["end_ns"] - other["begin_ns"]), ("body", 7 * NS))

    # ---- several devices -----------------------------------------------------------------------

    def test_devices_of_two_speeds_have_bodies_of_their_own(self):
        script = self.path("two.py")
        with open(script, "w", encoding="utf-8") as file:
            file.write(DEVICES_CLIENT)
        quick = shlex.join([CAMERA, *QUICK])
        code, out, err = self.vgpu(
            ["sh", "-c", f"python3 {script} && CUDA_VISIBLE_DEVICES=1 {quick} & one=$!; "
             f"CUDA_VISIBLE_DEVICES=GPU-01 {quick} & wait $one && wait $!"],
            "--devices", "slow=t4:0.5:8GiB,fast=t4")
        self.assertEqual(code, 0, err)
        facts = json.loads(next(line for line in out.splitlines() if "cuda" in line))
        # CUDA counts the fastest first, NVML by bus.
        self.assertEqual([d["name"] for d in facts["cuda"]], ["Virtual T4 (fast)", "Virtual T4 (slow)"])
        self.assertEqual([d["name"] for d in facts["nvml"]], ["Virtual T4 (slow)", "Virtual T4 (fast)"])
        self.assertEqual([d["memory"] for d in facts["nvml"]], [8 << 30, 16 << 30])
        self.assertEqual({d["uuid"] for d in facts["cuda"]}, {d["uuid"] for d in facts["nvml"]})
        self.assertEqual(len({d["uuid"] for d in facts["cuda"]}), 2)
        self.assertEqual(facts["free_changed"], [0, 1 << 20], "memory is counted where it is")
        self.assertEqual(facts["peer"], 0)
        self.assertEqual(facts["value"], 5.0, "one device's stream waits for another's event")
        heads = [e for e in self.log() if e["event"] == "device"]
        self.assertEqual([(e["device"], e["label"], e["speed"]) for e in heads], [(0, "slow", 0.5), (1, "fast", 1)])
        kernels = self.kernels("body")
        by_device = {d: {k["end_ns"] - k["begin_ns"] for k in kernels if k["name"] == "conv" and k["device"] == d}
                     for d in (0, 1)}
        self.assertEqual(by_device, {0: {2 * 4 * NS // 20}, 1: {4 * NS // 20}},
                         "at its own speed, and undisturbed by the other")

    def test_a_lost_device_fails_its_own_apps_only(self):
        long = shlex.join([CAMERA, *QUICK, "--frames", "60"])
        code, out, err = self.vgpu(
            ["sh", "-c", f"STAGGER_VGPU_FAULT=lost:conv:50 CUDA_VISIBLE_DEVICES=0 {long} & bad=$!; "
             f"CUDA_VISIBLE_DEVICES=1 {long} & good=$!; wait $bad; echo bad $?; wait $good; echo good $?; "
             # It is not listed until it is back.
             f"CUDA_VISIBLE_DEVICES=GPU-00 {long} >/dev/null; echo gone $?; "
             f"{STAGGER} vgpu --restore a && CUDA_VISIBLE_DEVICES=GPU-00 {long} >/dev/null; echo back $?"],
            "--devices", "a=t4,b=t4")
        self.assertEqual(code, 0, err)
        codes = dict(line.split() for line in out.splitlines() if not line.startswith("{"))
        self.assertEqual(codes, {"bad": "1", "good": "0", "gone": "1", "back": "0"}, err)
        self.assertIn("CUDA_ERROR_DEVICE_UNAVAILABLE", err)
        self.assertIn("cuInit: CUDA_ERROR_NO_DEVICE", err)
        self.assertEqual([(e["event"], e["device"]) for e in self.log() if e["event"] in ("lost", "back")],
                         [("lost", 0), ("back", 0)])

    def test_without_a_virtual_gpu_there_is_no_device(self):
        environment = dict(self.environment(), LD_LIBRARY_PATH=LIBRARIES)
        run = subprocess.run([CAMERA, *QUICK], env=environment, capture_output=True, text=True,
                             check=False)
        self.assertEqual((run.returncode, run.stderr),
                         (1, "cuda-camera: cuInit: CUDA_ERROR_NO_DEVICE (100)\n"))

    # ---- NVML ----------------------------------------------------------------------------------

    def test_nvml_shows_device_memory_and_processes(self):
        script = self.path("nvml.py")
        with open(script, "w", encoding="utf-8") as file:
            file.write(NVML_CLIENT)
        busy = [CAMERA, "--pre", "0", "--body", "500", "--post", "0.1", "--post-cpu", "0", "--frames",
                "100000"]
        code, out, err = self.vgpu(["sh", "-c", f"{shlex.join(busy)} >/dev/null & app=$!; "
                                    f"python3 {script} $app; code=$?; kill $app; wait; exit $code"],
                                   "--memory", "8GiB")
        self.assertEqual(code, 0, err)
        facts = json.loads(out)
        self.assertEqual(facts["name"], "Virtual T4")
        self.assertEqual(facts["count"], 1)
        self.assertEqual(facts["total"], 8 << 30)
        self.assertEqual(facts["used"] + facts["free"], facts["total"])
        self.assertEqual(facts["used"], 2 * 64 * 1024 * 4 + 1024 * 4)
        self.assertRegex(facts["uuid"], r"^GPU-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")
        self.assertEqual(facts["by_uuid"], 0)
        self.assertEqual(facts["processes"], [facts["used"]])
        self.assertGreater(facts["busy"], 50)


NVML_CLIENT = """
import ctypes, json, sys, time
app = int(sys.argv[1])
n = ctypes.CDLL("libnvidia-ml.so.1")
U, L, P = ctypes.c_uint, ctypes.c_ulonglong, ctypes.c_void_p
class Memory(ctypes.Structure):
    _fields_ = [("total", L), ("free", L), ("used", L)]
class Rates(ctypes.Structure):
    _fields_ = [("gpu", U), ("memory", U)]
class Process(ctypes.Structure):
    _fields_ = [("pid", U), ("used", L), ("gpu", U), ("compute", U)]
assert n.nvmlDeviceGetCount_v2(ctypes.byref(U())) == 1
assert n.nvmlInit_v2() == 0
count, device, other = U(), P(), P()
assert n.nvmlDeviceGetCount_v2(ctypes.byref(count)) == 0
assert n.nvmlDeviceGetHandleByIndex_v2(0, ctypes.byref(device)) == 0
assert n.nvmlDeviceGetHandleByIndex_v2(1, ctypes.byref(other)) == 2
name, uuid = ctypes.create_string_buffer(64), ctypes.create_string_buffer(64)
assert n.nvmlDeviceGetName(device, name, 64) == 0 and n.nvmlDeviceGetUUID(device, uuid, 64) == 0
memory, rates = Memory(), Rates()
end = time.monotonic() + 60
while time.monotonic() < end:
    processes, number = (Process * 8)(), U(8)
    assert n.nvmlDeviceGetMemoryInfo(device, ctypes.byref(memory)) == 0
    assert n.nvmlDeviceGetUtilizationRates(device, ctypes.byref(rates)) == 0
    assert n.nvmlDeviceGetComputeRunningProcesses_v3(device, ctypes.byref(number), processes) == 0
    if rates.gpu > 50 and number.value == 1:
        break
    time.sleep(0.05)
assert processes[0].pid == app, (processes[0].pid, app)
print(json.dumps({"name": name.value.decode(), "uuid": uuid.value.decode(), "count": count.value,
                  "total": memory.total, "free": memory.free, "used": memory.used,
                  "busy": rates.gpu, "by_uuid": n.nvmlDeviceGetHandleByUUID(uuid, ctypes.byref(other)),
                  "processes": [p.used for p in processes[:number.value]]}))
assert n.nvmlShutdown() == 0 and n.nvmlShutdown() == 1
"""

DEVICES_CLIENT = """
import ctypes, json
c, n = ctypes.CDLL("libcuda.so.1"), ctypes.CDLL("libnvidia-ml.so.1")
I, S, P = ctypes.c_int, ctypes.c_size_t, ctypes.c_void_p
assert c.cuInit(0) == 0
count = I()
assert c.cuDeviceGetCount(ctypes.byref(count)) == 0 and count.value == 2
cuda, contexts = [], []
for i in range(2):
    name, uuid, context = ctypes.create_string_buffer(64), (ctypes.c_ubyte * 16)(), P()
    assert c.cuDeviceGetName(name, 64, i) == 0 and c.cuDeviceGetUuid_v2(uuid, i) == 0
    cuda.append({"name": name.value.decode(), "uuid": bytes(uuid).hex()})
    assert c.cuCtxCreate_v2(ctypes.byref(context), 0, i) == 0
    contexts.append(context)
device, peer = I(), I(7)
assert c.cuCtxGetDevice(ctypes.byref(device)) == 0 and device.value == 1
assert c.cuDeviceGet(ctypes.byref(device), 2) == 101
assert c.cuDeviceCanAccessPeer(ctypes.byref(peer), 0, 1) == 0
assert c.cuDeviceCanAccessPeer(ctypes.byref(peer), 0, 2) == 101

def free(context):
    free, total = S(), S()
    assert c.cuCtxSetCurrent(context) == 0
    assert c.cuMemGetInfo_v2(ctypes.byref(free), ctypes.byref(total)) == 0
    return free.value

before = [free(context) for context in contexts]
memory = P()
assert c.cuMemAlloc_v2(ctypes.byref(memory), S(1 << 20)) == 0
changed = [b - free(context) for b, context in zip(before, contexts)]
# Work on one device, then a stream of the other one that waits for it.
module, kernel, event, stream = P(), P(), P(), P()
assert c.cuModuleLoadData(ctypes.byref(module), b"kernel scale cost=30ms do=scale\\n") == 0
assert c.cuModuleGetFunction(ctypes.byref(kernel), module, b"scale") == 0
ones = (ctypes.c_float * 4)(1, 1, 1, 1)
assert c.cuMemcpyHtoD_v2(memory, ones, S(16)) == 0
factor, number = ctypes.c_float(5), I(4)
parameters = (P * 4)(*(ctypes.cast(ctypes.byref(x), P) for x in (memory, memory, factor, number)))
assert c.cuLaunchKernel(kernel, 1, 1, 1, 1, 1, 1, 0, None, parameters, None) == 0
assert c.cuEventCreate(ctypes.byref(event), 0) == 0 and c.cuEventRecord(event, None) == 0
assert c.cuCtxSetCurrent(contexts[0]) == 0 and c.cuStreamCreate(ctypes.byref(stream), 0) == 0
assert c.cuStreamWaitEvent(stream, event, 0) == 0 and c.cuStreamSynchronize(stream) == 0
value = ctypes.cast(memory.value, ctypes.POINTER(ctypes.c_float))[0]
assert c.cuMemcpyPeer(memory, contexts[0], memory, contexts[1], S(4)) == 801
nvml = []
assert n.nvmlInit_v2() == 0
assert n.nvmlDeviceGetCount_v2(ctypes.byref(count)) == 0 and count.value == 2
for i in range(2):
    handle, index, memory_info = P(), ctypes.c_uint(9), (ctypes.c_ulonglong * 3)()
    name, uuid = ctypes.create_string_buffer(64), ctypes.create_string_buffer(64)
    assert n.nvmlDeviceGetHandleByIndex_v2(i, ctypes.byref(handle)) == 0
    assert n.nvmlDeviceGetName(handle, name, 64) == 0 and n.nvmlDeviceGetUUID(handle, uuid, 64) == 0
    assert n.nvmlDeviceGetMemoryInfo(handle, memory_info) == 0
    assert n.nvmlDeviceGetIndex(handle, ctypes.byref(index)) == 0 and index.value == i
    nvml.append({"name": name.value.decode(), "uuid": uuid.value.decode()[4:].replace("-", ""),
                 "memory": memory_info[0]})
print(json.dumps({"cuda": cuda, "nvml": nvml, "free_changed": changed, "peer": peer.value, "value": value}))
"""

if __name__ == "__main__":
    harness.main()
