"""Discovered bodies against what the GPU really did.

Where a profiler tells the kernels (torch.profiler; the virtual GPU's log in a dry run): for each
inference the kernels, and the turn the daemon recorded. Where none does, the app's own notes of when its
body was launched and over.
"""

import json
import os
import statistics

from matrix import percentile, read_samples
from world import Skip, Trouble

MS = 1_000_000
LEARNED = 25  # inferences after which the agent knows an app
CLOSE_NS = 4 * MS


def turns_of(recording):
    """[asked_ns, granted_ns, released_ns] of each turn in a recording of one app."""
    turns, granted = {}, {}
    with open(recording, encoding="utf-8") as file:
        for line in file:
            if not line.endswith("\n"):
                continue
            event = json.loads(line)
            if event.get("event") == "requested":
                turns[event["client"], event["seq"]] = [event["at_ns"], None, None]
            for action in event.get("actions", []):
                if action["action"] == "grant":
                    granted[action["client"], action["seq"]] = event["at_ns"]
            if event.get("event") == "released" and (event["client"], event["seq"]) in turns:
                turns[event["client"], event["seq"]][2] = event["at_ns"]
    return [[asked, granted[key], released] for key, (asked, _, released) in turns.items()
            if key in granted and released is not None]


def busy(kernels, begin=0, end=1 << 62):
    """ns during which at least one of the kernels ran, within [begin, end]."""
    total, until = 0, begin
    for first, last in kernels:
        first, last = max(first, until), min(last, end)
        if last > first:
            total += last - first
            until = last
    return total


def compare(inferences, kernels, turns):
    """inferences: [start_ns, end_ns], kernels: [begin_ns, end_ns, ...], both in order of time."""
    rows, at = [], 0
    for start, end in inferences:
        while at < len(kernels) and kernels[at][0] < start:
            at += 1
        mine, to = [], at
        while to < len(kernels) and kernels[to][0] < end:
            mine.append(kernels[to][:2])
            to += 1
        held = [turn for turn in turns if start - MS < turn[0] < end]
        if mine:
            rows.append((mine, held))
    ones = [(mine, held[0]) for mine, held in rows if len(held) == 1]
    spread = lambda values: None if not values else {
        "p50": round(statistics.median(values), 3), "p99": round(percentile(values, 0.99), 3)}
    inside = [busy(mine, held[1], held[2]) / busy(mine) for mine, held in ones]
    # Post-processing may begin between the body's end and the daemon's hearing of it.
    last = [max((k[1] for k in mine if k[1] <= held[2]), default=held[1]) for mine, held in ones]
    return {
        "inferences": len(rows), "with_one_turn": len(ones),
        "without_a_turn": sum(not held for _, held in rows),
        "turns_per_inference": sum(len(held) for _, held in rows) / len(rows) if rows else None,
        "kernels_per_inference": statistics.median(len(mine) for mine, _ in rows) if rows else None,
        "gpu_ms": spread([busy(mine) / MS for mine, _ in rows]),
        "turn_ms": spread([(held[2] - held[1]) / MS for _, held in ones]),
        # of the GPU's time for the inference, how much lay inside the turn
        "inside_ratio": spread(inside),
        "kernels_before_grant": spread([sum(k[0] < held[1] for k in mine) for mine, held in ones]),
        "kernels_after_turn": spread([sum(k[0] >= held[2] for k in mine) for mine, held in ones]),
        "kernels_across_its_end": spread([sum(k[0] < held[2] < k[1] for k in mine)
                                          for mine, held in ones]),
        "first_kernel_after_grant_ms": spread(
            [(next((k[0] for k in mine if k[0] >= held[1]), held[1]) - held[1]) / MS
             for mine, held in ones]),
        # how long the GPU was already done with the body when the turn came back
        "release_after_last_kernel_ms": spread(
            [(held[2] - end) / MS for (_, held), end in zip(ones, last)])}


def against_truth(rows, turns):
    """As compare(), but by the app's notes: body launched, body over (ns)."""
    found = missed = extra = 0
    for row, after in zip(rows, rows[1:]):
        _, start, begin, _, over, _ = row
        mine = [turn for turn in turns if start - MS < turn[0] < after[1] - MS]
        right = [turn for turn in mine if abs(turn[0] - begin) < CLOSE_NS and
                 abs(turn[2] - over) < CLOSE_NS]
        found, missed = found + bool(right), missed + (not right)
        extra += max(0, len(mine) - 1)
    return {"found": found, "missed": missed, "further_turns": extra}


def device_log_kernels(pid):
    """Kernels of one process by the virtual GPU's log."""
    kernels = []
    with open(os.environ["DEVICE_LOG"], encoding="utf-8") as file:
        for line in file:
            if not line.endswith("\n"):
                continue
            event = json.loads(line)
            if event.get("event") == "op" and event["pid"] == pid:
                kernels.append([event["begin_ns"], event["end_ns"], event["kind"]])
    return sorted(kernels)


def one(world, program, *shape):
    label = "-".join(["bodies", program, *(word.removeprefix("--") for word in shape)])
    recording, samples, truth, profile = (os.path.join(world.scratch, label + end)
                                          for end in (".rec", ".csv", ".truth", ".prof"))
    python = program in ("ssd300", "retinanet")
    frames = (3 if python else LEARNED + 25) if world.dry else (LEARNED + 35 if python else 100)
    command = world.command(program, "--frames", frames, "--samples", samples, *shape)
    if python:
        command[1:1] = [os.path.join(os.path.dirname(__file__), "profiled.py"), profile]
    else:
        command += ["--truth", truth]
    with world.daemon("--policy", "fifo", "--record", recording, name=label + "-staggerd") as socket:
        process = world.start(world.under(socket, "app", command), label)
        world.finish(process, 120)
    turns = turns_of(recording)
    rows = read_samples(samples)[LEARNED if not (world.dry and python) else 0:]
    inferences = [(row[1], row[2]) for row in rows]
    result = {"turns": len(turns)}
    if python:
        with open(profile, encoding="utf-8") as file:
            seen = json.load(file)
        result["clock_spread_us"] = seen["clock_spread_us"]
        if not seen["kernels"]:
            result["note"] = "the profiler saw no kernels"
        else:
            result["compared"] = compare(inferences, seen["kernels"], turns)
    else:
        with open(truth, encoding="utf-8") as file:
            notes = [list(map(int, line.split(",")[:6])) for line in list(file)[1:]]
        result["by_the_apps_notes"] = against_truth(notes[LEARNED:], turns)
        if world.dry:
            result["compared"] = compare(inferences, device_log_kernels(process.pid), turns)
    return result


def bodies(world, _):
    result = {}
    tries = [(program, ()) for program in world.programs()]
    tries += [("cuda-camera", ("--shape=" + shape,)) for shape in ("ssd", "graph", "streams")]
    if world.dry:
        tries = [one for one in tries if not (world.quick and one[0] == "retinanet")][:4]
    for program, shape in tries:
        name = " ".join([program, *shape])
        try:
            result[name] = one(world, program, *shape)
        except (Trouble, Skip) as trouble:
            result[name] = {"failed": str(trouble)}
        yield result
