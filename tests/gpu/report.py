"""The parts' results as one page of markdown, and as an exit code."""

from matrix import LEGS


def number(value, digits=1):
    if value is None:
        return "–"
    return f"{value:.{digits}f}" if isinstance(value, float) else str(value)


def table(head, rows):
    return ["| " + " | ".join(head) + " |", "|" + "---|" * len(head),
            *("| " + " | ".join(str(cell).replace("\n", " ").replace("|", "/") for cell in row) + " |"
              for row in rows), ""]


def facts(result):
    return table(["", ""], [[key, value] for key, value in result.items()])


def contact(result):
    rows = []
    for program, row in result.items():
        if not isinstance(row, dict):
            continue
        cell = lambda how: (row.get(how) or {}).get("failed") or number(
            (row.get(how) or {}).get("inference_p50_ms"))
        same = {(row.get(how) or {}).get("checksum") for how in ("bare", "controlled")}
        rows.append([program, cell("bare"), cell("controlled"), row.get("turns", "–"),
                     "same" if len(same) == 1 and None not in same else "differ",
                     (row.get("bare") or {}).get("boxes") or "–", " ".join(row.get("said", []))])
    return table(["program", "bare, p50 ms", "controlled, p50 ms", "turns", "outputs", "boxes", "said"],
                 rows)


def outputs(result):
    rows = []
    for program, row in result.items():
        if program == "apis_agree":
            continue
        if "failed" in row:
            rows.append([program, "failed", "", row["failed"]])
        else:
            rows.append([program, "same" if row["same"] else "DIFFER",
                         "yes" if row["killed_midway"] else "no: it was over, or took no turns",
                         "; ".join(f"{way}: {text}" for way, text in row["failures"].items()) or
                         ("" if row["same"] else str(row["ways"]))])
    agree = result.get("apis_agree")
    return table(["program", "bare, again, no daemon, controlled, killed", "killed midway", ""],
                 rows) + (
        [f"Runtime API and driver API agree: {agree}", ""] if agree else [])


def costs(result):
    settings = ["bare", "no daemon", "off", "edf"]
    rows = [[call] + [f"{number(row[s]['p50'], 0)} / {number(row[s]['p99'], 0)}" if s in row else "–"
                      for s in settings] for call, row in result["calls"].items()]
    return [f"{result['unit']}; turns taken: {result.get('turns')}", "",
            *table(["call, ns p50 / p99"] + settings, rows)]


def bodies(result):
    lines = []
    for program, row in result.items():
        lines.append(f"**{program}**" + (": " + row["failed"] if "failed" in row else
                                         f", {row['turns']} turns " + row.get("note", "")))
        lines.append("")
        if "by_the_apps_notes" in row:
            lines += [f"by the app's own notes: {row['by_the_apps_notes']}", ""]
        if "compared" in row:
            lines += table(["", "value"], [[key, value] for key, value in row["compared"].items()])
    return lines


def executor(result):
    lines = [f"ONNX Runtime: {result['runtime']}. *apart*: the largest difference from the CPU's results, of the "
             "largest value", ""]
    rows = []
    for kind, row in result.items():
        if not isinstance(row, dict):
            continue
        rows += [[kind, "CPU, bare", number(row.get("cpu_p50_ms"), 2), "", "", "", "", "", row.get("failed", "")]]
        for leg in ("alone", "beside a camera"):
            if leg in row:
                at = row[leg]
                rows.append([kind, leg, number(at["p50_ms"], 2), f"{at['apart']:.1e}", at["turns"],
                             at.get("inferences", 0), number(at.get("load_ms")),
                             number(at.get("memory_bytes", 0) / 2**20), "; ".join(row.get("said", []))])
    return lines + table(["model", "leg", "call p50 ms", "apart", "turns", "inferences", "load ms", "MB", ""], rows)


def coverage(result):
    lines = []
    for name, row in result.items():
        if isinstance(row, dict):
            lines += [f"`stagger {name.replace('-', ' -- ', 1)}`", "", "```",
                      row.get("said", row.get("failed", "")), "```", ""]
    return lines


def limit(ks):
    """What k auto has come to; so many that nobody waits is no limit."""
    return ", ".join("no limit" if k >= 1024 else str(k) for k in ks)


