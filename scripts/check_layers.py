#!/usr/bin/python3
"""Checks that the rooms under src/ and lab/ include each other only as ALLOWED says, that no two
rooms include each other, and that rooms and files keep their size.

    check_layers.py [SOURCE_ROOT]

A room is a folder of src/; "daemon/view" is a sub-room, with a row of its own. Rooms of lab/ may
include any room of src/. Examples must know nothing of either; tests may include anything.
"""
import os
import re
import sys

# room -> rooms, sub-rooms or single headers whose headers it may include, besides its own.
ALLOWED = {
    "base": [],
    "cuda": [],
    "web": [],
    "wire": ["base"],
    "report": ["base", "cuda"],
    "core": ["base/check.h", "base/excess.h", "base/ids.h", "base/result.h", "base/time.h"],
    "admission": ["base", "core"],
    "batching": ["base"],
    "placement": ["base", "core", "admission"],
    "planner": ["base", "admission", "placement"],
    "record": ["base", "core"],
    "device": ["base", "core"],
    "phase": ["base"],
    "agent": ["base", "wire", "report"],
    "cuda_agent": ["base", "cuda", "phase", "report", "agent/interface.h", "agent/sync.h"],
    "relay": ["base"],
    "executor": ["base", "wire", "batching", "device", "agent/interface.h"],
    "daemon": ["base", "wire", "core", "admission", "placement", "device", "record", "web",
               "daemon/loop", "daemon/clients", "daemon/plan", "daemon/gpu", "daemon/view"],
    "console": ["base", "wire"],
    "launch": ["base", "wire", "console"],
    "look": ["base", "cuda", "report", "console", "launch"],
    "site": ["base", "wire", "core", "admission", "placement", "planner", "device", "console",
             "launch", "look"],
    "cli": ["base", "wire", "core", "admission", "placement", "planner", "record", "device",
            "console", "launch", "look", "site"],
    "lab/legs": ["console", "launch"],
    "lab/demo": ["console", "launch", "site", "lab/legs"],
    "lab/sim": ["lab/sim"],
    "lab/vgpu": ["lab/sim"],
    "lab/scenario": ["lab/sim", "lab/legs"],
    "lab/overlap": ["lab/sim", "lab/legs"],
    "lab/bench": ["lab/sim", "lab/vgpu", "lab/scenario", "lab/legs"],
    "lab": ["lab"],
}
ROOM_LINES = 7000   # of a room of src/
ROOM_FILES = 40     # of a folder of src/, .cc and .h and the like
FILE_LINES = 600
PRODUCT_LINES = 40000      # of src/
TOTAL_LINES = 56000        # of src/ and lab/
INCLUDE = re.compile(r'\s*#\s*include\s*(["<])([^">]+)[">]')
SOURCES = (".cc", ".cpp", ".c", ".h", ".hpp", ".inc", ".S")


def sources(folder):
    for path, folders, files in os.walk(folder):
        folders.sort()
        yield from (os.path.join(path, name) for name in sorted(files) if name.endswith(SOURCES))


def included_from_src(root, file, quote, name):
    """The path below src/ that this include line reaches, or None."""
    src = os.path.join(root, "src")
    beside = os.path.normpath(os.path.join(os.path.dirname(file), name))
    if quote == '"' and os.path.exists(beside):
        found = beside
    else:
        found = os.path.normpath(os.path.join(src, name))
        # A header that does not exist (yet, or is generated) still names its room.
        if not os.path.exists(found) and name.split("/")[0] not in ALLOWED:
            return None
    inside = os.path.relpath(found, src)
    return None if inside.startswith("..") else inside


def violations(root, file, allowed, who):
    with open(file, encoding="utf-8", errors="replace") as lines:
        for number, line in enumerate(lines, 1):
            match = INCLUDE.match(line)
            header = match and included_from_src(root, file, *match.groups())
            if not header or "/" not in header:
                continue
            if header in allowed or header.split("/")[0] in allowed:
                continue
            may = ", ".join(sorted(set(allowed) - {who})) or "nothing"
            yield f"{os.path.relpath(file, root)}:{number}: {who} must not include {header} (it may use: {may})"


def main(arguments):
    here = os.path.dirname(os.path.abspath(__file__))
    root = os.path.abspath(arguments[0] if arguments else os.path.dirname(here))
    problems, count = [], 0
    for room in sorted(os.listdir(os.path.join(root, "src"))):
        folder = os.path.join(root, "src", room)
        if not os.path.isdir(folder):
            continue
        if room not in ALLOWED:
            problems.append(f"src/{room}: a new room: say in scripts/check_layers.py what it may include")
            continue
        for file in sources(folder):
            count += 1
            problems += violations(root, file, ALLOWED[room] + [room], room)
    for file in sources(os.path.join(root, "examples")):
        count += 1
        problems += violations(root, file, [], "an example")
    print("\n".join(problems) if problems else f"layers: {count} files keep to their rooms")
    return 1 if problems or not count else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
