"""Runs a Python program, unchanged, under torch.profiler, and writes what the GPU did.

    profiled.py OUT.json PROGRAM.py [ARGUMENTS...]

OUT holds {"kernels": [[begin_ns, end_ns, name], ...]} in ns of CLOCK_MONOTONIC, the clock of the
program's own samples and of the daemon's recording.
"""

import json
import os
import re
import runpy
import sys
import time

import torch
from torch.profiler import ProfilerActivity, profile, record_function

OURS = "profiled.py clock "


def mark():
    """The profiler's clock beside ours: an annotation that holds the time at which it was made."""
    for _ in range(20):
        with record_function(OURS + str(time.monotonic_ns())):
            pass


def main():
    out = sys.argv[1]
    sys.argv = sys.argv[2:]
    activities = [ProfilerActivity.CPU]
    if torch.cuda.is_available():
        torch.cuda.init()
        activities.append(ProfilerActivity.CUDA)
    with profile(activities=activities) as profiler:
        mark()
        runpy.run_path(sys.argv[0], run_name="__main__")
        mark()
    trace_file = out + ".trace"
    profiler.export_chrome_trace(trace_file)
    with open(trace_file, encoding="utf-8", errors="replace") as file:
        trace = json.load(file)
    trace = trace["traceEvents"] if isinstance(trace, dict) else trace
    os.remove(trace_file)
    offsets, kernels = [], []
    for event in trace:
        name = str(event.get("name", ""))
        if name.startswith(OURS) and "ts" in event and event.get("ph") == "X":
            offsets.append(float(event["ts"]) * 1e3 - int(re.sub(r"\D", "", name)))
        elif event.get("cat", "").lower() in ("kernel", "gpu_memcpy", "gpu_memset"):
            kernels.append((float(event["ts"]), float(event["dur"]), event["cat"].lower(), name))
    # Making an annotation takes a moment: the least offset is the true one.
    offset = min(offsets)
    with open(out, "w", encoding="utf-8") as file:
        json.dump({"clock_spread_us": (max(offsets) - offset) / 1e3, "kernels": sorted(
            [round(ts * 1e3 - offset), round((ts + duration) * 1e3 - offset), kind, name[:80]]
            for ts, duration, kind, name in kernels)}, file)


main()
