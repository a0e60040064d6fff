#!/usr/bin/python3
"""Checks that docs/timers.md lists every timer of the product, with its value.

    check_timers.py [SOURCE_ROOT]

A timer is a constant under src/ that is a span of time: a constexpr of type Duration or made of
std::chrono, or one whose name says its unit. Its row on the page names it, its file, and its value;
files are known by their name alone, so that moving one to another room changes nothing. What only
simulates, plans or measures is no part of the product.
"""
import os
import re
import sys

LABORATORY_ROOMS = {"lab", "planner", "record", "sim", "vgpu"}
LABORATORY_FILES = re.compile(
    r"(bench|batch_legs|camera_|cuda_leg|demo|device_log|frame_legs|gate_trial|hooks_"
    r"|leg|overlap|plan_report|sim_|virtual_gpu)")
CONSTANT = re.compile(
    r"constexpr\s+(?:static\s+)?(?P<type>[\w:]+)\s+(?P<name>k\w+)\s*=\s*(?P<value>[^;]+);")
SCRIPT_CONSTANT = re.compile(r"^const (?P<name>[A-Z_]+_MS) = (?P<value>\d+);", re.MULTILINE)
UNIT_IN_NAME = re.compile(r"[a-z](?P<unit>Ms|Us|Ns|S)$")
CHRONO = re.compile(r"^(?:std::chrono::)?(?P<unit>\w+?)(?:\{|\()(?P<count>[\d']+)(?:\}|\))$")
# Bounds of what may be stated, and guesses at how long work takes.
NO_TIMERS = {"kGuessPerGraphNs", "kGuessPerLaunchNs", "kMaxDeadlineUs", "kMaxDuration",
             "kMaxLeaseFloorMs", "kMaxMs", "kMaxSpacing", "kMaxSpacingMs", "kMaxUs", "kMostMs"}
UNITS = {"nanoseconds": "ns", "microseconds": "µs", "milliseconds": "ms", "seconds": "s",
         "minutes": "min", "hours": "h", "Ns": "ns", "Us": "µs", "Ms": "ms", "S": "s"}
ROW = re.compile(r"^\| `(?P<name>\w+)` \| `(?P<file>[\w.]+)` \| (?P<value>[^|]+) \|")


def stated(kind, name, value):
    """The value as the page has it; None: it follows from others; False: this is no timer."""
    unit = UNIT_IN_NAME.search(name)
    if name in NO_TIMERS:
        return False
    if kind != "Duration" and "chrono" not in value and not unit:
        return False
    value = value.strip()
    literal = CHRONO.match(value)
    if literal and literal["unit"] in UNITS:
        return f"{int(literal['count'].replace(chr(39), ''))} {UNITS[literal['unit']]}"
    if unit and re.fullmatch(r"[\d']+", value):
        return f"{int(value.replace(chr(39), ''))} {UNITS[unit['unit']]}"
    return None


def timers(root):
    """(name, file) -> value, of all that there are."""
    found = {}
    src = os.path.join(root, "src")
    for folder, folders, files in os.walk(src):
        room = os.path.relpath(folder, src).split(os.sep)[0]
        if room in LABORATORY_ROOMS:
            continue
        folders.sort()
        for file in sorted(files):
            if not file.endswith((".cc", ".h", ".js")) or LABORATORY_FILES.match(file):
                continue
            with open(os.path.join(folder, file), encoding="utf-8") as source:
                text = source.read()
            if file.endswith(".js"):
                for match in SCRIPT_CONSTANT.finditer(text):
                    found[match["name"], file] = f"{int(match['value'])} ms"
                continue
            for match in CONSTANT.finditer(text):
                value = stated(match["type"], match["name"], match["value"])
                if value is not False:
                    found[match["name"], file] = value
    return found


def main(arguments):
    here = os.path.dirname(os.path.abspath(__file__))
    root = os.path.abspath(arguments[0] if arguments else os.path.dirname(here))
    found = timers(root)
    rows, problems = {}, []
    with open(os.path.join(root, "docs", "timers.md"), encoding="utf-8") as page:
        for number, line in enumerate(page, 1):
            if row := ROW.match(line):
                key = row["name"], row["file"]
                rows[key] = row["value"].strip()
                if key not in found:
                    problems.append(f"docs/timers.md:{number}: {key[1]} has no timer {key[0]}")
    for (name, file), value in sorted(found.items()):
        if (name, file) not in rows:
            problems.append(f"docs/timers.md: no row for {name} of {file} ({value})")
        elif value and rows[name, file] != value:
            problems.append(
                f"docs/timers.md: {name} of {file} is {value}, and its row says {rows[name, file]}")
    print("\n".join(problems) if problems else f"timers: {len(found)}, all on their page")
    return 1 if problems or not found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
