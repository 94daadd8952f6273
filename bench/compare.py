#!/usr/bin/env python3
"""Speed of tokenmill beside its peers on the same files, from one interleaved run.

Each round runs `tokenmill bench --json` and the peers one after the other (and the other way round
in the next round), so that all meet the same weather. Peers: llama.cpp (llama_peer.py), with --ik
DIR ik_llama.cpp (ik_peer.py), with --openvino PYTHON OpenVINO GenAI (openvino_peer.py). With
--floor R the exit code is 1 when a ratio to llama.cpp is below R.
"""

import argparse
import json
import pathlib
import shlex
import statistics
import subprocess
import sys
import time

CANNOT = 3  # the exit code of a peer that can't load the file
QUIET = 0.1  # above this share of other work the table is marked
HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests" / "oracle"))
import models  # noqa: E402


def cpu_ticks():
    """(all, idle or waiting for a disk) of all CPUs since the start of the machine."""
    fields = pathlib.Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]
    values = [int(field) for field in fields]
    return sum(values), values[3] + values[4]


def busy(seconds=0.5):
    """The share of all CPUs that other work takes now: 0 on a quiet machine."""
    all_before, idle_before = cpu_ticks()
    time.sleep(seconds)
    all_after, idle_after = cpu_ticks()
    return 1 - (idle_after - idle_before) / max(1, all_after - all_before)


def report_of(command):
    """What a program measured; None where it can't load the file."""
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode == CANNOT:
        return None
    if done.returncode == models.SKIP:
        sys.exit(models.SKIP)
    if done.returncode != 0:
        sys.exit(f"{shlex.join(command)} ended with {done.returncode}")
    return json.loads(done.stdout)


def rates_of(report):
    """{what: tokens per second}"""
    rates = {f"prefill {row['tokens']}": row["tokens_per_second"] for row in report["prefill"]}
    for row in report["decode"]:
        rates[f"decode, batch {row['batch']}"] = row["tokens_per_second"]
    return rates


def interleave(sides, rounds, note):
    """({side: {what: [rate of each round]}}, the most other work seen before a run).

    The order of the sides turns round every round.
    """
    seen, disturbed = {name: {} for name in sides}, 0.0
    for number in range(rounds):
        order = list(sides) if number % 2 == 0 else list(reversed(list(sides)))
        for name in order:
            disturbed = max(disturbed, busy())
            report = report_of(sides[name])
            if report is None:
                del sides[name], seen[name]
                continue
            for what, rate in rates_of(report).items():
                seen[name].setdefault(what, []).append(rate)
            print(f"{note}: round {number + 1} of {rounds}, {name} done", file=sys.stderr)
    return seen, disturbed


def cell(rates):
    return f"{statistics.median(rates):.1f} [{min(rates):.1f}..{max(rates):.1f}]"


def arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    default = ["smollm2", "qwen-coder"]
    add("model", nargs="*", default=default, help="short names or GGUF files (smollm2 qwen-coder)")
    add("--mill", help="the tokenmill program (build/release)")
    add("--rounds", type=int, default=3)
    add("--threads", type=int, default=2)
    add("--prompt", type=int, default=512)
    add("--gen", type=int, default=64)
    add("--context", type=int, default=128, help="tokens of a sequence before its steps (128)")
    add("--batch", default="1,8,32")
    add("--floor", type=float, help="fail when a ratio of medians is below this")
    add("--ik", help="the folder of ik_llama.cpp's programs: a peer more")
    add("--openvino", help="a Python that has openvino-genai: a peer more")
    add("--through", default="", help="start every run through this, e.g. 'taskset -c 0,1'")
    add("--save", type=pathlib.Path, help="write every rate of every round as JSON")
    return parser.parse_args()


def commands(path, args):
    """{side: command}"""
    shape = ["--prompt", args.prompt, "--gen", args.gen, "--batch", args.batch]
    shape += ["--context", args.context, "--threads", args.threads, "--json"]
    ours = [models.binary(args.mill), "bench", path, *shape]
    theirs = [sys.executable, HERE / "llama_peer.py", path, *shape]
    through = shlex.split(args.through)
    sides = {"tokenmill": ours, "llama.cpp": theirs}
    if args.ik:
        ik = [sys.executable, HERE / "ik_peer.py", path, *shape, "--programs", args.ik]
        sides["ik_llama.cpp"] = ik
    if args.openvino:
        sides["OpenVINO"] = [args.openvino, HERE / "openvino_peer.py", path, *shape]
    return {name: [*through, *map(str, command)] for name, command in sides.items()}


def main():
    args = arguments()
    rows, raw, low, disturbed = [], {}, [], 0.0
    columns = ["llama.cpp"] + ["ik_llama.cpp"] * bool(args.ik) + ["OpenVINO"] * bool(args.openvino)
    for name in args.model:
        seen, other = interleave(commands(models.path_of(name), args), args.rounds, name)
        disturbed = max(disturbed, other)
        raw[name] = seen
        peers = {peer: rates for peer, rates in seen.items() if peer != "tokenmill"}
        for what, ours in seen["tokenmill"].items():
            middle = statistics.median(ours)
            ratio = middle / statistics.median(seen["llama.cpp"][what])
            best = max(peers, key=lambda peer: statistics.median(peers[peer][what]))
            of_best = middle / statistics.median(peers[best][what])
            cells = [cell(peers[peer][what]) if peer in peers else "cannot load it" for peer in columns]
            rows.append(f"| {name} | {what} | {cell(ours)} | {' | '.join(cells)} | {ratio:.2f} | {of_best:.2f} ({best}) |")
            if args.floor and ratio < args.floor:
                low.append(f"{name}, {what}: {ratio:.2f} is below {args.floor}")
    print(f"Tokens per second, {args.threads} threads, {args.rounds} interleaved rounds.")
    print("Median [min..max] of the rounds, and the ratios of the medians.\n")
    print(f"| model | what | tokenmill | {' | '.join(columns)} | to llama.cpp | to the best |")
    print("| --- " * (5 + len(columns)) + "|")
    print("\n".join(rows))
    print(f"\nOther work took at most {disturbed * 100:.0f} % of the CPUs just before a run.")
    if disturbed > QUIET:
        print("NOT QUIET: these figures say more about the other work than about the programs.")
    if args.save:
        args.save.write_text(json.dumps(raw, indent=1) + "\n")
    if low:
        sys.exit("\n".join(low))


if __name__ == "__main__":
    main()
