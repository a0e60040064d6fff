#!/usr/bin/python3
"""Checks that the documents name every row of the lists in the sources.

    check_lists.py [SOURCE_ROOT]

README.md: each verb of src/cli/verbs.inc has a row; each flag of src/base/stream_settings.inc stands
in a row of `stagger run`, each variable has a row of its own. docs/status-api.md: each key of src/core/stream_counters.inc stands in a row of
the streams, and among the totals; each key of src/documents/json.cc stands somewhere.
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
    with open(os.path.join(root, "src/cli/verbs.inc"), encoding="utf-8") as source:
        verbs = re.findall(r"^STAGGER_VERB\((\w+),", source.read(), re.MULTILINE)
    found += [f"README.md: no row for stagger {verb}" for verb in verbs
              if not re.search(rf"^\| .*`stagger {verb}\b", readme, re.MULTILINE)]
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
    with open(os.path.join(root, "src/documents/json.cc"), encoding="utf-8") as source:
        structs = re.findall(r"STAGGER_FIELDS\(\w+,([^)]*)\)", source.read())
    inlined = {"counters", "place"}  # their fields stand in their stead
    keys = {key.strip() for struct in structs for key in struct.split(",")} - inlined
    words = {word for code in re.findall(r"`([^`]*)`", status) for word in re.findall(r"\w+", code)}
    found += [f"docs/status-api.md: nothing names `{key}`" for key in sorted(keys - words)]
    units = {word for word in words if re.search("[a-z0-9]_(ms|s|fps|gb|ratio)$", word)}
    found += [f"docs/status-api.md: no document has `{key}`" for key in sorted(units - keys)]
    if len(settings) < 2 or len(counters) < 2 or len(keys) < 2 or len(verbs) < 2:
        found.append("a list reads as empty")
    return found, (f"lists: {len(verbs)} verbs, {len(settings)} settings, {len(counters)} counters, {len(keys)} keys of "
                   "documents, all in the documents")


def main(arguments):
    here = os.path.dirname(os.path.abspath(__file__))
    found, well = problems(os.path.abspath(arguments[0] if arguments else os.path.dirname(here)))
    print("\n".join(found) if found else well)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
