"""Whether bodies are kept apart: all shapes of apps mixed, coming and going, judged by the virtual
GPU's own log.

    python3 -B tests/process/turns_soak.py --turns 100000      # after ./dev build; minutes
    ... --turns 12000 --seed 3 --totals /tmp/soak.json         # in pieces that add up

Each round is one virtual GPU and one daemon under one policy, with four apps at a time. A kernel of a
body is right if it was submitted after its process's turn began and was over before it was given back,
and the daemon had not ended that turn. What is not, needs a cause: the app warmed up, was being
learned, had no daemon yet, its lease had ended, or it died and the device had not noticed yet. Else it is a violation, and the script fails.
"""

import argparse
import bisect
import collections
import ctypes
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

BUILD = os.environ.get("STAGGER_BUILD") or os.path.join(
    os.path.dirname(os.path.abspath(__file__)), "../../build")
STAGGER = os.environ.setdefault("STAGGER", os.path.join(BUILD, "bin/stagger"))
STAGGERD = os.environ.setdefault("STAGGERD", os.path.join(BUILD, "bin/staggerd"))
AGENT = os.environ.setdefault("AGENT", os.path.join(BUILD, "lib/libstagger-agent.so"))
CUDA_AGENT = os.environ.setdefault("CUDA_AGENT", os.path.join(BUILD, "lib/libstagger-cuda.so"))
CAMERA = os.environ.setdefault("CUDA_CAMERA", os.path.join(BUILD, "examples/cuda-camera"))

import bodies  # noqa: E402

POLICIES = (("fifo", 1), ("fifo", 1), ("edf", 1), ("fifo", 2))
APPS_AT_ONCE = 4
TOLERANCE_NS = bodies.TOLERANCE_NS
CAUSES = ("warm-up", "learning", "no daemon yet", "expired lease", "dead process", "violation")
# Weights of the shapes: those that end themselves come less often.
SHAPES = {"ssd": 3, "graph": 3, "streams": 2, "per-thread": 2, "legacy": 3, "nosync": 2, "models": 2,
          "capture": 2, "random": 1, "launches": 1, "fork": 1, "exec": 1, "crash": 1, "hang": 0.3}
# Options that make more of a shape.
VARIANTS = ([], [], ["--fps", "60"], ["--fps", "200"], ["--first", "300"], ["--kernels", "200"],
            ["--kernels", "1"], ["--post-steps", "0"])


def draw_app(draw):
    shape = draw.choices(list(SHAPES), SHAPES.values())[0]
    arguments = ["--shape=" + shape, "--pre", "0", "--body", f"{draw.uniform(1, 2):.2f}",
                 "--kernels", str(draw.randint(2, 12)), "--post", "0.35", "--post-cpu", "0.1",
                 "--post-steps", "2", "--frames", str(draw.randint(200, 600)),
                 "--at", str(draw.randint(30, 150)), *draw.choice(VARIANTS)]
    return shape, arguments


def die_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def start_daemon(folder, *arguments):
    """The daemon, ready, and its socket."""
    ready, write = os.pipe()
    socket = os.path.join(folder, "socket")
    with open(os.path.join(folder, "daemon.log"), "wb") as log:
        daemon = subprocess.Popen(
            [STAGGERD, "--socket", socket, "--http", "127.0.0.1:0", "--ready-fd", str(write),
             *arguments], pass_fds=[write], stdout=subprocess.DEVNULL, stderr=log,
            preexec_fn=die_with_parent)
    os.close(write)
    with os.fdopen(ready) as said:
        if not said.readline():
            sys.exit("the daemon did not start")
    return daemon, socket


def play(folder, policy, k, seconds, seed):
    """One round, inside `stagger vgpu`."""
    draw = random.Random(seed)
    daemon, socket = start_daemon(folder, "--policy", policy, "--concurrency", str(k), "--record",
                                  os.path.join(folder, "recording"))
    environment = {**os.environ, "LD_PRELOAD": AGENT + ":" + CUDA_AGENT, "STAGGER_SOCKET": socket,
                   "STAGGER_TURNS": os.path.join(folder, "turns"), "STAGGER_QUIET": "1"}
    end = time.monotonic() + seconds
    running, names = {}, {}
    while running or time.monotonic() < end:
        while len(running) < APPS_AT_ONCE and time.monotonic() < end:
            shape, arguments = draw_app(draw)
            name = f"{shape}-{len(names)}"
            app = subprocess.Popen([CAMERA, *arguments], stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL, preexec_fn=die_with_parent,
                                   env={**environment, "STAGGER_NAME": name})
            names[name] = app.pid
            running[app] = time.monotonic() + (2 if shape == "hang" else 30)
        time.sleep(0.02)
        for app, killed_at in list(running.items()):
            if app.poll() is None and time.monotonic() > min(killed_at, end + 1):
                app.kill()
                app.wait()
            if app.poll() is not None:
                del running[app]
    daemon.send_signal(signal.SIGTERM)
    daemon.wait()
    with open(os.path.join(folder, "names.json"), "w", encoding="utf-8") as file:
        json.dump(names, file)


