#!/usr/bin/env python3
"""The speed table of docs/performance.md: tokenmill beside its peers, and what was promised.

Measures prefill 512 and decode at batches 1, 8, 16 and 32 around context 160 on five files, and
batch 16 at context 4k on one, in interleaved rounds of all programs, and keeps every report of every
round in --save. A call works for --minutes at most (it starts no run that would take longer) and a
later call with the same --save goes on; each ends with the table of all there is so far. The share
of the read bandwidth is of what `tokenmill bench` measured in the same run.

  table.py --save table.json --minutes 7 --ik DIR --openvino PYTHON     again, until it is complete
  table.py --save table.json --file gemma3 ...                          one file alone
  table.py --save table.json --minutes 0                                print what there is
"""

import argparse
import json
import os
import pathlib
import statistics
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
import compare  # noqa: E402
from compare import models  # noqa: E402

US, LLAMA, IK, OPENVINO = "tokenmill", "llama.cpp", "ik_llama.cpp", "OpenVINO"
FILES = ["smollm2", "smollm2-q4_0", "smollm2-q8_0", "qwen-coder", "gemma3"]
NAMES = {"smollm2": "smollm2 Q4_1", "smollm2-q4_0": "smollm2 Q4_0", "smollm2-q8_0": "smollm2 Q8_0"}

# What is run: name, the files it is for, its flags, who takes part, the guess of seconds of a run.
# The steps of a decode stand around context 160: 144 tokens before the first, 32 steps.
SHAPES = [
    {
        "name": "short",
        "files": FILES,
        "flags": {"prompt": 512, "context": 144, "gen": 32, "batch": "1,8,16,32"},
        "sides": [US, LLAMA, IK, OPENVINO],
    },
    {
        "name": "4k",
        "files": ["smollm2-q4_0"],
        "flags": {"prompt": 0, "context": 4096, "gen": 16, "batch": "16"},
        "sides": [US, LLAMA],
    },
    {
        "name": "profile",
        "files": FILES,
        "flags": {"prompt": 512, "context": 144, "gen": 32, "batch": "1,8,32"},
        "sides": [US],
    },
]
LONGEST_RUN = 150.0  # seconds: the guess for a run that was not made yet

# What was promised: (to llama.cpp, to the best peer), each (at least, aim) or None; by file.
MANY = ["decode, batch 8", "decode, batch 16", "decode, batch 32"]
TARGETS = {
    ("smollm2", "prefill 512"): ((5, 7), (1.7, 2.2)),
    ("smollm2-q4_0", "prefill 512"): ((2.2, 3), (1.6, 2.2)),
    ("smollm2-q8_0", "prefill 512"): ((3, 4), (1.7, 2.3)),
    ("qwen-coder", "prefill 512"): ((4, 5), (2, 2.5)),
    ("gemma3", "prefill 512"): (None, (1.5, 2)),
    ("smollm2", "decode, batch 1"): ((2, None), (1.5, None)),
    ("qwen-coder", "decode, batch 1"): ((1.5, None), (1.0, None)),
    ("smollm2-q4_0", "decode, batch 16, context 4k"): ((2, 3), None),
}
for what in MANY:
    TARGETS["smollm2", what] = ((5, 7), (2, 3))
    TARGETS["smollm2-q4_0", what] = ((2.2, 4), None)
    TARGETS["smollm2-q8_0", what] = ((3, 4), (1.6, 2.2))
    TARGETS["qwen-coder", what] = ((3.5, 5), (2, 3))
BANDWIDTH = (0.8, 0.9)  # of a single stream, on these:
SINGLE = ["smollm2", "qwen-coder"]


def arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--save", type=pathlib.Path, required=True, help="where every report of every round is kept")
    add("--minutes", type=float, default=7, help="how long this call may work (7)")
    add("--rounds", type=int, default=3)
    add("--file", action="append", choices=FILES, help="this file alone; repeatable (all)")
    add("--threads", type=int, default=2)
    add("--mill", help="the tokenmill program (build/release)")
    add("--ik", help="the folder of ik_llama.cpp's programs")
    add("--openvino", help="a Python that has openvino-genai")
    add("--through", default="", help="start every run through this, e.g. 'taskset -c 0,1'")
    return parser.parse_args()


def sides_of(shape, args):
    have = {US, LLAMA} | ({IK} if args.ik else set()) | ({OPENVINO} if args.openvino else set())
    return [side for side in shape["sides"] if side in have]


