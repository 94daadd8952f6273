#!/usr/bin/env python3
"""Speed of llama.cpp (llama-cpp-python's own library) on one model file, as one JSON object.

Prefill: one prompt of --prompt tokens in one batch, tokens per second.
Decode: --batch sequences with --context tokens each, then --gen steps of one llama_decode for all
of them; generated tokens per second, from the median step. The context is computed once and copied
to the other sequences, which have a cache of their own each (as `tokenmill bench` does it). Logits
of every sequence are computed at every step; nothing is sampled. Weight repacking, KV cache (f16) and flash attention are llama.cpp's
defaults.
The JSON has the shape that `tokenmill bench --json` prints.
"""

import argparse
import json
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tests" / "oracle"))
import llama  # noqa: E402


def some_tokens(np, count, n_vocab, seed):
    return np.random.default_rng(seed).integers(0, n_vocab, count)


def prefill(path, tokens, threads, repeat):
    """The median of `repeat` runs, after one that warms up."""
    with llama.Peer(
        path, context=max(512, tokens), batch=max(512, tokens), threads=threads
    ) as peer:
        prompt = some_tokens(peer.np, tokens, peer.n_vocab, 1)
        rates = []
        for _ in range(repeat + 1):
            peer.clear()
            peer.fill(prompt, range(tokens))
            start = time.perf_counter()
            peer.run()
            rates.append(tokens / (time.perf_counter() - start))
        return sorted(rates[1:])[repeat // 2]


def decode(path, batch, context, steps, threads):
    room = (context + steps + 255) // 256 * 256  # per sequence, the granule of llama.cpp's cache
    with llama.Peer(path, context=room * batch, sequences=batch, threads=threads) as peer:
        prompt = some_tokens(peer.np, context, peer.n_vocab, 2)
        for start in range(0, context, peer.limit):
            part = prompt[start : start + peer.limit]
            peer.fill(part, range(start, start + len(part)))
            peer.run()
        for sequence in range(1, batch):
            peer.copy_sequence(0, sequence)
        sequences = list(range(batch))
        ids = some_tokens(peer.np, steps * batch, peer.n_vocab, 1).reshape(steps, batch)
        seconds = []
        for step in range(steps):
            peer.fill(ids[step], [context + step] * batch, sequences, outputs="all")
            start = time.perf_counter()
            peer.run()
            seconds.append(time.perf_counter() - start)
        return batch / sorted(seconds)[steps // 2]


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", help="a GGUF file")
    parser.add_argument("--prompt", type=int, default=512, help="tokens of the prefill (512; 0: none)")
    parser.add_argument("--gen", type=int, default=64, help="decode steps (64)")
    parser.add_argument(
        "--context", type=int, default=128, help="tokens in each sequence before the steps (128)"
    )
    parser.add_argument("--batch", default="1,8,32", help="batch sizes of the decode (1,8,32)")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument(
        "--repeat", type=int, default=3, help="prefill runs, of which the median counts (3)"
    )
    parser.add_argument(
        "--json", action="store_true", help="accepted for symmetry; the output is always JSON"
    )
    args = parser.parse_args()
    out = {"engine": llama.version(), "model": args.model, "threads": args.threads}
    out["prefill"], out["decode"] = [], []
    if args.prompt:
        rate = prefill(args.model, args.prompt, args.threads, args.repeat)
        out["prefill"].append({"tokens": args.prompt, "tokens_per_second": round(rate, 2)})
    for batch in (int(part) for part in args.batch.split(",")):
        rate = decode(args.model, batch, args.context, args.gen, args.threads)
        out["decode"].append(
            {"batch": batch, "context": args.context, "tokens_per_second": round(rate, 2)}
        )
    print(json.dumps(out))


if __name__ == "__main__":
    main()
