#!/usr/bin/env python3
"""Can one tenant tell what another has asked? By the usage and by the clock it must not.

In each round ann asks a prompt that nobody has asked; then, in random order, bob asks the same prompt, bob asks a fresh one, and ann
asks hers again. Ann's second must be cached, and quicker; neither of bob's may be cached, and the times of the two must come from
one distribution (two-sample Kolmogorov-Smirnov test, p > 0.01). Exit 1 otherwise.
"""

import argparse
import contextlib
import json
import math
import pathlib
import random
import statistics
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "oracle")]
import mill  # noqa: E402
import models  # noqa: E402


def ask(connection, model, key, prompt):
    """(seconds to the first and only token, cached tokens)"""
    body = json.dumps({"model": model, "prompt": prompt, "max_tokens": 1, "temperature": 0})
    begin = time.perf_counter()
    connection.request("POST", "/v1/completions", body, {"Content-Type": "application/json", "Authorization": f"Bearer {key}"})
    reply = connection.getresponse()
    text = reply.read().decode()
    seconds = time.perf_counter() - begin
    if reply.status != 200:
        raise mill.Failed(f"/v1/completions gave {reply.status}: {text[:300]}")
    return seconds, json.loads(text)["usage"]["prompt_tokens_details"]["cached_tokens"]


def ks_p_value(a, b):
    """Of the two-sample Kolmogorov-Smirnov test, by its limit with Stephens's correction."""
    values = sorted(set(a) | set(b))
    share = lambda sample, x: sum(v <= x for v in sample) / len(sample)
    distance = max(abs(share(a, x) - share(b, x)) for x in values)
    root = math.sqrt(len(a) * len(b) / (len(a) + len(b)))
    scaled = (root + 0.12 + 0.11 / root) * distance
    if scaled < 0.2:
        return 1.0
    return min(1.0, 2 * sum((-1) ** (k - 1) * math.exp(-2 * k * k * scaled * scaled) for k in range(1, 101)))


def drive(server, args):
    model = server.model()
    rng = random.Random(args.seed)
    fresh_prompt = lambda: [rng.randrange(1000, 20000) for _ in range(args.prompt)]
    again, other, fresh = [], [], []
    wrong = []
    with contextlib.closing(server.connect()) as connection:
        for _ in range(3):
            ask(connection, model, "warm", fresh_prompt())
        for _ in range(args.rounds):
            prompt = fresh_prompt()
            if ask(connection, model, "ann", prompt)[1]:
                wrong.append("a prompt that nobody had asked was cached")
            turns = [("ann", prompt, again), ("bob", prompt, other), ("bob", fresh_prompt(), fresh)]
            rng.shuffle(turns)
            for key, asked, times in turns:
                seconds, cached = ask(connection, model, key, asked)
                times.append(seconds)
                if (cached > args.prompt // 2) != (key == "ann"):
                    wrong.append(f"{key} was told of {cached} cached tokens of {args.prompt}")
    median = {name: statistics.median(times) * 1e3 for name, times in (("again", again), ("other", other), ("fresh", fresh))}
    p = ks_p_value(other, fresh)
    print(f"{args.rounds} rounds of {args.prompt} tokens: one's own again {median['again']:.1f} ms, another's {median['other']:.1f} ms, "
          f"nobody's {median['fresh']:.1f} ms; p = {p:.3f}")
    if p <= 0.01:
        wrong.append("the time tells a prompt that another tenant has asked")
    if median["again"] > 0.5 * median["fresh"]:
        wrong.append("a cached prompt is not quicker")
    return wrong


@mill.ends_with_a_sentence
def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", default="smollm2", help="a short name or a GGUF file (smollm2)")
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--prompt", type=int, default=512, help="tokens of a prompt (512)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--mill", help="the tokenmill program (build/release)")
    parser.add_argument("--url", help="a server that runs already")
    args = parser.parse_args()
    source = mill.at(args.url) if args.url else mill.serve(models.binary(args.mill), models.path_of(args.model))
    with source as server:
        wrong = drive(server, args)
    for sentence in wrong:
        print(sentence)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
