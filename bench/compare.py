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

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests" / "oracle"))
import models  # noqa: E402


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
    """{side: {what: [rate of each round]}}; the order of the sides turns round every round."""
    seen = {name: {} for name in sides}
    for number in range(rounds):
        order = list(sides) if number % 2 == 0 else list(reversed(sides))
        for name in order:
            for what, rate in measure(sides[name]).items():
                seen[name].setdefault(what, []).append(rate)
            print(f"{note}: round {number + 1} of {rounds}, {name} done", file=sys.stderr)
    return seen


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
    rows, raw, low = [], {}, []
    for name in args.model:
        seen = interleave(commands(models.path_of(name), args), args.rounds, name)
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
    if args.save:
        args.save.write_text(json.dumps(raw, indent=1) + "\n")
    if low:
        sys.exit("\n".join(low))


if __name__ == "__main__":
    main()
