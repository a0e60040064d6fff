#!/usr/bin/python3
"""Checks that the documents name every row of the lists in the sources.

    check_lists.py [SOURCE_ROOT]

README.md: each flag of src/base/stream_settings.inc stands in a row of `stagger run`, each variable
has a row of its own. docs/status-api.md: each key of src/core/stream_counters.inc stands in a row of
the streams, and among the totals.
"""
import os
import re
import sys

COMMENT = re.compile(r"^\s*(//|#).*$", re.MULTILINE)


def rows(root, file, macro):
    """The texts of each row of a list."""
    with open(os.path.join(root, "src", file), encoding="utf-8") as source:
        text = COMMENT.sub("", source.read())
    return [re.findall(r'"([^"]*)"', row)
            for row in re.findall(rf"^{macro}\((.*?)\)$", text, re.MULTILINE | re.DOTALL)]


def page(root, file):
    with open(os.path.join(root, file), encoding="utf-8") as text:
        return text.read()


def problems(root):
    found = []
    readme = page(root, "README.md")
    run = "\n".join(line for line in readme.splitlines() if line.startswith("| `stagger"))
    settings = rows(root, "base/stream_settings.inc", r"STAGGER_\w+_SETTING")
    for texts in settings:
        for text in texts:
            if re.fullmatch("--[a-z-]+", text) and f"{text} " not in run:
                found.append(f"README.md: no row of stagger run names {text}")
            if text.startswith("STAGGER_") and f"\n| `{text}` |" not in readme:
                found.append(f"README.md: no row for the variable {text}")
    status = page(root, "docs/status-api.md")
    streams = status.partition("## `streams")[2].partition("\n## ")[0]
    totals = status.partition("## `totals`")[2].partition("\n## ")[0]
    counters = [row[0] for row in rows(root, "core/stream_counters.inc", "STAGGER_STREAM_COUNTER")
                if row]
    for key in counters:
        for part, name in ((streams, "streams"), (totals, "totals")):
            if f"`{key}`" not in part:
                found.append(f"docs/status-api.md: {name} lack `{key}`")
    if len(settings) < 2 or len(counters) < 2:
        found.append("a list reads as empty")
    return found, f"lists: {len(settings)} settings, {len(counters)} counters, all in the documents"


def main(arguments):
    here = os.path.dirname(os.path.abspath(__file__))
    found, well = problems(os.path.abspath(arguments[0] if arguments else os.path.dirname(here)))
    print("\n".join(found) if found else well)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
