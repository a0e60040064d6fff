#!/usr/bin/python3
"""Prints the names that the CUDA agent must export, one a line, from the list of driver calls.

    list_cuda_hooks.py driver_calls.inc

A name is exported if the agent stands before the driver there: kinds of calls that start, copy, wait
or capture, and the ways into the driver that hand out functions.
"""
import re
import sys

HOOKED = {"kLaunch", "kGraphLaunch", "kCopyHtoD", "kCopyDtoH", "kCopyDtoD", "kCopy", "kMemset", "kSync",
          "kEventRecord", "kEventSync", "kQuery", "kStreamWait", "kHostFunction", "kCapture"}
ENTRIES = {"cuGetProcAddress", "cuGetProcAddress_v2"}
ROW = re.compile(r"^STAGGER_CUDA_(STREAM_)?CALL\(\s*(\w+),\s*(\w+),\s*\d+,\s*"
                 r"(?:(\w+),\s*\d+,\s*)?(k\w+),", re.M)


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        rows = ROW.findall(file.read())
    names = set(ENTRIES)
    for stream, _, symbol, suffix, kind in rows:
        if kind in HOOKED:
            names.update([symbol, symbol + suffix] if stream else [symbol])
    print("\n".join(sorted(names)))


if __name__ == "__main__":
    main()
