#!/usr/bin/python3
"""Checks that comments and texts name what acts: a process is no who, whoever or whom.

    check_words.py [SOURCE_ROOT]

Looked at: comments and string literals under src/ and lab/.
"""
import os
import re
import sys

SOURCE = (".cc", ".h", ".inc", ".js", ".css", ".html")
# A string before a comment, so that "//" within one begins no comment.
TEXT = re.compile(r'"(?:[^"\\\n]|\\.)*"|//[^\n]*|/\*.*?\*/|<!--.*?-->', re.DOTALL)
WORD = re.compile(r"\b(?:who|whoever|whom)\b", re.IGNORECASE)


def problems(root):
    files = 0
    for room in ("src", "lab"):
        for folder, _, names in os.walk(os.path.join(root, room)):
            for name in sorted(names):
                if not name.endswith(SOURCE):
                    continue
                files += 1
                path = os.path.join(folder, name)
                with open(path, encoding="utf-8") as source:
                    text = source.read()
                for part in TEXT.finditer(text):
                    for word in WORD.finditer(part.group()):
                        line = text.count("\n", 0, part.start() + word.start()) + 1
                        yield f"{os.path.relpath(path, root)}:{line}: {word.group()}: say what it is"
    if files < 100:
        yield "hardly any source was found"


def main(arguments):
    here = os.path.dirname(os.path.abspath(__file__))
    found = list(problems(os.path.abspath(arguments[0] if arguments else os.path.dirname(here))))
    print("\n".join(found) if found else "words: no comment or text speaks of a who")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
