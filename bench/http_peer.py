#!/usr/bin/env python3
"""Tokens per second over HTTP beside llama-server, on the same file, with the same client.

Each round starts a server, warms it, runs a closed loop of --clients at it and stops it, first the
one program, then the other (and the other way round in the next round). Prompts are token ids, other
ones in every round, so that nothing is shared and no cache helps; answers are as long as asked on
both sides. llama-server gets as many slots as there are clients, room for all of them and no prompt
cache in memory (it would only be written).
"""

import statistics
import sys

import load
from load import compare, mill, models


def sides(args, path, ours_only=False):
    context = args.clients * (args.input + args.output + 64)
    ours = lambda: load.ours(args, path, "--max-batch", str(max(32, args.clients)))  # noqa: E731
    if ours_only:
        return {"tokenmill": ours}
    program = load.llama_server(args.llama_server)
    flags = ["-t", args.threads, "-np", args.clients, "-c", context, "-cram", 0, "--no-webui"]
    flags += args.llama_flag
    return {"tokenmill": ours, "llama-server": lambda: load.theirs(program, path, *flags)}


def measure(args, start, seed):
    shape = {
        "clients": args.clients,
        "input": args.input,
        "output": args.output,
        "vocabulary": load.VOCABULARY,
        "seed": seed,
    }
    with start() as url:
        return load.run(
            args, url, requests=args.requests or 4 * args.clients, warmup=args.clients, **shape
        )


def row(name, points):
    def of(*keys, times=1.0, digits=1):
        values = []
        for point in points:
            for key in keys:
                point = point[key]
            values.append(point * times)
        return load.cell(values, digits)

    return (
        f"| {name} | {of('completion_tokens_per_second')} | "
        f"{of('ttft_seconds', 'p50', times=1000, digits=0)} | "
        f"{of('itl_seconds', 'p50', times=1000)} | {of('itl_seconds', 'p99', times=1000)} |"
    )


@mill.ends_with_a_sentence
def main():
    parser = load.parser(__doc__)
    add = parser.add_argument
    add("--llama-server", help="the llama-server program ($LLAMA_SERVER, or the one on PATH)")
    add("--llama-flag", action="append", default=[], help="a further flag of it; repeatable")
    add("--ours-only", action="store_true", help="leave llama-server out")
    add("--clients", type=int, default=16)
    add("--input", type=int, default=128)
    add("--output", type=int, default=64)
    add("--requests", type=int, default=0, help="of a round (4 for each client)")
    add("--floor", type=float, help="fail when the ratio of medians is below this")
    args = parser.parse_args()
    path = models.path_of(args.model)
    programs = sides(args, path, args.ours_only)
    seen, disturbed = {name: [] for name in programs}, 0.0
    for number in range(args.rounds):
        order = list(programs) if number % 2 == 0 else list(reversed(programs))
        for name in order:
            disturbed = max(disturbed, compare.busy())
            point = measure(args, programs[name], seed=number + 1)
            if point["shortened"]:
                raise mill.Failed(f"{name}: {point['shortened']} answers were too short")
            seen[name].append(point)
            print(f"round {number + 1} of {args.rounds}, {name} done", file=sys.stderr)
    print(
        f"{path.name}, {args.threads} threads, {args.clients} clients, prompts of {args.input} "
        f"tokens, answers of {args.output}, {args.rounds} interleaved rounds: median [min..max].\n"
    )
    print("| server | generated tokens/s | TTFT p50 ms | ITL p50 ms | ITL p99 ms |")
    print("| --- | --- | --- | --- | --- |")
    medians = {}
    for name, points in seen.items():
        medians[name] = statistics.median(p["completion_tokens_per_second"] for p in points)
        print(row(name, points))
    load.finish(args, seen, disturbed)
    if "llama-server" in medians:
        ratio = medians["tokenmill"] / medians["llama-server"]
        print(f"\ntokenmill generates {ratio:.2f} times as many tokens per second.")
        if args.floor and ratio < args.floor:
            sys.exit(f"{ratio:.2f} is below {args.floor}")


if __name__ == "__main__":
    main()