def wanted(args):
    """(file, shape, round, side), in the order of the runs; every second round the other way round."""
    for number in range(args.rounds):
        for file in args.file or FILES:
            for shape in SHAPES:
                if file in shape["files"]:
                    sides = sides_of(shape, args)
                    for side in sides if number % 2 == 0 else reversed(sides):
                        yield file, shape, number, side


def command_of(file, shape, side, args):
    wish = argparse.Namespace(**vars(args), **shape["flags"])
    command = compare.commands(models.path_of(file), wish)[side]
    return command + ["--profile"] if shape["name"] == "profile" else command


def watched(command):
    """What a program measured, and the share of all CPUs that others took before or meanwhile."""
    before = compare.busy()
    all_before, idle_before = compare.cpu_ticks()
    own_before = os.times()
    report = compare.report_of(command)
    all_after, idle_after = compare.cpu_ticks()
    own = os.times()
    mine = own.children_user + own.children_system - own_before.children_user - own_before.children_system
    taken = all_after - all_before - (idle_after - idle_before) - mine * os.sysconf("SC_CLK_TCK")
    return report, max(before, taken / max(1, all_after - all_before))


def fill(runs, args):
    """Makes the runs that are missing, as long as there is time. Whether all are there."""
    end = time.monotonic() + args.minutes * 60
    done = {(run["file"], run["shape"], run["round"], run["side"]) for run in runs}
    for file, shape, number, side in wanted(args):
        if (file, shape["name"], number, side) in done:
            continue
        same = [r for r in runs if (r["file"], r["shape"], r["side"]) == (file, shape["name"], side)]
        if same and same[0]["report"] is None:
            continue  # it can't load the file
        guess = max((run["seconds"] for run in same), default=LONGEST_RUN)
        if time.monotonic() + guess > end:
            return False
        start = time.monotonic()
        report, disturbed = watched(command_of(file, shape, side, args))
        runs.append(
            {
                "file": file,
                "shape": shape["name"],
                "round": number,
                "side": side,
                "seconds": round(time.monotonic() - start, 1),
                "other_work": round(disturbed, 3),
                "report": report,
            }
        )
        args.save.write_text(json.dumps({"threads": args.threads, "runs": runs}, indent=1) + "\n")
        print(f"{file}, {shape['name']}, round {number + 1}: {side} done", file=sys.stderr)
    return True


def name_of(shape, what):
    return what + (", context 4k" if shape == "4k" and what.startswith("decode") else "")


def gather(runs):
    """({(file, what): {side: [rate of each round]}}, {(file, side) that can't})"""
    rates, cannot = {}, set()
    for run in runs:
        if run["report"] is None:
            cannot.add((run["file"], run["side"]))
        if run["report"] is None or run["shape"] == "profile":
            continue
        for what, rate in compare.rates_of(run["report"]).items():
            row = rates.setdefault((run["file"], name_of(run["shape"], what)), {})
            row.setdefault(run["side"], []).append(rate)
    return rates, cannot


def with_target(value, target):
    """`6.1 (5; 7)`: a figure with what was promised at least and at best, and how it stands."""
    if value is None:
        return "—"
    if not target:
        return f"{value:.2f}"
    least, aim = target
    mark = "✗" if value < least else ("✓" if aim is None or value < aim else "✓✓")
    bounds = f"{least:g}" if aim is None else f"{least:g}; {aim:g}"
    return f"{value:.2f} ({bounds}) {mark}"


def ratios(row, key):
    """The cells of the ratios to llama.cpp and to the best peer."""
    to_llama, to_best = TARGETS.get(key, (None, None))
    if US not in row:
        return "—", "—"
    middle = {side: statistics.median(rates) for side, rates in row.items()}
    ours = middle.pop(US)
    of_llama = ours / middle[LLAMA] if LLAMA in middle else None
    if not middle:
        return "—", "—"
    best = max(middle, key=middle.get)
    return with_target(of_llama, to_llama), with_target(ours / middle[best], to_best) + f" {best}"


def speeds(runs):
    rates, cannot = gather(runs)
    sides = [side for side in (US, LLAMA, IK, OPENVINO) if any(run["side"] == side for run in runs)]
    yield f"| file | what | {' | '.join(sides)} | to llama.cpp | to the best |"
    yield "| --- " * (4 + len(sides)) + "|"
    for file in FILES:
        for (of, what), row in rates.items():
            if of != file:
                continue
            cells = []
            for side in sides:
                none = "cannot load it" if (file, side) in cannot else "—"
                cells.append(compare.cell(row[side]) if side in row else none)
            both = " | ".join(ratios(row, (file, what)))
            yield f"| {NAMES.get(file, file)} | {what} | {' | '.join(cells)} | {both} |"


