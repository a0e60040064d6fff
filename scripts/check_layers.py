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
    "documents": ["core/stream.h"],
    "core": ["base/check.h", "base/ids.h", "base/result.h", "base/stream_spec.h", "base/time.h"],
    "admission": ["base", "core"],
    "batching": ["base"],
    "placement": ["base", "core", "admission"],
    "planner": ["base", "admission", "placement"],
    "record": ["base", "core"],
    "device": ["base", "core", "cuda"],
    "phase": ["base"],
    "agent": ["base", "wire", "report"],
    "cuda_agent": ["base", "cuda", "phase", "report", "agent/interface.h", "agent/sync.h"],
    "relay": ["base"],
    "executor": ["base", "wire", "batching", "device", "documents", "agent/interface.h"],
    "daemon/loop": ["base", "wire"],
    "daemon/gpu": ["base", "wire", "daemon/loop"],
    "daemon/clients": ["base", "wire", "core", "admission", "record", "daemon/loop", "daemon/gpu"],
    "daemon/plan": ["base", "wire", "core", "placement", "device", "documents", "daemon/loop",
                    "daemon/clients"],
    "daemon/view": ["base", "core", "admission", "placement", "device", "documents", "web",
                    "daemon/loop", "daemon/gpu", "daemon/clients"],
    "daemon": ["base", "wire", "core", "admission", "placement", "device", "documents", "record",
               "web",
               "daemon/loop", "daemon/clients", "daemon/plan", "daemon/gpu", "daemon/view"],
    "console": ["base", "wire"],
    "launch": ["base", "wire", "documents", "console"],
    "look": ["base", "core", "cuda", "report", "documents", "console", "launch"],
    "site": ["base", "wire", "core", "admission", "placement", "planner", "device", "documents",
             "console", "launch", "look"],
    "cli": ["base", "wire", "core", "report", "admission", "placement", "planner", "record", "device",
            "documents", "console", "launch", "look", "site"],
    "lab/legs": ["console", "launch"],
    "lab/demo": ["console", "launch", "site", "lab/legs"],
    "lab/sim": [],
    "lab/vgpu": ["lab/sim", "lab/verbs.h"],
    "lab/scenario": ["lab/sim", "lab/legs", "lab/verbs.h"],
    "lab/overlap": ["lab/sim", "lab/legs", "lab/verbs.h"],
    "lab/bench": ["lab/sim", "lab/vgpu", "lab/scenario", "lab/legs", "lab/verbs.h"],
    "lab": ["lab"],
}
ROOM_LINES = 7000   # of a room of src/
ROOM_FILES = 40     # of a folder of src/, .cc and .h and the like
FILE_LINES = 600
# Ceilings that only go down; where they are to be: 40 000 and 56 000.
PRODUCT_LINES = 42800      # of src/
TOTAL_LINES = 60000        # of src/ and lab/
INCLUDE = re.compile(r'\s*#\s*include\s*(["<])([^">]+)[">]')
SOURCES = (".cc", ".cpp", ".c", ".h", ".hpp", ".inc", ".S")


def sources(folder):
    for path, folders, files in os.walk(folder):
        folders.sort()
        yield from (os.path.join(path, name) for name in sorted(files) if name.endswith(SOURCES))


def room_of(path):
    """The most particular room that has this path below src/ or lab/, e.g. daemon/view, or None."""
    parts = path.split("/")[:-1]
    while parts and "/".join(parts) not in ALLOWED:
        parts.pop()
    return "/".join(parts) or None


def included(root, file, quote, name):
    """What this include line reaches: a path below src/, or one that begins with lab/; or None."""
    beside = os.path.normpath(os.path.join(os.path.dirname(file), name))
    candidates = [os.path.join(root, "src", name), os.path.join(root, name)]
    if quote == '"':
        candidates.insert(0, beside)
    found = next((each for each in candidates if os.path.exists(each)), None)
    if found is None:
        # A header that does not exist (yet, or is generated) still names its room.
        return name if name.split("/")[0] in ALLOWED else None
    inside = os.path.relpath(found, root)
    if inside.startswith("src/"):
        return inside[len("src/"):]
    return inside if inside.startswith("lab/") else None


