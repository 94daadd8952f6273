#!/usr/bin/env python3
"""Cold start: from the start of the process to /ready saying 200, the model file in the page cache.

Runs --rounds starts after one that warms the cache; prints the median and all of them. The exit
code is 1 where the median is above --limit seconds.

With --packed-cache the same again with a cache of packed weights, the two kinds of start by turns:
also how long the start took that wrote it, and how large it is. The limit is then for those that
read it.
"""

import argparse
import pathlib
import statistics
import sys
import tempfile
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
    parser.add_argument(
        "--packed-cache", action="store_true", help="with a cache of packed weights, too"
    )
    args = parser.parse_args()
    binary, path = models.binary(args.mill), models.path_of(args.model)
    path.read_bytes()
    if not args.packed_cache:
        times = [start_once(binary, path, args.flag) for _ in range(args.rounds + 1)][1:]
        sys.exit(0 if told(path.name, times) <= args.limit else 1)
    with tempfile.TemporaryDirectory() as folder:
        cached = [*args.flag, "--packed-cache", folder]
        start_once(binary, path, args.flag)
        writing = start_once(binary, path, cached)
        kept = list(pathlib.Path(folder).glob("*.packed"))
        if len(kept) != 1:
            raise mill.Failed(f"the first start kept {len(kept)} files of packed weights, not 1")
        before = kept[0].stat().st_mtime_ns
        without, reading = [], []
        for _ in range(args.rounds):
            without.append(start_once(binary, path, args.flag))
            reading.append(start_once(binary, path, cached))
        if kept[0].stat().st_mtime_ns == before:
            raise mill.Failed("the packed weights were not read")
        told(f"{path.name}, packed at each start", without)
        print(f"{path.name}, first start with the cache: {writing:.3f} s, it wrote {kept[0].stat().st_size:,} bytes")
        median = told(f"{path.name}, packed weights from the cache", reading)
    sys.exit(0 if median <= args.limit else 1)


def told(what, times):
    """Prints the median of `times`, and is it."""
    median = statistics.median(times)
    every = ", ".join(f"{seconds:.3f}" for seconds in times)
    print(f"{what}: ready after {median:.3f} s (median of {every})")
    return median


if __name__ == "__main__":
    main()