class Turns:
    """The turns of one process, and what they say of a kernel."""

    def __init__(self, turns, expired_at):
        self.turns = sorted(turns, key=lambda turn: turn["begun_ns"])
        self.begins = [turn["begun_ns"] for turn in self.turns]
        self.expired_at = expired_at  # by number: when the daemon ended it

    def cause(self, op):
        at = bisect.bisect_right(self.begins, op["submitted_ns"])
        for turn in self.turns[max(0, at - 8):at]:
            if turn["turn"] == 0 or turn["over_ns"] < op["end_ns"]:
                continue
            return "expired lease" if op["end_ns"] > self.expired_at.get(
                turn["turn"], op["end_ns"]) else None
        last = self.turns[at - 1] if at > 0 else None
        if op["result"] != 0:
            ended = last and last["turn"] in self.expired_at
            if ended:
                return "expired lease"
            # One that never ended but was submitted after the turn went back is judged like any.
            if last is None or op["submitted_ns"] <= last["over_ns"] and last["body"] == 0:
                return "dead process"
        if last is None:
            return "warm-up"
        if last["body"] == 0 and op["submitted_ns"] <= last["over_ns"]:
            return "dead process"  # the daemon saw it go a moment before the device did
        if last["first_launch"] == 0 or last["turn"] == 0:
            return "no daemon yet"
        return "learning" if last["state"] != "sure" else "violation"


def turns_by_process(folder, device):
    """The agents' turns by the device's process number: after an exec one pid has several."""
    numbers = collections.defaultdict(list)
    for event in device:
        if event["event"] == "came":
            numbers[event["pid"]].append(event["process"])
    expired, granted, over = (collections.defaultdict(dict) for _ in range(3))
    clients, incarnation = {}, collections.Counter()
    with open(os.path.join(folder, "names.json"), encoding="utf-8") as file:
        pids = json.load(file)
    for line in bodies.read_lines(os.path.join(folder, "recording")):
        if line.get("event") == "joined":
            pid = pids.get(line["name"])
            clients[line["client"]] = (pid, incarnation[pid])
            incarnation[pid] += 1
        elif line.get("event") == "left":
            over[clients[line["client"]]] = line["at_ns"]
        for action in line.get("actions", ()):
            if action.get("action") in ("expire", "grant"):
                told = expired if action["action"] == "expire" else granted
                told[clients[action["client"]]][action["seq"]] = line["at_ns"]
    turns, nth, last = collections.defaultdict(list), collections.Counter(), {}
    for turn in bodies.read_lines(os.path.join(folder, "turns")):
        pid = turn["pid"]
        if turn["asked_ns"] > last.get(pid, 0) and turn["body"] == 1 and pid in last:
            nth[pid] += 1
        last[pid] = turn["asked_ns"]
        mine = numbers[pid]
        turns[mine[min(nth[pid], len(mine) - 1)]].append(turn)
    for pid, mine in numbers.items():
        for i, number in enumerate(mine):
            given_back = {turn["turn"] for turn in turns[number]}
            # One that died with its turn had no time to tell.
            turns[number] += [
                {"turn": seq, "body": 0, "state": "sure", "begun_ns": at, "first_launch": 1,
                 "over_ns": over.get((pid, i), at)}
                for seq, at in granted[pid, i].items() if seq not in given_back]
    return {number: Turns(turns[number], expired[pid, i])
            for pid, mine in numbers.items() for i, number in enumerate(mine)}


def overlaps(found, k):
    """How long more than k processes' bodies ran at once, and why: (ns, cause) each."""
    edges = sorted([(begin, 1, i) for i, (begin, _, _, _) in enumerate(found)] +
                   [(end, 0, i) for i, (_, end, _, _) in enumerate(found)])
    running, since, told = set(), None, []
    for at, begins, i in edges:
        if since is not None:
            causes = {found[j][3] for j in running}
            cause = next((c for c in CAUSES[:-1] if c in causes), "violation")
            if told and told[-1][1:] == (since, cause):  # somebody came or went meanwhile
                since = told.pop()[0]
            told.append((since, at, cause))
        (running.add if begins else running.discard)(i)
        since = at if len({found[j][2] for j in running}) > k else None
    return [(end - begin, cause) for begin, end, cause in told if end > begin]


