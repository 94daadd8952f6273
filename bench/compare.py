#!/usr/bin/env python3
"""Speed of tokenmill beside llama.cpp on the same files, from one interleaved run.

Each round runs `tokenmill bench --json` and llama_peer.py one after the other (and the other way
round in the next round), so that both meet the same weather. With --floor R the exit code is 1 when
a ratio is below R.
"""

import argparse
import json
import pathlib
import shlex
import statistics
import subprocess
import sys
import time

QUIET = 0.1  # above this share of other work the table is marked
HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests" / "oracle"))
import models  # noqa: E402


def busy(seconds=0.5):
    """The share of all CPUs that other work takes now: 0 on a quiet machine."""

    def ticks():
        fields = pathlib.Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]
        values = [int(field) for field in fields]
        return sum(values), values[3] + values[4]  # all, idle and waiting for a disk

    all_before, idle_before = ticks()
    time.sleep(seconds)
    all_after, idle_after = ticks()
    return 1 - (idle_after - idle_before) / max(1, all_after - all_before)


def measure(command):
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode == models.SKIP:
        sys.exit(models.SKIP)
    if done.returncode != 0:
        sys.exit(f"{shlex.join(command)} ended with {done.returncode}")
    report = json.loads(done.stdout)
    rates = {f"prefill {row['tokens']}": row["tokens_per_second"] for row in report["prefill"]}
    rates |= {f"decode, batch {row['batch']}": row["tokens_per_second"] for row in report["decode"]}
    return rates


def interleave(sides, rounds, note):
    """({side: {what: [rate of each round]}}, the most other work seen before a run).

    The order of the sides turns round every round.
    """
    seen, disturbed = {name: {} for name in sides}, 0.0
    for number in range(rounds):
        order = list(sides) if number % 2 == 0 else list(reversed(sides))
        for name in order:
            disturbed = max(disturbed, busy())
            for what, rate in measure(sides[name]).items():
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
    add("--batch", default="1,8,32")
    add("--floor", type=float, help="fail when a ratio of medians is below this")
    add("--through", default="", help="start every run through this, e.g. 'taskset -c 0,1'")
    add("--save", type=pathlib.Path, help="write every rate of every round as JSON")
    return parser.parse_args()


def commands(path, args):
    """{side: command}"""
    shape = ["--prompt", args.prompt, "--gen", args.gen, "--batch", args.batch]
    shape += ["--threads", args.threads, "--json"]
    ours = [models.binary(args.mill), "bench", path, *shape]
    theirs = [sys.executable, HERE / "llama_peer.py", path, *shape]
    through = shlex.split(args.through)
    return {
        "tokenmill": [*through, *map(str, ours)],
        "llama.cpp": [*through, *map(str, theirs)],
    }


def main():
    args = arguments()
    rows, raw, low, disturbed = [], {}, [], 0.0
    for name in args.model:
        seen, other = interleave(commands(models.path_of(name), args), args.rounds, name)
        disturbed = max(disturbed, other)
        raw[name] = seen
        for what, theirs in seen["llama.cpp"].items():
            ours = seen["tokenmill"][what]
            ratio = statistics.median(ours) / statistics.median(theirs)
            rows.append(f"| {name} | {what} | {cell(ours)} | {cell(theirs)} | {ratio:.2f} |")
            if args.floor and ratio < args.floor:
                low.append(f"{name}, {what}: {ratio:.2f} is below {args.floor}")
    print(f"Tokens per second, {args.threads} threads, {args.rounds} interleaved rounds.")
    print("Median [min..max] of the rounds, and the ratio of the medians.\n")
    print("| model | what | tokenmill | llama.cpp | ratio |\n| --- | --- | --- | --- | --- |")
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
