#!/usr/bin/env python3
"""How streams bear a long prompt that arrives among them.

--streams requests generate; when all do, a prompt of --prompt tokens comes, --rounds times, each
time another one. The gaps between tokens of the streams while it is being computed are held against
the gaps of the same streams before and after: p99 with and without it.
"""

import pathlib
import subprocess
import sys
import tempfile
import time

import load
from load import compare, mill, models


def windows(saved):
    """[start, first token] of each long prompt, on the machine's monotonic clock."""
    spans = []
    for path in saved:
        (record,) = load.records(path)
        if not record["ok"]:
            raise mill.Failed(f"the long prompt failed: {record['failure']}")
        spans.append((record["started"], record["pieces"][0]))
    return spans


def gaps(streams, spans):
    """(gaps while a long prompt is computed, gaps without), while all streams run; seconds."""
    begin = max(stream["pieces"][0] for stream in streams)
    end = min(stream["pieces"][-1] for stream in streams)
    if spans[-1][1] > end:
        raise mill.Failed("the streams ended before the last long prompt was done: raise --output")
    inside, outside = [], []
    for stream in streams:
        for a, b in zip(stream["pieces"], stream["pieces"][1:]):
            if a < begin or b > end:
                continue
            touched = any(a < last and b > first for first, last in spans)
            (inside if touched else outside).append(b - a)
    return inside, outside


def measure(args, url, folder):
    ids = {"vocabulary": load.VOCABULARY}
    streams_file = folder / "streams"
    streams = load.command(
        args,
        url,
        clients=args.streams,
        requests=args.streams,
        input=args.input,
        output=args.output,
        save=streams_file,
        **ids,
    )
    saved = []
    with subprocess.Popen(streams, stdout=subprocess.DEVNULL) as process:
        for number in range(args.rounds):
            time.sleep(args.pause)
            if process.poll() is not None:
                raise mill.Failed("the streams ended too early: raise --output")
            saved.append(folder / f"long{number}")
            load.run(
                args,
                url,
                clients=1,
                requests=1,
                input=args.prompt,
                output=1,
                seed=100 + number,
                save=saved[-1],
                **ids,
            )
        process.wait()
    done = load.records(streams_file)
    for record in done:
        if not record["ok"]:
            raise mill.Failed(f"a stream failed: {record['failure']}")
    return done, windows(saved)


@mill.ends_with_a_sentence
def main():
    parser = load.parser(__doc__)
    add = parser.add_argument
    add("--streams", type=int, default=15)
    add("--prompt", type=int, default=6000, help="tokens of the long prompt (6000)")
    add("--input", type=int, default=64, help="tokens of the streams' prompts (64)")
    add("--output", type=int, default=1500, help="tokens of each stream (1500)")
    add("--pause", type=float, default=3.0, help="seconds before each long prompt (3)")
    add("--ceiling", type=float, help="fail when the ratio is above this")
    args = parser.parse_args()
    path = models.path_of(args.model)
    disturbed = compare.busy()
    with tempfile.TemporaryDirectory() as folder, load.ours(args, path) as url:
        streams, spans = measure(args, url, pathlib.Path(folder))
    inside, outside = gaps(streams, spans)
    print(
        f"{path.name}, {args.threads} threads, {args.streams} streams, {args.rounds} prompts of "
        f"{args.prompt} tokens.\n"
    )
    print("| gaps between tokens | count | p50 ms | p99 ms | max ms |")
    print("| --- | --- | --- | --- | --- |")
    p99 = {}
    for name, values in (("without", outside), ("while it is computed", inside)):
        p99[name] = load.percentile(values, 0.99)
        print(
            f"| {name} | {len(values)} | {load.percentile(values, 0.5) * 1000:.1f} | "
            f"{p99[name] * 1000:.1f} | {max(values) * 1000:.1f} |"
        )
    first = ", ".join(f"{b - a:.2f}" for a, b in spans)
    ratio = p99["while it is computed"] / p99["without"]
    print(f"\np99 ratio: {ratio:.2f}; first token of the long prompts after {first} s")
    raw = {"inside": inside, "outside": outside, "long_prompt_seconds": [b - a for a, b in spans]}
    load.finish(args, raw, disturbed)
    if args.ceiling and ratio > args.ceiling:
        sys.exit(f"{ratio:.2f} is above {args.ceiling}")


if __name__ == "__main__":
    main()