def may_include(room, header):
    """A row that names a room means its sub-rooms, too, unless the room that asks is among them."""
    target = room_of(header)
    if target is None:
        return True
    if room.split("/")[0] == "lab" and not target.startswith("lab"):
        return True
    if target == room or header in ALLOWED[room] or target in ALLOWED[room]:
        return True
    parent = target.split("/")[0]
    return parent in ALLOWED[room] and parent != room.split("/")[0] or (
        room == "lab" and parent == "lab")


def includes(root, file):
    with open(file, encoding="utf-8", errors="replace") as lines:
        for number, line in enumerate(lines, 1):
            match = INCLUDE.match(line)
            header = match and included(root, file, *match.groups())
            if header and "/" in header:
                yield number, header


def circles(arrows):
    """Pairs of rooms that reach each other."""
    def reached(start):
        seen, todo = set(), [start]
        while todo:
            for target in arrows.get(todo.pop(), ()):
                if target not in seen:
                    seen.add(target)
                    todo.append(target)
        return seen
    reach = {room: reached(room) for room in arrows}
    return sorted({tuple(sorted((a, b))) for a in reach for b in reach[a]
                   if a != b and a in reach.get(b, ())})


def main(arguments):
    here = os.path.dirname(os.path.abspath(__file__))
    root = os.path.abspath(arguments[0] if arguments else os.path.dirname(here))
    problems, arrows, lines, flat, count = [], {}, {}, {}, 0
    for top in ("src", "lab", "examples"):
        for file in sources(os.path.join(root, top)):
            count += 1
            name = os.path.relpath(file, root)
            inside = name[len("src/"):] if top == "src" else name
            with open(file, encoding="utf-8", errors="replace") as text:
                length = sum(1 for _ in text)
            if length > FILE_LINES:
                problems.append(f"{name}: {length} lines; at most {FILE_LINES}")
            lines[top, inside.split("/")[0]] = lines.get((top, inside.split("/")[0]), 0) + length
            folder = os.path.dirname(name)
            flat[folder] = flat.get(folder, 0) + 1
            room = room_of(inside) if top != "examples" else None
            if room is None and top != "examples":
                problems.append(f"{name}: a new room: say in scripts/check_layers.py what it may include")
                continue
            for number, header in includes(root, file):
                target = room_of(header)
                if room is None:
                    problems.append(f"{name}:{number}: an example must not include {header}")
                    continue
                if target and target != room:
                    arrows.setdefault(room, set()).add(target)
                if not may_include(room, header):
                    may = ", ".join(sorted(ALLOWED[room])) or "nothing"
                    problems.append(f"{name}:{number}: {room} must not include {header} (it may use: {may})")
    for one, other in circles(arrows):
        problems.append(f"{one} and {other} include each other, directly or by way of others")
    for (top, room), length in sorted(lines.items()):
        if top == "src" and length > ROOM_LINES:
            problems.append(f"src/{room}: {length} lines; a room has at most {ROOM_LINES}")
    for folder, files in sorted(flat.items()):
        if folder.startswith("src") and files > ROOM_FILES:
            problems.append(f"{folder}: {files} files in one folder; at most {ROOM_FILES}")
    product = sum(length for (top, _), length in lines.items() if top == "src")
    total = product + sum(length for (top, _), length in lines.items() if top == "lab")
    for what, length, most in (("src/", product, PRODUCT_LINES), ("src/ and lab/", total, TOTAL_LINES)):
        if length > most:
            problems.append(f"{what}: {length} lines; at most {most}")
    print("\n".join(problems) if problems else
          f"layers: {count} files keep to their rooms; src/ {product} lines, with lab/ {total}")
    return 1 if problems or not count else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
