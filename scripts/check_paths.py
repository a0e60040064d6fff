#!/usr/bin/python3
"""Checks that the files and folders that pages name exist: pages outlive the code that they tell of.

    check_paths.py [SOURCE_ROOT]

Looked at: README.md, CONTRIBUTING.md, tests/README.md, scenarios/README.md and docs/*.md. Measurements and
the changelog tell of how things were. A path is what begins with one of FOLDERS, wherever it stands;
the target of a link; and the name of a source file between backticks, with its folder or without.
"""
import glob
import os
import re
import sys

FOLDERS = ("src", "lab", "tests", "scripts", "docs", "examples", "scenarios", "tools", "cmake")
PATH = re.compile(r"(?<![\w/.$-])(?:%s)/[\w./*-]*[\w*]" % "|".join(FOLDERS))
LINK = re.compile(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)")
SOURCE = re.compile(r"`([\w./-]+\.(?:cc|h|inc|S|py|sh|js|css|cu|ptx))`")
ROOTS = ("", "src", "lab", "tests", "src/agent")  # pages leave these out
FOREIGN = {"cuda.h"}  # of others


def names_of(root):
    return {name for folder in FOLDERS for _, _, names in os.walk(os.path.join(root, folder))
            for name in names}


def missing_in(line, page, root, names):
    folder = os.path.dirname(page)
    for match in PATH.findall(line):
        if "NAME" not in match and not glob.glob(os.path.join(root, match)):
            yield match
    for target in LINK.findall(line):
        if not os.path.exists(os.path.join(root, folder, target)):
            yield target
    for name in SOURCE.findall(line):
        if "NAME" in name or name.startswith(tuple(f"{part}/" for part in FOLDERS)):
            continue
        if "/" in name:
            there = any(os.path.exists(os.path.join(root, part, name)) for part in ROOTS)
        else:
            there = name in names or name in FOREIGN
        if not there:
            yield name


def main(arguments):
    here = os.path.dirname(os.path.abspath(__file__))
    root = os.path.abspath(arguments[0] if arguments else os.path.dirname(here))
    pages = ["README.md", "CONTRIBUTING.md", "tests/README.md", "scenarios/README.md"]
    pages += sorted(f"docs/{name}" for name in os.listdir(os.path.join(root, "docs"))
                    if name.endswith(".md"))
    names = names_of(root)
    problems = []
    for page in pages:
        with open(os.path.join(root, page), encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                problems += [f"{page}:{number}: there is no {path}"
                             for path in missing_in(line, page, root, names)]
    print("\n".join(problems) if problems else f"paths: all that {len(pages)} pages name exist")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
