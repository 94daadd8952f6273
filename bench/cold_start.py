#!/usr/bin/env python3
"""Cold start: from the start of the process to /ready saying 200, the model file in the page cache.

Runs --rounds starts after one that warms the cache; prints the median and all of them. The exit
code is 1 where the median is above --limit seconds.
"""

import argparse
import pathlib
import statistics
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "tests"), str(HERE.parent / "tests" / "oracle")]
import mill  # noqa: E402
import models  # noqa: E402


def start_once(binary, path, flags):
    begin = time.perf_counter()
    with mill.serve(binary, path, *flags):
        return time.perf_counter() - begin


@mill.ends_with_a_sentence
def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "model", nargs="?", default="smollm2", help="a short name or a GGUF file (smollm2)"
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--limit", type=float, default=0.5, help="seconds (0.5)")
    parser.add_argument("--mill", help="the tokenmill program (build/release)")
    parser.add_argument(
        "--flag", action="append", default=[], help="a further flag of serve; repeatable"
    )
    args = parser.parse_args()
    binary, path = models.binary(args.mill), models.path_of(args.model)
    path.read_bytes()
    times = [start_once(binary, path, args.flag) for _ in range(args.rounds + 1)][1:]
    median = statistics.median(times)
    every = ", ".join(f"{seconds:.3f}" for seconds in times)
    print(f"{path.name}: ready after {median:.3f} s (median of {every})")
    sys.exit(0 if median <= args.limit else 1)


if __name__ == "__main__":
    main()
