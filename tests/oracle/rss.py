#!/usr/bin/env python3
"""Memory under load: RSS at --streams streams of --context tokens, and what it is made of.

Allowed is the model file (mapped), the KV memory in use at its peak as /metrics reports it, and
--over MB more. KV memory in use is that of the blocks that have an owner: what is reserved and
never touched costs no memory and excuses none. RSS is the largest VmRSS seen.
The exit code is 1 where RSS is above what is allowed, or where the streams never ran all together.
"""

import argparse
import pathlib
import sys
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE)]
import mill  # noqa: E402
import models  # noqa: E402

MB = 1e6


def memory(pid):
    """{VmRSS, RssAnon, RssFile} of a process, bytes."""
    found = {}
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        name, _, value = line.partition(":")
        if name in ("VmRSS", "RssAnon", "RssFile", "VmHWM"):
            found[name] = int(value.split()[0]) * 1024
    return found


class Watch:
    """The largest memory and the most KV memory in use seen so far."""

    def __init__(self, server):
        self.server, self.pid = server, server.process.pid
        self.peak, self.kv, self.running = memory(self.pid), 0.0, 0
        self.look()

    def look(self):
        self.peak = max(self.peak, memory(self.pid), key=lambda seen: seen["VmRSS"])
        metrics = self.server.metrics()
        total = lambda name: sum(v for key, v in metrics.items() if key.split("{")[0] == name)
        self.reserved = total("tokenmill_kv_bytes")
        if not self.reserved:
            raise mill.Failed("/metrics has no tokenmill_kv_bytes")
        self.kv = max(self.kv, total("tokenmill_kv_bytes_owned"))
        self.running = max(self.running, total("tokenmill_sequences_running"))


def stream(server, body, faults):
    try:
        connection, events = server.stream("/v1/completions", body, timeout=900)
        for _ in events:
            pass
        connection.close()
    except Exception as error:  # the thread's result; the main thread reports it
        faults.append(f"{type(error).__name__}: {error}")


@mill.ends_with_a_sentence
def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "model", nargs="?", default="smollm2", help="a short name or a GGUF file (smollm2)"
    )
    parser.add_argument("--streams", type=int, default=16)
    parser.add_argument(
        "--context", type=int, default=1024, help="tokens of prompt and answer together (1024)"
    )
    parser.add_argument("--answer", type=int, default=64, help="of these, generated (64)")
    parser.add_argument(
        "--over", type=float, default=100, help="MB beyond file and KV that are allowed (100)"
    )
    parser.add_argument(
        "--never",
        type=int,
        nargs="*",
        default=[0, 2],
        help="end tokens, biased away, so that all answers are long (0 2: smollm2)",
    )
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--mill", help="the tokenmill program (build/release)")
    parser.add_argument(
        "--flag", action="append", default=[], help="a further flag of serve; repeatable"
    )
    args = parser.parse_args()
    path = models.path_of(args.model)
    flags = ["--threads", str(args.threads), *args.flag]
    with mill.serve(models.binary(args.mill), path, *flags) as server:
        model, faults, threads = server.model(), [], []
        watch = Watch(server)
        start = watch.peak
        for number in range(args.streams):
            # Other ids in every stream, so that no prefix is shared.
            count = args.context - args.answer
            prompt = [1000 + (number * 7919 + k * 31) % 20000 for k in range(count)]
            body = {"model": model, "prompt": prompt, "max_tokens": args.answer, "temperature": 0}
            body["logit_bias"] = {str(token): -100 for token in args.never}
            threads.append(threading.Thread(target=stream, args=(server, body, faults)))
            threads[-1].daemon = True
            threads[-1].start()
        while any(thread.is_alive() for thread in threads):
            watch.look()
            time.sleep(0.02)
    if faults:
        sys.exit(f"{len(faults)} streams failed, the first: {faults[0]}")
    file, rss, kv = path.stat().st_size, watch.peak["VmRSS"], watch.kv
    anonymous, mapped = watch.peak["RssAnon"] / MB, watch.peak["RssFile"] / MB
    print(
        f"at rest {start['VmRSS'] / MB:.1f} MB; at {watch.running:.0f} streams of {args.context} "
        f"tokens {rss / MB:.1f} MB (anonymous {anonymous:.1f}, file {mapped:.1f})"
    )
    print(
        f"= file {file / MB:.1f} MB + KV in use {kv / MB:.1f} MB (of {watch.reserved / MB:.0f} "
        f"reserved) + {(rss - file - kv) / MB:.1f} MB more; allowed are {args.over:.0f} more"
    )
    if watch.running < args.streams:
        sys.exit(f"only {watch.running:.0f} of {args.streams} streams ever ran together")
    sys.exit(0 if rss <= file + kv + args.over * MB else 1)


if __name__ == "__main__":
    main()