def matrix(result):
    rows, notes = [], []
    for cell in result["cells"]:
        verdict = cell["verdict"]
        for leg in LEGS:
            if leg not in cell["legs"]:
                continue
            row = cell["legs"][leg]
            k = cell.get("facts", {}).get("mps" if "mps" in leg else "agent", {}).get("k", {}).get(leg)
            judged = ""
            if leg == "edf k=auto" and verdict:
                judged = f"{verdict['auto_to_best_ratio']:.2f} of the best" + \
                    ("" if verdict["good"] else " **BELOW**") + \
                    ("" if verdict["mps_known"] else " (MPS not known)")
            rows.append([cell["program"], cell["processes"], leg, number(row["fps"]),
                         " – ".join(number(x) for x in row["fps_spread"]),
                         number(row["inference_p50_ms"]), number(row["inference_p99_ms"]),
                         number(100 * row["miss_ratio"]), " – ".join(number(x) for x in row["app_fps"]),
                         limit(k[-1]) if k and "auto" in leg else "", judged])
        notes += [f"- {cell['program']} x {cell['processes']}: {note}" for note in cell["notes"]]
    lines = table(["program", "processes", "leg", "total fps", "spread", "inference p50 ms", "p99 ms",
                   "misses %", "fps per app", "k", ""], rows)
    lines += [f"Offered: {result['load']} x what one process does alone. Windows of "
              f"{result['leg_seconds']} s; k auto had {result['auto_seconds']} s to settle."]
    if "mps" in result:
        lines.append(f"No MPS: {result['mps']}.")
    if result["not_measured"]:
        lines.append("Not measured, for want of time: --cells " + ",".join(result["not_measured"]))
    return lines + [""] + notes + [""]


WRITERS = {"facts": facts, "contact": contact, "outputs": outputs, "costs": costs, "bodies": bodies,
           "executor": executor, "coverage": coverage, "matrix": matrix}


def bad(part):
    """What is wrong in a part that ran to its end: lines."""
    result, wrong = part["result"] or {}, []
    if part["part"] == "outputs":
        wrong += [f"outputs differ or failed: {name}" for name, row in result.items()
                  if name != "apis_agree" and not row.get("same")]
        wrong += [f"the two APIs disagree: {shape}"
                  for shape, same in result.get("apis_agree", {}).items() if not same]
    if part["part"] == "contact":
        wrong += [f"{name}, {how}: {row[how]['failed'].splitlines()[0]}" for name, row in result.items()
                  if isinstance(row, dict) for how in ("bare", "controlled")
                  if "failed" in row.get(how, {})]
        if "failed" in result.get("rate", {}):
            wrong.append("cuda-camera: " + result["rate"]["failed"].splitlines()[0])
    if part["part"] == "bodies":
        wrong += [f"bodies of {name}: {row['failed'].splitlines()[0]}" for name, row in result.items()
                  if "failed" in row]
    if part["part"] == "executor":
        for name, row in result.items():
            if not isinstance(row, dict):
                continue
            if "failed" in row:
                wrong.append(f"executor, {name}: {row['failed'].splitlines()[0]}")
            elif not row.get("ran_there", True):
                wrong.append(f"executor, {name}: it ran nothing: " + "; ".join(row["said"]))
            wrong += [f"executor, {name}, {leg}: {at['apart']:.1e} apart from the CPU's results"
                      for leg, at in row.items() if isinstance(at, dict) and at["apart"] > 1e-3]
    if part["part"] == "matrix":
        for cell in result.get("cells", []):
            wrong += [f"{cell['program']} x {cell['processes']}: {note.splitlines()[0]}"
                      for note in cell["notes"]]
    return wrong


def markdown(parts, dry):
    lines = ["# GPU results" + (" (dry run: virtual GPU, PyTorch on the CPU; no measurement)" if dry
                                else ""), ""]
    lines += table(["part", "status", "s", "why"],
                   [[p["part"], p["status"], p["seconds"],
                     (p["why"].strip().splitlines() or [""])[-1]] for p in parts])
    wrong = [line for part in parts for line in bad(part)]
    if wrong:
        lines += ["Wrong:", "", *("- " + line for line in wrong), ""]
    for part in parts:
        if part["result"]:
            lines += ["## " + part["part"], ""]
            try:
                lines += WRITERS[part["part"]](part["result"])
            except (KeyError, TypeError, ValueError) as error:  # half a result: the JSON has it
                lines += [f"(not shown: {error!r}; see {part['part']}.json)", ""]
    return "\n".join(lines)


def exit_code(parts):
    return 1 if any(p["status"] == "failed" or bad(p) for p in parts) else 0
