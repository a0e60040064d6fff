#!/usr/bin/python3
"""Draws the plots of docs/scheduling.md from what `stagger` says today.

    scripts/plot_scheduling.py [STAGGER] [FOLDER]    (build/bin/stagger, docs/images)

Needs Debian's python3-matplotlib, which nothing else here does.
"""

import json
import os
import random
import subprocess
import sys
import tempfile

import matplotlib

matplotlib.use("svg")
matplotlib.rcParams["svg.hashsalt"] = "stagger"  # the same picture, the same bytes
import matplotlib.pyplot as plt  # noqa: E402

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
STAGGER = sys.argv[1] if len(sys.argv) > 1 else os.path.join(ROOT, "build/bin/stagger")
FOLDER = sys.argv[2] if len(sys.argv) > 2 else os.path.join(ROOT, "docs/images")
POLICIES = ("off", "spaced", "fifo", "edf")
T4 = "devices: [{name: gpu0, sigma: 0.182, w: 0.291, g: 0.291}]\n"


def ask(*arguments, may_fail=False):
    done = subprocess.run([STAGGER, *arguments, "--json"], capture_output=True, text=True)
    if done.returncode != 0 and not may_fail:
        sys.exit(f"stagger {' '.join(arguments)}: {done.stderr}")
    return json.loads(done.stdout)


def simulate(scenario, *arguments):
    """A scenario given as a file's name in scenarios/, or as its text."""
    if "\n" not in scenario:
        return ask("sim", os.path.join(ROOT, "scenarios", scenario), *arguments)
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        file.write(scenario)
        file.flush()
        return ask("sim", file.name, *arguments)


def leg(outcome, name="all"):
    return next(leg for leg in outcome["legs"] if leg["name"] == name)


def save(figure, name):
    figure.tight_layout()
    figure.savefig(os.path.join(FOLDER, name + ".svg"), metadata={"Date": None})
    plt.close(figure)
    print(name)


def paper():
    points = ask("sim", "paper")["table2"]["points"]
    figure, axes = plt.subplots(figsize=(7, 3.5))
    offsets = [point["offset_ms"] for point in points]
    for which, colour in (("first", "tab:blue"), ("second", "tab:orange")):
        axes.plot(offsets, [point["model_" + which + "_ms"] for point in points], color=colour,
                  label=which + ", model")
        axes.plot(offsets, [point[which + "_ms"] for point in points], "o", color=colour,
                  markersize=4, label=which + ", paper")
    axes.set(xlabel="second inference starts after (ms)", ylabel="inference time (ms)",
             title="The model, fitted to the paper's Table 2")
    axes.legend()
    save(figure, "sim_table2")


def policies():
    figure, axes = plt.subplots(figsize=(7, 3.5))
    counts = range(1, 9)
    for policy in POLICIES:
        drops = []
        for count in counts:
            text = ("seconds: 60\ndraws: 100\njitter: 0.03\nhandoff_ms: 0.2\n" + T4 +
                    "overload: none\nstreams:\n"
                    f"  - {{name: cam, count: {count}, fps: 4, phase_ms: random, body_ms: 38.3, "
                    "post_ms: 35.4, app_ms: 27}\n")
            drops.append(100 * leg(simulate(text, "--policy", policy))["drop_ratio"])
        axes.plot(counts, drops, "o-", label=policy if policy != "edf" else "edf (as fifo)")
    axes.set(xlabel="cameras of 4 fps on one T4, any phases", ylabel="dropped frames (%)",
             title="Cameras without drops")
    axes.legend()
    save(figure, "sim_policies")


