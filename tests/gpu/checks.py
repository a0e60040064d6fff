"""The parts that are about being right and about cost: facts, first contact, outputs four ways, driver
call costs, coverage."""

import os
import platform
import shutil
import statistics
import subprocess
import time

from world import NO_SUCH_DAEMON, Skip, Trouble, last_object, tail

QUICK = ("--pre", 0, "--body", 10, "--kernels", 20, "--post", 4, "--post-cpu", 0.4, "--post-steps", 2)
SHAPES = ("ssd", "graph", "streams", "per-thread", "legacy", "nosync")


def first_line(*command):
    try:
        run = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"({error})"
    return (run.stdout or run.stderr).strip().split("\n")[0]


def facts(world, _):
    result = {"machine": platform.platform(), "cores": len(os.sched_getaffinity(0)),
              "glibc": " ".join(platform.libc_ver()), "python": platform.python_version(),
              "gpu": "virtual (dry run)" if world.dry else first_line(
                  "nvidia-smi", "--query-gpu=name,driver_version,memory.total,compute_mode,mig.mode.current",
                  "--format=csv,noheader"),
              "nvcc": first_line("nvcc", "--version") if shutil.which("nvcc") else None,
              "stagger": first_line(world.stagger, "--version"),
              "built": sorted(os.listdir(world.built)) if os.path.isdir(world.built) else []}
    if world.torch:
        result["torch"] = first_line(
            world.python, "-c", "import torch, torchvision as v; "
            "print(torch.__version__, v.__version__, torch.version.cuda, torch.cuda.is_available())")
    yield result
    if not world.dry:
        with open(world.log("nvidia-smi"), "w", encoding="utf-8") as file:
            subprocess.run(["nvidia-smi", "-q"], stdout=file, stderr=subprocess.STDOUT, timeout=60,
                           check=False)
    with world.daemon(name="facts-staggerd") as socket:
        result["devices"] = [{key: d[key] for key in ("name", "kind", "model", "memory_gb", "uuid")}
                             for d in world.status(socket)["devices"]]
    yield result


def contact(world, _):
    """Each program alone, bare and then under a daemon: does it run at all, and how fast."""
    result = {}
    # The driver may have no compiler for cuda-camera's PTX; camera has machine code.
    for program in ("cuda-camera", "camera"):
        try:
            text = world.run(world.command(program, "--frames", 3, *QUICK), "contact-rate-" + program)
            world.rate = last_object(text).get("rate", 0)
            result["rounds_per_ms"] = world.rate
            break
        except (Trouble, Skip) as trouble:
            result.setdefault("rate", {})["failed"] = str(trouble)
    for program in ["cuda-camera"] + world.programs():
        row = result[program] = {}
        python = program in ("ssd300", "retinanet")
        frames = 3 if world.dry and python else 40
        small = QUICK if world.dry and not python else ()
        command = world.command(program, "--frames", frames, *small)
        for how in ("bare", "controlled"):
            name = f"contact-{program}-{how}"
            try:
                if how == "bare":
                    found = last_object(world.run(command, name, 120))
                    world.solo_ms[program] = found["inference_ms"]["p50"]
                else:
                    with world.daemon("--policy", "fifo", name=name + "-staggerd") as socket:
                        process = world.start(world.under(socket, "app", command), name)
                        streams = []
                        while process.poll() is None and world.left() > 0:
                            streams = world.status(socket)["streams"] or streams
                            time.sleep(0.2)
                        found = last_object(world.finish(process, 1))
                        row["turns"] = streams[0]["granted"] if streams else 0
                        row["attached"] = bool(streams)
                row[how] = {"inference_p50_ms": found["inference_ms"]["p50"],
                            "boxes": found.get("boxes"), "checksum": found["checksum"]}
            except (Trouble, Skip) as trouble:
                row[how] = {"failed": str(trouble)}
            said = [line for line in tail(world.log(name)).splitlines() if "stagger" in line]
            if how == "controlled" and said:
                row["said"] = said[-5:]
            yield result


def four_ways(world, program, *arguments):
    """The same output bare (twice), with an agent and no daemon, under one, and when it is killed."""
    label = "-".join(["outputs", program, *(str(a).removeprefix("--") for a in arguments[:1])])
    command = world.command(program, *arguments)
    ways = {}
    with world.daemon(name=label + "-staggerd") as stays, \
            world.daemon(name=label + "-staggerd-killed") as goes:
        victim = world.running[-1]
        started = {
            "bare": world.start(command, label + "-bare"),
            "again": world.start(command, label + "-again"),
            "no daemon": world.start(world.under(NO_SUCH_DAEMON, "alone", command), label + "-alone"),
            "controlled": world.start(world.under(stays, "ruled", command), label + "-ruled"),
            "daemon killed": world.start(world.under(goes, "left", command), label + "-left")}
        end = time.monotonic() + 60
        while started["daemon killed"].poll() is None and time.monotonic() < end:
            streams = world.status(goes)["streams"]
            # A dry run's PyTorch never asks for a turn: there its start must do.
            if streams and streams[0]["granted"] >= 3:
                break
            time.sleep(0.02)
        killed_midway = started["daemon killed"].poll() is None
        victim.kill()
        for way, process in started.items():
            try:
                found = last_object(world.finish(process, 120))
                ways[way] = {"checksum": found["checksum"], "done": found["done"]}
            except (Trouble, Skip) as trouble:
                ways[way] = {"failed": str(trouble)}
    seen = {way: outcome.get("checksum", "failed") for way, outcome in ways.items()}
    return {"ways": seen, "same": len(set(seen.values())) == 1 and "failed" not in seen.values(),
            "bare_repeats_itself": seen["bare"] == seen["again"], "killed_midway": killed_midway,
            "failures": {way: o["failed"] for way, o in ways.items() if "failed" in o}}


