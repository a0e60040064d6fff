"""Which bodies an app had, which ones its turns were, and what the device did.

Three accounts of the same run: the app's truth (cuda-camera --truth), the agent's turns
($STAGGER_TURNS) and the device's log (stagger vgpu --log). Bodies are compared by the numbers of their
first and last launch, which no busy machine can blur; times only where the machine did not stall.
"""

import bisect
import collections
import csv
import json
import os
import subprocess
import sys
import tempfile
import threading
import time

MS = 1_000_000
TOLERANCE_NS = 2 * MS


class Heartbeat:
    """Notices when the machine stalls: a thread that sleeps half a millisecond wakes up late."""

    def __init__(self, late_ns=MS):
        self.late_ns = late_ns
        self.stalls = []  # [from_ns, until_ns]
        self.ending = threading.Event()
        self.thread = threading.Thread(target=self.beat, daemon=True)
        self.thread.start()

    def beat(self):
        last = time.monotonic_ns()
        while not self.ending.is_set():
            time.sleep(0.0005)
            now = time.monotonic_ns()
            if now - last > self.late_ns + MS // 2:
                self.stalls.append((last, now))
            last = now

    def stop(self):
        self.ending.set()
        self.thread.join()

    def stalled(self, begin_ns, end_ns):
        return any(begin < end_ns and end > begin_ns for begin, end in self.stalls)


def read_truth(path):
    with open(path, encoding="utf-8") as file:
        return [{key: int(value) for key, value in row.items()} for row in csv.DictReader(file)]


def read_lines(path):
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file if line.endswith("\n")]


def read_turns(path):
    """Turns by process, in the order they began."""
    turns = collections.defaultdict(list)
    try:
        lines = read_lines(path)
    except FileNotFoundError:
        return turns
    for turn in lines:
        turns[turn["pid"]].append(turn)
    for mine in turns.values():
        mine.sort(key=lambda turn: turn["body"])
    return turns


class DeviceLog:
    """The device's log, read as it grows."""

    def __init__(self, path):
        self.file = open(path, "rb")  # closed with the process
        self.rest = b""
        self.by_pid = collections.defaultdict(list)

    def of(self, pid, deadline_s=120):
        """What it says of a process, once all of it is there."""
        end = time.monotonic() + deadline_s
        while True:
            if any(event["event"] == "left" for event in self.so_far(pid)):
                return self.by_pid[pid]
            if time.monotonic() > end:
                raise AssertionError(f"process {pid} did not leave the device")
            time.sleep(0.01)

    def so_far(self, pid):
        *lines, self.rest = (self.rest + self.file.read()).split(b"\n")
        for event in map(json.loads, lines):
            self.by_pid[event.get("pid")].append(event)
        return self.by_pid[pid]


def on_virtual_gpu(*options):
    """Runs the test file again inside `stagger vgpu`, unless it is there already: the device's log."""
    if "STAGGER_VGPU" not in os.environ:
        with tempfile.TemporaryDirectory(prefix="stagger-test-") as folder:
            log = os.path.join(folder, "device.jsonl")
            sys.exit(subprocess.run(
                [os.environ["STAGGER"], "vgpu", *options, "--log", log, "--", sys.executable, "-B", *sys.argv],
                env={**os.environ, "DEVICE_LOG": log}, check=False).returncode)
    return DeviceLog(os.environ["DEVICE_LOG"])


def is_body(op):
    return op["event"] == "op" and op["kind"] == "kernel" and op["class"] == "body"


def outside(ops, turns):
    """Those of a process's kernels that were submitted or ran outside all of its turns."""
    turns = sorted((turn["begun_ns"], turn["over_ns"]) for turn in turns)
    begins = [begin for begin, _ in turns]
    found = []
    for op in ops:
        # A process's turns may overlap: of several threads, which share one.
        at = bisect.bisect_right(begins, op["submitted_ns"])
        if not any(over >= op["end_ns"] for _, over in turns[max(0, at - 8):at]):
            found.append(op)
    return found


class Judgement:
    """How a process's turns compare with its bodies, from its `learned`th inference on."""

    def __init__(self):
        self.looked_at = self.exact = self.timed = self.stalled = self.in_time = 0
        self.uncovered = []  # bodies that were found, and ran outside their turn all the same
        self.turns = self.sure = 0  # how many turns, and how many of them begun in the state "sure"
        self.wrong = []

    def line(self):
        timed = f"{self.in_time} of {self.timed} within 2 ms" if self.timed else "no times"
        return f"{self.exact} of {self.looked_at} exact, {timed}, {self.stalled} stalled"


def judge(rows, turns, ops=(), heartbeat=None, learned=20):
    result = Judgement()
    result.turns = len(turns)
    result.sure = sum(turn["state"] == "sure" for turn in turns)
    kernels = [op for op in ops if op["event"] == "op" and op["kind"] == "kernel"]
    for i, row in enumerate(rows[learned:-1], learned):
        after = rows[i + 1]["first_launch"]
        mine = [turn for turn in turns if row["first_launch"] <= turn["first_launch"] < after]
        result.looked_at += 1
        right = [turn for turn in mine if (turn["first_launch"], turn["last_launch"]) ==
                 (row["first_launch"], row["last_launch"])]
        if len(right) == len(mine) == 1:
            result.exact += 1
        else:
            result.wrong.append((row, mine))
        if not mine:
            continue
        begin, end = row["body_launch_begin_ns"], row["body_launch_end_ns"]
        launched = [op for op in kernels if begin <= op["submitted_ns"] <= end]
        # Kernels of the post-processing belong to a body that they were launched with.
        of_network = [op for op in launched if is_body(op)]
        if len(of_network) > row["last_launch"] - row["first_launch"]:
            launched = of_network
        if not launched:
            continue
        end_on_device = max(op["end_ns"] for op in launched)
        result.uncovered += [(row, turn) for turn in right if not
                             turn["begun_ns"] <= min(op["submitted_ns"] for op in launched) <= end_on_device <=
                             turn["over_ns"]]
        # The app's own wait for the same kernel tells of stalls, too.
        app_late = row["body_over_ns"] - end_on_device if row["body_over_ns"] else 0
        if app_late > MS or (heartbeat and heartbeat.stalled(begin - TOLERANCE_NS,
                                                             end_on_device + 2 * TOLERANCE_NS)):
            result.stalled += 1
            continue
        result.timed += 1
        result.in_time += any(abs(turn["asked_ns"] - begin) <= TOLERANCE_NS and
                              abs(turn["over_ns"] - end_on_device) <= TOLERANCE_NS for turn in mine)
    return result
