"""The part about executors: an app of the CPU whose inferences ONNX Runtime's CUDA provider runs, in an
executor that takes turns beside a local CUDA app."""

import glob
import json
import os
import subprocess
import sys
import time

from world import Skip, Trouble, last_object, tail

TOOL = os.path.join(os.path.dirname(__file__), "../../tools/random_model.py")
USUAL = ("/usr/lib/x86_64-linux-gnu", "/usr/local/lib", "/opt/onnxruntime*/lib")


def find_runtime():
    """libonnxruntime of a GPU package. The Python wheels have it inside a module, which no other app can use."""
    named = os.environ.get("ORT_CUDA")
    for folder in [named] if named else [found for usual in USUAL for found in sorted(glob.glob(usual))]:
        libraries = sorted(glob.glob(os.path.join(folder, "libonnxruntime.so*")))
        if libraries and (named or os.path.exists(os.path.join(folder, "libonnxruntime_providers_cuda.so"))):
            return os.path.realpath(libraries[0])
    return None


def apart(values, others):
    """The largest difference, as a share of the largest value."""
    if len(values) != len(others):
        raise Trouble(f"{len(values)} values bare and {len(others)} from the executor")
    return max((abs(a - b) for a, b in zip(values, others)), default=0) / \
        max(max(map(abs, values), default=0), 1e-30)


def status(program, socket):
    run = subprocess.run([program, "--status", "--socket", socket], capture_output=True, text=True, timeout=20,
                         check=False)
    return json.loads(run.stdout) if run.returncode == 0 else {"models": []}


def executor(world, _):
    runtime = find_runtime()
    if runtime is None:
        raise Skip("no ONNX Runtime with the CUDA provider here: expected libonnxruntime.so and "
                   "libonnxruntime_providers_cuda.so in $ORT_CUDA, or in one of " + ", ".join(USUAL))
    program = os.path.join(os.path.dirname(world.stagger), "stagger-executor")
    app = os.path.join(world.built, "ort_app")
    for needed in (program, app):
        if not os.path.exists(needed):
            raise Skip(f"no {needed} (see build.log; ort_app needs onnxruntime_c_api.h)")
    result = {"runtime": runtime}
    frames = 60 if world.dry or world.quick else 300
    for kind in ("small",) if world.dry else ("small", "heavy"):
        row = result[kind] = {}
        model = os.path.join(world.scratch, kind + ".onnx")
        subprocess.run([sys.executable, TOOL, kind, model], check=True)
        command = [app, runtime, model, frames]
        try:
            bare = last_object(world.run([str(word) for word in command], f"executor-{kind}-bare", 120))
            row["cpu_p50_ms"] = bare["p50_ms"]
            yield result
            name = f"executor-{kind}"
            with world.daemon("--policy", "edf", "--concurrency", "1", name=name + "-staggerd") as daemon:
                socket = os.path.join(world.scratch, kind + "-executor")
                serving = world.start([world.stagger, "run", "--socket", daemon, "--name", "executor", "--deadline",
                                       "1000", "--", program, "--device", "gpu:0", "--socket", socket], name)
                end = time.monotonic() + 20
                while not os.path.exists(socket):
                    if serving.poll() is not None or time.monotonic() > end:
                        raise Trouble("the executor did not start: " + tail(world.log(name), 600))
                    time.sleep(0.05)
                turns = 0
                for leg in ("alone", "beside a camera"):
                    beside = []
                    if leg != "alone":
                        camera = world.command("cuda-camera", "--fps", 10, "--frames", 100000, "--body", 10)
                        beside = [world.start(world.under(daemon, "camera", camera), name + "-camera")]
                        time.sleep(1 if world.dry else 3)
                    sent = world.start([world.stagger, "run", "--socket", daemon, "--name", "sent", "--executor",
                                        socket, "--", *map(str, command)], f"{name}-app")
                    seen = {"models": []}
                    while sent.poll() is None and world.left() > 0:
                        now = status(program, socket)
                        seen = now if now["models"] else seen
                        time.sleep(0.05)
                    found = last_object(world.finish(sent, 120))
                    streams = {s["name"]: s for s in world.status(daemon)["streams"]}
                    row[leg] = {"p50_ms": found["p50_ms"], "max_ms": found["max_ms"],
                                "apart": apart(bare["values"], found["values"]),
                                "turns": streams["executor"]["granted"] - turns,
                                "expired": streams["executor"]["expired"]}
                    turns = streams["executor"]["granted"]
                    if seen["models"]:
                        [loaded] = seen["models"]
                        row[leg].update({key: loaded[key] for key in
                                         ("inferences", "body_ms", "load_ms", "memory_bytes", "batch")})
                    world.end(beside)
                    yield result
                world.end([serving])
            said = [line for line in tail(world.log(f"{name}-app")).splitlines() if "stagger" in line]
            row["said"] = said[-3:]
            # Where the executor ran nothing the app did, and its line says why.
            row["ran_there"] = all(row[leg].get("inferences", 0) > 0 for leg in ("alone", "beside a camera"))
        except (Trouble, subprocess.CalledProcessError) as trouble:
            row["failed"] = str(trouble)
        yield result


PARTS = {"executor": (executor, 90)}
