"""Whether bodies are found, over many kinds of apps: by hand, one line each.

    python3 -B tests/process/bodies_sweep.py         # after ./dev build; about two minutes

docs/measurements/phases.md has what it said.
"""

import itertools
import os
import subprocess
import sys
import tempfile

import turns_soak
from turns_soak import AGENT, CAMERA, CUDA_AGENT, STAGGER

import bodies


def after(body_ms, steps):
    """Post-processing that takes a fifth of the body on the GPU, and some time on the CPU."""
    return ["--post", f"{body_ms / 5 + 0.2}", "--post-cpu", "0.2", "--post-steps", str(steps)]


def apps():
    for kernels, body, steps in itertools.product((1, 2, 20, 60, 2000), (1.5, 5, 38), (0, 1, 6)):
        if kernels < 2000 or body >= 5:
            yield ["--kernels", str(kernels), "--body", str(body), *after(body, steps)]
    for fps in (4, 30, 60):
        yield ["--fps", str(fps), "--body", "5", *after(5, 2)]
    for fps in (30, 60):
        yield ["--fps", str(fps), "--body", "1.5", *after(1.5, 2)]
    yield ["--demand", "0.25", "--body", "5", *after(5, 2)]
    for shape, body in itertools.product(("per-thread", "graph", "models", "streams", "legacy",
                                          "nosync", "capture"), (1.5, 5, 38)):
        yield ["--shape=" + shape, "--body", str(body), "--kernels", "20", *after(body, 2)]


def sweep(folder):
    daemon, socket = turns_soak.start_daemon(folder, "--lease-floor", "1000")
    log = bodies.DeviceLog(os.path.join(folder, "device.jsonl"))
    total = bodies.Judgement()
    for arguments in apps():
        truth, turns = (tempfile.mktemp(dir=folder) for _ in range(2))
        heartbeat = bodies.Heartbeat()
        app = subprocess.Popen(
            [CAMERA, "--pre", "0", "--frames", "40", "--truth", truth, *arguments],
            stdout=subprocess.DEVNULL, preexec_fn=turns_soak.die_with_parent,
            env={**os.environ, "LD_PRELOAD": AGENT + ":" + CUDA_AGENT, "STAGGER_SOCKET": socket,
                 "STAGGER_TURNS": turns})
        app.wait()
        heartbeat.stop()
        ops = log.of(app.pid)
        found = bodies.judge(bodies.read_truth(truth), bodies.read_turns(turns)[app.pid], ops,
                             heartbeat)
        wrong = "" if found.exact >= 0.99 * found.looked_at else "   <<<"
        print(f"{found.line():58} {' '.join(arguments)}{wrong}", flush=True)
        for field in ("looked_at", "exact", "timed", "in_time", "stalled"):
            setattr(total, field, getattr(total, field) + getattr(found, field))
    print("all: " + total.line())
    daemon.terminate()
    daemon.wait()
    return 0 if total.exact >= 0.99 * total.looked_at else 1


def main():
    if "STAGGER_VGPU" in os.environ:
        return sweep(os.environ["SWEEP_FOLDER"])
    with tempfile.TemporaryDirectory(prefix="stagger-sweep-") as folder:
        return subprocess.run(
            [STAGGER, "vgpu", "--log", os.path.join(folder, "device.jsonl"), "--", sys.executable,
             "-B", __file__], env={**os.environ, "SWEEP_FOLDER": folder}, check=False,
            preexec_fn=turns_soak.die_with_parent).returncode


if __name__ == "__main__":
    sys.exit(main())
