"""off, MPS, edf with k = 1 and with k auto, x 2, 8, 16 processes x three programs.

One set of processes lives through all policies of one daemon; they are switched while it runs. MPS
needs processes of its own, also with the agent (policy off), so that only MPS differs. Legs lie
symmetrically in time (off, k = 1, auto, k = 1, off), so that a drift hits all alike.
"""

import collections
import contextlib
import os
import statistics
import time

from world import Skip, Trouble, last_object, tail

COUNTS = (2, 8, 16)
CRITERION = 0.97  # k auto against the best of off and MPS
# leg, words for `stagger policy`, seconds it is given to settle
LEGS = {"off": ("off",), "edf k=1": ("edf", "--concurrency", 1),
        "edf k=auto": ("edf", "--concurrency", "auto"), "mps": ("off",),
        "mps, edf k=auto": ("edf", "--concurrency", "auto")}
ORDER = ("off", "edf k=1", "edf k=auto", "edf k=1", "off")
SETTLE_S = 0.7


def percentile(values, part):
    if not values:
        return None
    values = sorted(values)
    return values[max(0, -(-int(part * 1000) * len(values) // 1000) - 1)]


def read_samples(path):
    rows = []
    with contextlib.suppress(OSError):
        with open(path, encoding="ascii") as file:
            for line in list(file)[1:]:
                if line.endswith("\n"):
                    rows.append(tuple(map(int, line.split(","))))
    return rows


def judge(samples, begin_ns, end_ns, fps):
    """One window of one leg, over all apps' samples."""
    seconds = (end_ns - begin_ns) / 1e9
    deadline_ms = 1000 / fps
    done, inference, latency, on_time, per_app = 0, [], [], 0, []
    for rows in samples:
        mine = [row for row in rows if begin_ns <= row[3] < end_ns]
        per_app.append(len(mine) / seconds)
        done += len(mine)
        inference += [(row[2] - row[1]) / 1e6 for row in mine]
        latency += [(row[3] - row[0]) / 1e6 for row in mine]
        on_time += sum((row[3] - row[0]) / 1e6 <= deadline_ms for row in mine)
    arrived = seconds * fps * len(samples)
    return {"fps": done / seconds, "done": done, "seconds": seconds,
            "inference_p50_ms": percentile(inference, 0.5),
            "inference_p99_ms": percentile(inference, 0.99),
            "latency_p99_ms": percentile(latency, 0.99),
            "miss_ratio": max(0.0, 1 - on_time / arrived),
            "app_fps": [min(per_app), max(per_app)]}


class Set:
    """The processes of one cell, and their daemon."""

    def __init__(self, world, program, count, fps, label, socket, environment):
        self.world, self.fps, self.apps, self.label = world, fps, [], label
        self.files = []
        for i in range(count):
            name = f"{label}-{i + 1}"
            samples = os.path.join(world.scratch, name + ".csv")
            # Cameras are not in step: their first frames are spread over one period.
            command = world.command(program, "--fps", f"{fps:.4f}", "--seconds", 100000,
                                    "--phase", f"{1000 / fps * i / count:.3f}", "--samples", samples)
            self.apps.append(world.start(world.under(socket, name, command, 1000 / fps), name,
                                         **environment))
            self.files.append(samples)

    def check(self):
        for app in self.apps:
            if app.poll() is not None:
                raise Trouble(f"{app.name} ended with code {app.returncode}: "
                              f"{tail(self.world.log(app.name), 800)}")

    def await_ready(self, inferences, limit_s):
        end = time.monotonic() + limit_s
        while True:
            self.check()
            if all(len(read_samples(f)) >= inferences for f in self.files):
                return
            if time.monotonic() > end:
                counts = [len(read_samples(f)) for f in self.files]
                raise Trouble(f"apps were not ready within {limit_s:.0f} s; inferences: {counts}")
            time.sleep(0.2)

    def window(self, seconds):
        begin = time.monotonic_ns()
        time.sleep(seconds)
        self.check()
        return begin, time.monotonic_ns()

    def end(self):
        killed = self.world.end(self.apps)
        return [read_samples(f) for f in self.files], killed


def run_set(world, program, count, fps, legs, seconds, auto_s, environment, label, agent=True):
    """Windows of each leg: {leg: [window...]}; k as auto found it; whether the daemon saw turns."""
    windows, facts = collections.defaultdict(list), {"k": {}}
    with contextlib.ExitStack() as stack:
        socket = stack.enter_context(world.daemon("--policy", "off", name=label + "-staggerd",
                                                  **environment)) if agent else None
        apps = Set(world, program, count, fps, label, socket, environment)
        try:
            began = time.monotonic()
            apps.await_ready(1 if world.dry else 5, 90)
            facts["startup_s"] = time.monotonic() - began
            for leg in legs:
                if agent:
                    world.policy(socket, *LEGS[leg])
                auto = "auto" in leg
                time.sleep(auto_s if auto else SETTLE_S)
                for _ in range(2 if auto else 1):
                    windows[leg].append(apps.window(seconds))
                if agent:
                    gpus = [d for d in world.status(socket)["devices"] if d["kind"] == "gpu"]
                    facts["k"].setdefault(leg, []).append([d["concurrency"] for d in gpus])
            if agent:
                status = world.status(socket)
                facts["totals"] = {key: status["totals"][key] for key in
                                   ("granted", "ungated", "expired", "late", "cancelled")}
                facts["attached"] = len(status["streams"])
                facts["gpu_memory_gb"] = [d["memory_used_gb"] for d in status["devices"]
                                          if d["kind"] == "gpu"]
        finally:
            samples, facts["killed"] = apps.end()
    return {leg: [judge(samples, *window, fps) for window in spans]
            for leg, spans in windows.items()}, facts


def summarise(windows):
    """Medians and spread over the windows of a leg."""
    middle = lambda key: statistics.median(w[key] for w in windows)
    known = lambda key: [w[key] for w in windows if w[key] is not None]
    return {"windows": len(windows), "fps": middle("fps"),
            "fps_spread": [min(w["fps"] for w in windows), max(w["fps"] for w in windows)],
            "inference_p50_ms": statistics.median(known("inference_p50_ms") or [0]),
            "inference_p99_ms": max(known("inference_p99_ms") or [0]),
            "latency_p99_ms": max(known("latency_p99_ms") or [0]),
            "miss_ratio": middle("miss_ratio"),
            "app_fps": [min(w["app_fps"][0] for w in windows), max(w["app_fps"][1] for w in windows)]}


def verdict(legs):
    """k auto against the best of off and MPS; None where one of them is missing."""
    best = max((legs[leg]["fps"] for leg in ("off", "mps") if leg in legs), default=0)
    if "edf k=auto" not in legs or best <= 0:
        return None
    ratio = legs["edf k=auto"]["fps"] / best
    return {"auto_to_best_ratio": ratio, "good": ratio >= CRITERION, "mps_known": "mps" in legs}


def solo_fps(world, program):
    if program not in world.solo_ms:
        text = world.run(world.command(program, "--frames", 2 if world.dry else 40), "solo-" + program,
                         120)
        world.solo_ms[program] = last_object(text)["inference_ms"]["p50"]
    return 1000 / world.solo_ms[program]


def run_cell(world, program, count, options, mps):
    fps = options.load * solo_fps(world, program) / count
    if world.dry:
        fps = min(fps, 8)
    seconds, auto_s = options.leg_seconds, options.auto_seconds
    cell = {"program": program, "processes": count, "fps_required": fps * count,
            "solo_fps": solo_fps(world, program), "legs": {}, "notes": [], "facts": {}}
    label = f"{program}-{count}"
    try:
        windows, cell["facts"]["agent"] = run_set(world, program, count, fps, ORDER, seconds, auto_s,
                                                  {}, label)
        cell["legs"].update({leg: summarise(found) for leg, found in windows.items()})
    except Trouble as trouble:
        # Perhaps the agent is at fault: how the same apps do without it must still be known.
        cell["notes"].append(f"with the agent: {trouble}")
        try:
            windows, _ = run_set(world, program, count, fps, ("off", "off"), seconds, auto_s, {},
                                 label + "-bare", agent=False)
            cell["legs"]["off"] = summarise(windows["off"])
            cell["notes"].append("the leg `off` is without the agent")
        except Trouble as also:
            cell["notes"].append(f"and without it: {also}")
    if mps is not None:
        legs = ("mps", "mps, edf k=auto", "mps") if options.mps_auto else ("mps", "mps")
        try:
            windows, cell["facts"]["mps"] = run_set(world, program, count, fps, legs, seconds, auto_s,
                                                    mps, label + "-mps")
            cell["legs"].update({leg: summarise(found) for leg, found in windows.items()})
        except Trouble as trouble:
            cell["notes"].append(f"under MPS: {trouble}")
    # On the virtual GPU times of PyTorch on the CPU say nothing.
    cell["verdict"] = None if world.dry else verdict(cell["legs"])
    return cell


def cells_wanted(world, options):
    """The middle size of every program first: if time runs out, each has one cell at least."""
    if options.cells:
        return [(program, int(count)) for program, count in
                (cell.split(":") for cell in options.cells.split(","))]
    if world.dry or world.quick:
        return [(program, 2) for program in world.programs()]
    order = (COUNTS[1], COUNTS[2], COUNTS[0])
    return [(program, count) for count in order for program in world.programs()]


def matrix(world, options):
    result = {"cells": [], "not_measured": [], "criterion": CRITERION, "load": options.load,
              "leg_seconds": options.leg_seconds, "auto_seconds": options.auto_seconds}
    with contextlib.ExitStack() as stack:
        mps = None
        try:
            if world.dry:
                raise Skip("the virtual GPU shares as MPS does anyway")
            mps = stack.enter_context(world.mps())
        except Skip as skip:
            result["mps"] = str(skip)
        legs_s = 2 * (SETTLE_S + options.leg_seconds) * (3 if mps else 2) + options.auto_seconds + \
            2 * options.leg_seconds
        longest = legs_s + 25
        wanted = collections.deque(cells_wanted(world, options))
        while wanted:
            program, count = wanted.popleft()
            if world.left() < longest + 10:
                result["not_measured"].append(f"{program}:{count}")
                continue
            began = time.monotonic()
            try:
                result["cells"].append(run_cell(world, program, count, options, mps))
            except (Trouble, Skip) as trouble:
                result["cells"].append({"program": program, "processes": count, "legs": {},
                                        "notes": [str(trouble)], "verdict": None})
            # Too many for this GPU's memory: half as many, which is better than no figure.
            if count > 2 and "out of memory" in " ".join(result["cells"][-1]["notes"]).lower():
                wanted.appendleft((program, count // 2))
            longest = max(longest, time.monotonic() - began)
            yield result  # kept, should the next one not end
    yield result
