"""The suite for a real GPU: every part in a time box of its own, none stops the next. See
docs/gpu-testing.md; run.sh starts this."""

import argparse
import json
import os
import signal
import subprocess
import sys
import time
import traceback

import bodies
import checks
import executor
import matrix
import report
from world import Skip, Trouble, World

# name: (generator of ever more complete results, seconds it may take at most)
PARTS = {**checks.PARTS, **executor.PARTS, "bodies": (bodies.bodies, 110), "matrix": (matrix.matrix, 100_000)}
ORDER = ("facts", "contact", "outputs", "costs", "bodies", "executor", "coverage", "matrix")


class Late(Exception):
    pass


def run_part(world, name, options):
    """Status, seconds and result; the last result that was complete so far survives any end."""
    function, box_s = PARTS[name]
    whole = world.deadline
    world.deadline = min(whole, time.monotonic() + box_s)
    began, result, status, why = time.monotonic(), None, "done", ""

    def late(*_):
        raise Late()
    signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, max(1.0, world.left()))
    try:
        for result in function(world, options):
            pass
    except Skip as skip:
        status, why = "skipped", str(skip)
    except Trouble as trouble:
        status, why = "failed", str(trouble)
    except Late:
        status, why = "out of time", "what was seen until then is kept"
    except Exception:  # a fault of the suite's own must not cost the other parts either
        status, why = "failed", traceback.format_exc()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        world.end(list(world.running), 5)
        world.deadline = whole
    part = {"part": name, "status": status, "why": why,
            "seconds": round(time.monotonic() - began, 1), "result": result}
    with open(os.path.join(world.out, name + ".json"), "w", encoding="utf-8") as file:
        json.dump(part, file, indent=1)
    return part


def write(world, parts):
    text = report.markdown(parts, world.dry)
    with open(os.path.join(world.out, "results.md"), "w", encoding="utf-8") as file:
        file.write(text)
    return text


def main():
    parser = argparse.ArgumentParser(prog="tests/gpu/run.sh", description=__doc__)
    parser.add_argument("--out", default=os.environ.get("OUT") or "build/gpu-results")
    parser.add_argument("--parts", default=",".join(ORDER), help="of: " + ", ".join(ORDER))
    parser.add_argument("--seconds", type=float, default=540,
                        help="for all of it, since run.sh began")
    parser.add_argument("--quick", action="store_true", help="less of everything")
    parser.add_argument("--dry-run", action="store_true", help="on the virtual GPU, PyTorch on the CPU")
    parser.add_argument("--cells", default="", help="of the matrix: camera:8,ssd300:2,...")
    parser.add_argument("--load", type=float, default=2.0,
                        help="frames offered, of what one process alone does")
    parser.add_argument("--leg-seconds", type=float, default=3)
    parser.add_argument("--auto-seconds", type=float, default=10, help="for k auto to settle")
    parser.add_argument("--mps-auto", action="store_true", help="edf with k auto under MPS, too")
    parser.add_argument("--began", type=float, required=True, help=argparse.SUPPRESS)
    for own in ("install", "built", "python", "torch"):
        parser.add_argument("--" + own, required=True, help=argparse.SUPPRESS)
    options = parser.parse_args()
    wanted = options.parts.split(",")
    unknown = [part for part in wanted if part not in PARTS]
    if unknown:
        parser.error(f"--parts: '{unknown[0]}'; expected some of {', '.join(ORDER)}")
    if options.dry_run or options.quick:
        options.leg_seconds, options.auto_seconds = min(options.leg_seconds, 2), 3

    options.seconds = max(10, options.seconds - (time.time() - options.began))

    world = World(options)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    parts = []
    try:
        if world.torch:
            subprocess.run([world.python, os.path.join(os.path.dirname(__file__), "video.py"),
                            world.frames, "--count", "8" if world.dry else "48"], check=True)
        for name in (part for part in ORDER if part in wanted):
            if world.left() < 10:
                parts.append({"part": name, "status": "not begun", "why": "no time left",
                              "seconds": 0, "result": None})
                continue
            print(f"gpu: {name} ...", file=sys.stderr, flush=True)
            parts.append(run_part(world, name, options))
            print(f"gpu: {name}: {parts[-1]['status']} after {parts[-1]['seconds']} s "
                  f"{(parts[-1]['why'].strip().splitlines() or [''])[-1]}", file=sys.stderr, flush=True)
            write(world, parts)  # after each, so that an end from outside leaves all but the last
    finally:
        world.close()
    print(write(world, parts))
    return report.exit_code(parts)


if __name__ == "__main__":
    sys.exit(main())