def judge(folder, k):
    device = bodies.read_lines(os.path.join(folder, "device.jsonl"))
    turns = turns_by_process(folder, device)
    count = collections.Counter()
    for mine in turns.values():
        count["turns"] += len({turn["turn"] for turn in mine.turns if turn["turn"]})
        count["processes"] += 1
        count["expired leases"] += len(mine.expired_at)
    open_bodies, found = {}, []
    for op in sorted((e for e in device if bodies.is_body(e)), key=lambda e: e["begin_ns"]):
        process = op["process"]
        cause = turns[process].cause(op)
        count["kernels"] += 1
        if cause:
            count["kernels, " + cause] += 1
        if cause == "violation" and count["shown"] < 5:
            count["shown"] += 1
            mine = turns[process]
            at = bisect.bisect_right(mine.begins, op["submitted_ns"])
            print("violation:", op, mine.turns[max(0, at - 2):at + 1], file=sys.stderr)
        body = open_bodies.get(process)
        if body and body[3] == cause and op["begin_ns"] - body[1] < bodies.MS // 10:
            body[1] = max(body[1], op["end_ns"])
            continue
        open_bodies[process] = [op["begin_ns"], op["end_ns"], process, cause]
        found.append(open_bodies[process])
    count["bodies"] = len(found)
    for ns, cause in overlaps(found, k):
        count["overlaps, " + cause] += 1
        count["overlaps over 2 ms, " + cause] += ns > TOLERANCE_NS
    del count["shown"]
    return count


def table(count):
    lines = [f"{count['turns']} turns of {count['processes']} processes, {count['bodies']} bodies, "
             f"{count['kernels']} kernels of bodies; {count['expired leases']} leases ended", "",
             f"{'':16}{'kernels outside':>18}{'overlaps':>12}{'over 2 ms':>12}"]
    for cause in CAUSES:
        lines.append(f"{cause:16}{count['kernels, ' + cause]:>18}{count['overlaps, ' + cause]:>12}"
                     f"{count['overlaps over 2 ms, ' + cause]:>12}")
    return "\n".join(lines)


def soak(turns, rounds, seed, seconds):
    total = collections.Counter()
    for number in range(rounds):
        if total["turns"] >= turns:
            break
        policy, k = POLICIES[(seed + number) % len(POLICIES)]
        folder = tempfile.mkdtemp(prefix="stagger-soak-")
        try:
            log = os.path.join(folder, "device.jsonl")
            subprocess.run([STAGGER, "vgpu", "--log", log, "--", sys.executable, "-B", __file__,
                            "--play", folder, policy, str(k), str(seconds), str(seed + number)],
                           check=True, stderr=subprocess.DEVNULL, preexec_fn=die_with_parent)
            total += judge(folder, k)
        finally:
            if not os.environ.get("STAGGER_SOAK_KEEP"):
                shutil.rmtree(folder, ignore_errors=True)
        print(f"round {number}: {policy}, k = {k}; {total['turns']} turns, "
              f"{total['kernels, violation']} violations", file=sys.stderr)
    return total


def main():
    options = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    options.add_argument("--turns", type=int, default=2000)
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--seconds", type=float, default=20, help="of each round")
    options.add_argument("--rounds", type=int, default=10_000, help="at most")
    options.add_argument("--totals", help="add to what earlier runs left in this file")
    options.add_argument("--play", nargs=5, help=argparse.SUPPRESS)
    options = options.parse_args()
    if options.play:
        folder, policy, k, seconds, seed = options.play
        play(folder, policy, int(k), float(seconds), int(seed))
        return 0
    total = soak(options.turns, options.rounds, options.seed, options.seconds)
    if options.totals:
        if os.path.exists(options.totals):
            with open(options.totals, encoding="utf-8") as file:
                total += collections.Counter(json.load(file))
        with open(options.totals, "w", encoding="utf-8") as file:
            json.dump(total, file)
    print(table(total))
    wrong = sum(total[key] for key in total if key.endswith("violation"))
    if total["turns"] == 0:
        print("no turns at all: does the daemon see the virtual GPU?", file=sys.stderr)
        return 1
    return 0 if wrong == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