def mixed():
    figure, axes = plt.subplots(figsize=(7, 3.5))
    names = ("fast", "mid", "slow")
    for i, policy in enumerate(POLICIES):
        outcome = simulate("mix_0865.yaml", "--policy", policy)
        axes.bar([x + i * 0.2 for x in range(3)],
                 [100 * leg(outcome, name)["drop_ratio"] for name in names], 0.18,
                 label=f"{policy}, {leg(outcome)['fps']:.1f} fps in all")
    axes.set_xticks([x + 0.3 for x in range(3)], ("10 fps", "4 fps", "1 fps"))
    axes.set(ylabel="dropped frames (%)", title="Cameras of three rates, bodies take 86.5 %")
    axes.legend()
    save(figure, "sim_mixed")


def automatic():
    figure, axes = plt.subplots(figsize=(7, 3.5))
    for name, colour in (("auto_small_d25_s30", "tab:blue"), ("auto_nocontention_d08", "tab:green"),
                         ("auto_change", "tab:orange")):
        outcome = simulate(name + ".yaml")
        off = simulate(name + ".yaml", "--policy", "off")["done_by_second"]
        done = outcome["done_by_second"]
        mean = [sum(done[i:i + 5]) / sum(off[i:i + 5]) for i in range(0, len(done) - 4, 5)]
        axes.plot([5 * i for i in range(len(mean))], mean, color=colour, label=name, linewidth=1)
    axes.axhline(1, color="black", linewidth=0.5)
    axes.set(xlabel="seconds since the start (means of 5 s)", ylabel="inferences, of uncontrolled",
             title="concurrency: auto")
    axes.legend()
    save(figure, "sim_auto")


def overload():
    with open(os.path.join(ROOT, "scenarios/overload_150.yaml"), encoding="utf-8") as file:
        text = file.read()
    figure, axes = plt.subplots(figsize=(7, 3.5))
    names = ("light", "middle", "heavy")
    for i, (label, outcome) in enumerate((
            ("rates by weight", simulate(text)),
            ("edf alone", simulate(text + "overload: none\n")))):
        legs = [leg(outcome, name) for name in names]
        in_time = [one["fps"] - max(0, one["deadline_miss_ratio"] - one["drop_ratio"]) *
                   one["frames"] / one["done"] * one["fps"] for one in legs]
        axes.bar([x + i * 0.4 for x in range(3)], [one["fps"] for one in legs], 0.36, alpha=0.4,
                 color=f"C{i}", label=label + ", done")
        axes.bar([x + i * 0.4 for x in range(3)], in_time, 0.36, color=f"C{i}",
                 label=label + ", in time")
    axes.set_xticks([x + 0.2 for x in range(3)], ("weight 1", "weight 2", "weight 4"))
    axes.set(ylabel="fps of two cameras that ask for 10", title="150 % asked for",
             ylim=(0, 12))
    axes.legend(ncols=2, loc="upper left")
    save(figure, "sim_overload")


def admitted_share(utilisation, rng, sets=60):
    passed = 0
    for _ in range(sets):
        shares = [rng.expovariate(1) for _ in range(8)]
        text = "seconds: 1\nstreams:\n"
        for i, share in enumerate(shares):
            period = rng.uniform(33, 1000)
            body = max(0.1, utilisation * share / sum(shares) * period)
            text += f"  - {{name: s{i}, period_ms: {period:.3f}, body_ms: {body:.3f}}}\n"
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            file.write(text)
            file.flush()
            passed += ask("admit", file.name, may_fail=True)["devices"][0]["admitted"]
    return 100 * passed / sets


def admission():
    rng = random.Random(1)
    loads = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]
    figure, axes = plt.subplots(figsize=(7, 3.5))
    axes.plot(loads, [100] * len(loads), "--", label="by U <= 1 alone")
    axes.plot(loads, [admitted_share(load, rng) for load in loads], "o-", label="exact test")
    axes.set(xlabel="bodies' share of the device", ylabel="admitted (%)", ylim=(0, 105),
             title="Sets of 8 streams, periods 33 to 1000 ms")
    axes.legend()
    save(figure, "sim_admission")


for plot in (paper, policies, mixed, automatic, overload, admission):
    plot()
