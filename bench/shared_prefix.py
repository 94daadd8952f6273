#!/usr/bin/env python3
"""Time to first token when all prompts begin alike, with the prefix cache and without.

Every prompt is --prefix tokens that all share and --own of its own. One request goes first, then a
closed loop of --clients. Without the cache means: each request with a cache salt of its own, so that
none may use another's prefix (or, with --off-by FLAG=VALUE, a server that is started with that flag).
"""

import statistics
import sys

import load
from load import compare, mill, models


def measure(args, path, cached, seed):
    off = args.off_by.split("=", 1) if args.off_by and not cached else []
    flags = [f"--{off[0]}", off[1]] if off else []
    with load.ours(args, path, *flags) as url:
        return load.run(
            args,
            url,
            clients=args.clients,
            requests=args.requests or 2 * args.clients,
            warmup=1,
            shared_prefix=args.prefix,
            input=args.prefix + args.own,
            output=args.output,
            unique_salts=not cached and not off,
            vocabulary=load.VOCABULARY,
            seed=seed,
        )


@mill.ends_with_a_sentence
def main():
    parser = load.parser(__doc__)
    add = parser.add_argument
    add("--clients", type=int, default=16)
    add("--prefix", type=int, default=2048, help="tokens that all prompts share (2048)")
    add("--own", type=int, default=32, help="tokens of each prompt's own (32)")
    add("--output", type=int, default=16)
    add("--requests", type=int, default=0, help="of a round (2 for each client)")
    add("--off-by", help="switch the cache off by this flag of serve, like prefix-cache=off")
    add("--floor", type=float, help="fail when TTFT is not so many times as short")
    args = parser.parse_args()
    path = models.path_of(args.model)
    seen, disturbed = {True: [], False: []}, 0.0
    for number in range(args.rounds):
        for cached in (True, False) if number % 2 == 0 else (False, True):
            disturbed = max(disturbed, compare.busy())
            seen[cached].append(measure(args, path, cached, number + 1))
            print(f"round {number + 1} of {args.rounds}, cached: {cached}", file=sys.stderr)
    print(
        f"{path.name}, {args.threads} threads, {args.clients} clients, {args.prefix} shared tokens and "
        f"{args.own} own, {args.rounds} interleaved rounds: median [min..max].\n"
    )
    print("| prefix cache | TTFT p50 ms | TTFT p99 ms | prompt tokens cached |\n| --- | --- | --- | --- |")
    middle = {}
    for cached, points in seen.items():
        p50 = [point["ttft_seconds"]["p50"] * 1000 for point in points]
        p99 = [point["ttft_seconds"]["p99"] * 1000 for point in points]
        share = [100 * point["cached_tokens"] / point["prompt_tokens"] for point in points]
        middle[cached] = statistics.median(p50)
        name = "with" if cached else "without"
        print(f"| {name} | {load.cell(p50)} | {load.cell(p99)} | {load.cell(share, 0)} % |")
    ratio = middle[False] / middle[True]
    print(f"\nTTFT p50 is 1/{ratio:.1f} with the cache.")
    load.finish(args, {"with": seen[True], "without": seen[False]}, disturbed)
    if args.floor and ratio < args.floor:
        sys.exit(f"{ratio:.1f} is below {args.floor}")


if __name__ == "__main__":
    main()