def shares(runs):
    """Of our runs: the shares of both limits, each measured in the same run."""
    seen = {}
    for run in runs:
        if run["side"] != US or run["shape"] == "profile":
            continue
        for row in run["report"]["prefill"] + run["report"]["decode"]:
            what = f"decode, batch {row['batch']}" if "batch" in row else f"prefill {row['tokens']}"
            seen.setdefault((run["file"], name_of(run["shape"], what)), []).append(row)
    yield "| file | what | of the read bandwidth, for weights | of the int8 peak (prompts with AMX: of bf16) |"
    yield "| --- | --- | --- | --- |"
    for file in FILES:
        for (of, what), rows in seen.items():
            if of != file:
                continue
            integer = statistics.median(row["peak_share"] for row in rows)
            bandwidth = statistics.median(row["bandwidth_share"] for row in rows)
            promised = what == "decode, batch 1" and file in SINGLE
            cell = with_target(bandwidth, BANDWIDTH if promised else None)
            yield f"| {NAMES.get(file, file)} | {what} | {cell} | {integer:.2f} |"


def profiles(runs):
    """Where the time of our steps goes, as the thread that leads them sees it."""
    for file in FILES:
        columns, parts = {}, {}
        for run in runs:
            if run["file"] != file or run["shape"] != "profile":
                continue
            for row in run["report"]["prefill"] + run["report"]["decode"]:
                what = f"batch {row['batch']}" if "batch" in row else f"prefill {row['tokens']}"
                columns.setdefault(what, []).append(row["profile_seconds"])
                parts |= row["profile_seconds"]
        if not columns:
            continue
        yield f"| {NAMES.get(file, file)} | {' | '.join(columns)} |"
        yield "| --- " * (1 + len(columns)) + "|"
        for part in parts:
            cells = []
            for seen in columns.values():
                found = [100 * one.get(part, 0) / sum(one.values()) for one in seen]
                cells.append(f"{statistics.median(found):.1f} %")
            yield f"| {part} | {' | '.join(cells)} |"
        yield ""


def report(runs, threads):
    ours = [run["report"] for run in runs if run["side"] == US]
    rounds = 1 + max(run["round"] for run in runs)
    disturbed = max(run["other_work"] for run in runs)
    engines = {run["side"]: run["report"].get("engine") for run in runs if run["report"]}
    print(f"Tokens per second, {threads} threads, median [least..most] of {rounds} interleaved rounds.")
    print("Ratios are of medians; in brackets what was promised: at least; aim. ✗ below, ✓✓ at the aim.")
    print("Decode: steps around context 160 (144 to 176), or after 4096 tokens.\n")
    print("\n".join(speeds(runs)))
    if ours:
        reads = [one["read_bytes_per_second"] / 1e9 for one in ours]
        macs = [one["int8_macs_per_second"] / 1e9 for one in ours]
        print(f"\nThe limits of the machine, {ours[0]['backend']} path: it read {compare.cell(reads)} GB/s")
        print(f"and did {compare.cell(macs)} G int8 multiply-adds/s in these runs. Shares of them:\n")
        print("\n".join(shares(runs)))
    if any(run["shape"] == "profile" for run in runs):
        print("\nWhere the time goes, as the leading thread sees it (waiting: for the others):\n")
        print("\n".join(profiles(runs)))
    print(f"\nPeers: {'; '.join(f'{side}: {engine}' for side, engine in engines.items() if engine)}.")
    print(f"Other work took at most {disturbed * 100:.0f} % of the CPUs before or during a run.")
    if disturbed > compare.QUIET:
        print("NOT QUIET: these figures say more about the other work than about the programs.")


def main():
    args = arguments()
    saved = json.loads(args.save.read_text()) if args.save.exists() else {"runs": []}
    if saved.get("threads", args.threads) != args.threads:
        sys.exit(f"{args.save} has runs with {saved['threads']} threads; name another file")
    complete = fill(saved["runs"], args)
    if not saved["runs"]:
        sys.exit("nothing was measured yet; give it more --minutes")
    report(saved["runs"], args.threads)
    if not complete:
        print("\nNot complete: call it again to go on.")


if __name__ == "__main__":
    main()