def outputs(world, _):
    result = {}
    shapes = SHAPES[:2] if world.dry else SHAPES
    tries = [(program, ("--shape=" + shape, "--frames", 60, *QUICK))
             for shape in shapes for program in ("camera", "cuda-camera")
             if not (world.dry and program == "camera")]
    if not world.dry:
        tries.append(("camera-shared", ("--shape=ssd", "--frames", 60, *QUICK)))
    tries += [(program, ("--deterministic", "--frames", 2 if world.dry else 60))
              for program in world.programs()[1:] if not (world.dry and world.quick)]
    sums = {}
    for program, arguments in tries:
        key = f"{program} {arguments[0]}"
        try:
            result[key] = four_ways(world, program, *arguments)
            sums.setdefault(arguments[0], {})[program] = result[key]["ways"]["bare"]
        except (Trouble, Skip) as trouble:
            result[key] = {"failed": str(trouble)}
        yield result
    # The runtime API and the driver API, same kernels, same frames: the same numbers.
    result["apis_agree"] = {shape: len(set(found.values())) == 1 for shape, found in sums.items()
                            if shape.startswith("--shape") and len(found) > 1}
    yield result


def costs(world, _):
    """ns per driver call, and how soon the end of a kernel is known; bare and with the agent."""
    program = os.path.join(world.built, "driver_costs")
    if not os.path.exists(program):
        raise Skip("driver_costs was not built (see build.log)")
    ptx = os.path.join(os.path.dirname(__file__), "../../examples/cuda-camera/kernels.ptx")
    command = [program, ptx, "30" if world.dry or world.quick else "300"]
    runs = {"bare": [], "no daemon": [], "off": [], "edf": []}
    result = {"unit": "ns, medians over runs of each run's p50 and p99", "calls": {}}
    for repeat in range(1 if world.dry or world.quick else 3):
        for setting, found in runs.items():
            name = f"costs-{setting.replace(' ', '-')}"
            if setting in ("bare", "no daemon"):
                socket = None if setting == "bare" else NO_SUCH_DAEMON
                found.append(last_object(world.run(world.under(socket, "costs", command), name)))
                continue
            with world.daemon("--policy", setting, name=name + "-staggerd") as socket:
                process = world.start(world.under(socket, "costs", command), name)
                granted = 0
                while process.poll() is None and world.left() > 0:
                    streams = world.status(socket)["streams"]
                    granted = streams[0]["granted"] if streams else granted
                    time.sleep(0.3)
                found.append(last_object(world.finish(process, 1)))
                result.setdefault("turns", {})[setting] = granted
        calls = runs["bare"][0] if runs["bare"] else {}
        result["calls"] = {call: {setting: {
            part: statistics.median(run[call][part] for run in found) for part in ("p50", "p99")}
            for setting, found in runs.items() if found} for call in calls}
        result["repeats"] = repeat + 1
        yield result


def coverage(world, _):
    """What `stagger doctor` and `stagger profile` say of each program."""
    verbs = world.verbs()
    missing = {"doctor", "profile"} - verbs
    if missing == {"doctor", "profile"}:
        raise Skip("this build of stagger has neither doctor nor profile")
    result = {"missing": sorted(missing)}
    for program in world.programs() + ["cuda-camera"]:
        frames = 3 if world.dry and program in ("ssd300", "retinanet") else 60
        command = world.command(program, "--frames", frames)
        for verb in sorted({"doctor", "profile"} & verbs):
            name = f"{verb}-{program}"
            process = world.start([world.stagger, verb, "--", *command], name)
            try:
                code = process.wait(max(1, min(120, world.left())))
                result[name] = {"code": code, "said": (world.output(name).strip() + "\n" +
                                                       tail(world.log(name), 4000)).strip()}
            except subprocess.TimeoutExpired:
                world.end([process])
                result[name] = {"failed": "not done within its time"}
            yield result


PARTS = {"facts": (facts, 30), "contact": (contact, 90), "outputs": (outputs, 110),
         "costs": (costs, 60), "coverage": (coverage, 80)}
