#!/usr/bin/env python3
"""What one tenant's flood does to another's time to the first token.

    flood.py MODEL.gguf [--mill PROGRAM] [--seconds 40] [--rounds 3] [--clients 2] [--flood 50] [--flag FLAG …]

Two tenants of equal weight. One always has --clients requests at a time; the other has as many, and then --flood times as
many. Prints the first one's time to the first token in both cases, and how many of the flood's requests were turned away.
"""
import argparse
import http.client
import json
import pathlib
import random
import re
import statistics
import subprocess
import tempfile
import threading
import time
import urllib.parse

import gateway

WORDS = "mill grain stone wheel water flour bread river wind sail field harvest sack cart road town oven dough".split()


def ask(url, key, seed):
    """Seconds to the first token; None where it was turned away, with how long to stay away."""
    prompt = " ".join(random.Random(seed).choices(WORDS, k=100))
    body = {"model": "bench", "max_tokens": 32, "stream": True, "messages": [{"role": "user", "content": prompt}]}
    connection = http.client.HTTPConnection(urllib.parse.urlsplit(url).netloc, timeout=120)
    begun = time.monotonic()
    connection.request("POST", "/v1/chat/completions", json.dumps(body), {"Authorization": f"Bearer {key}"})
    answer = connection.getresponse()
    if answer.status != 200:
        answer.read()
        connection.close()
        return None, float(answer.getheader("Retry-After", "1"))
    first = None
    for line in answer:
        if first is None and b'"content":"' in line and b'"content":""' not in line:
            first = time.monotonic() - begun
    connection.close()
    return first, 0


def keep_asking(url, key, until, found, refused, name):
    turn = 0
    while time.monotonic() < until:
        turn += 1
        first, away = ask(url, key, hash((name, turn, until)))
        if first is not None:
            found.append(first)
        elif away:
            refused.append(away)
            time.sleep(min(away, max(until - time.monotonic(), 0)))


def run(mill, keys, clients, seconds):
    found, refused = [[], []], [[], []]
    until = time.monotonic() + seconds
    threads = [
        threading.Thread(target=keep_asking, args=(mill.url, keys[who], until, found[who], refused[who], (who, i)))
        for who in (0, 1)
        for i in range(clients[who])
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found, refused


def percentile(values, share):
    return sorted(values)[min(int(len(values) * share), len(values) - 1)]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--mill", default=str(gateway.ROOT / "build/release/src/app/tokenmill"))
    parser.add_argument("--seconds", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--clients", type=int, default=2)
    parser.add_argument("--flood", type=int, default=50)
    parser.add_argument("--flag", action="append", default=[], help="a further flag of serve; repeatable")
    args = parser.parse_args()
    args.profile, args.ledger, args.vocabulary = args.model, None, None
    calm, flooded = [], []
    with tempfile.TemporaryDirectory() as name:
        mill = gateway.Mill(args, pathlib.Path(name), True)
        admin = re.search(r"sk-admin-\w+", (pathlib.Path(name) / "out").read_text())[0]
        try:
            keys = [mill.key, gateway.make_tenant(mill.url, admin, "second")]
            run(mill, keys, [args.clients, args.clients], 3)  # warm
            for _ in range(args.rounds):
                for many, kept in ((1, calm), (args.flood, flooded)):
                    found, refused = run(mill, keys, [args.clients, args.clients * many], args.seconds)
                    kept.append([percentile(found[0], share) * 1e3 for share in (0.5, 0.99)])
                    print(
                        f"the other with {args.clients * many:4} clients: p50 {kept[-1][0]:7.1f} ms  p99 {kept[-1][1]:7.1f} ms"
                        f"  of {len(found[0])}; the other {len(found[1])} answered, {len(refused[1])} turned away,"
                        f" {len(refused[0])} of ours"
                    )
        finally:
            mill.close()
    for i, what in enumerate(("p50", "p99")):
        before, after = (statistics.median(r[i] for r in rounds) for rounds in (calm, flooded))
        print(f"{what}: {before:.1f} -> {after:.1f} ms, {100 * (after / before - 1):+.1f} %")


if __name__ == "__main__":
    main()
