#!/usr/bin/env python3
"""How far quantized arithmetic is from the truth: ours and llama.cpp's.

The truth is llama.cpp running the file's dequantized weights in F32, with an F32 cache. Both
programs run the quantized file on the same --windows windows of --ctx tokens; for each, the mean
over all positions of KL(truth || run) in nats, how often the best token is the truth's, and the RMS
change of a logit after each row's mean is taken off. The exit code is 1 where our mean KL is above
llama.cpp's times --slack plus --floor. Two programs of equal precision differ by a few percent in
this figure (llama.cpp with and without its repacked kernels does), so --types and --synthetic allow
10 percent and 1e-6 nats.

  kl.py [MODEL …]         the three real models, or the files named
  kl.py --types           smollm2 requantized into every type
  kl.py --synthetic       random models: every architecture in F32, a llama in every type
"""

import argparse
import hashlib
import os
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import llama  # noqa: E402
import make_models  # noqa: E402
import mill  # noqa: E402
import models  # noqa: E402
import windows  # noqa: E402

PART = 32  # positions at a time, so that a vocabulary of 262144 stays small in memory


def compare(np, truth, run):
    """{kl, best, rms} of two f32 [positions, vocabulary]."""
    if truth.shape != run.shape:
        raise SystemExit(f"logits of shape {run.shape}, expected {truth.shape}")
    kl, best, square = 0.0, 0, 0.0
    for start in range(0, len(truth), PART):
        a, b = truth[start : start + PART], run[start : start + PART]
        p, q = llama.log_softmax(np, a), llama.log_softmax(np, b)
        kl += float((np.exp(p) * (p - q)).sum())
        best += int((a.argmax(axis=1) == b.argmax(axis=1)).sum())
        change = (b - b.mean(axis=1, keepdims=True)) - (a - a.mean(axis=1, keepdims=True))
        square += float(np.square(change, dtype=np.float64).sum())
    return {"kl": kl / len(truth), "best": best / len(truth), "rms": (square / truth.size) ** 0.5}


def spread(peers, owns):
    """The standard error of sum(ours) / sum(llama.cpp's), by leaving out one window at a time."""
    a, b, count = [one["kl"] for one in owns], [one["kl"] for one in peers], len(owns)
    ratios = [(sum(a) - x) / (sum(b) - y) for x, y in zip(a, b)]
    mean = sum(ratios) / count
    return ((count - 1) / count * sum((ratio - mean) ** 2 for ratio in ratios)) ** 0.5


def logits_of(path, text, args, kv_f32=False):
    """f32 [ctx, vocabulary] of the first window, from the lab where it was made before."""
    _, np = llama.require()
    stat = path.stat()
    what = f"{path} {stat.st_size} {stat.st_mtime_ns} {args.ctx} {kv_f32}"
    key = hashlib.sha256(what.encode() + text).hexdigest()[:12]
    file = args.lab / f"logits-{path.stem}-{key}.npy"
    if not file.is_file():
        shape = {"context": args.ctx, "batch": args.ctx, "threads": args.threads}
        with llama.Peer(path, kv_f32=kv_f32, **shape) as peer:
            part = file.with_suffix(f".{os.getpid()}.npy")
            np.save(part, peer.window(windows.split(peer, text, args.ctx)[0][0]))
            part.rename(file)
    return np.load(file, mmap_mode="r")


def slices(path, text, args):
    """Pieces from --windows evenly spaced lines of the text, each long enough for two windows."""
    with llama.Peer(path, context=256, batch=256) as peer:
        for number in range(args.windows):
            start = text.rfind(b"\n", 0, len(text) * number // args.windows + 1) + 1
            yield windows.cut(peer, text[start : start + 40 * args.ctx], 2 * args.ctx)


def ours_of(np, path, part, args):
    out = args.lab / f"ours-{os.getpid()}.npy"
    windows.our_perplexity(models.binary(args.mill), path, part, args, logits=out)
    run = np.load(out, mmap_mode="r")
    out.unlink()  # the mapping keeps it until it is read
    return run


def judge(name, path, truth_path, text, args):
    """Prints one line of the table; True where ours is too far off."""
    _, np = llama.require()
    peers, owns = [], []
    for part in slices(path, text, args):
        truth = logits_of(truth_path, part, args, kv_f32=True)
        peers.append(compare(np, truth, logits_of(path, part, args)))
        if not args.peer_only:
            owns.append(compare(np, truth, ours_of(np, path, part, args)))
            if args.each:
                ratio = owns[-1]["kl"] / peers[-1]["kl"]
                print(f"{name}: {peers[-1]['kl']:.6f} {owns[-1]['kl']:.6f} {ratio:.3f}", flush=True)
    peer = {what: sum(one[what] for one in peers) / len(peers) for what in peers[0]}
    if args.peer_only:
        print(f"| {name} | {peer['kl']:.6f} | | {peer['best']:.3f} | | {peer['rms']:.4f} | |")
        return False
    ours = {what: sum(one[what] for one in owns) / len(owns) for what in peer}
    if len(owns) > 1:
        print(f"{name}: {ours['kl'] / peer['kl']:.3f} ± {spread(peers, owns):.3f} of llama.cpp's KL")
    bad = not ours["kl"] <= peer["kl"] * args.slack + args.floor  # a NaN is bad too
    print(
        f"| {name} | {peer['kl']:.6f} | {ours['kl']:.6f} | {peer['best']:.3f} | "
        f"{ours['best']:.3f} | {peer['rms']:.4f} | {ours['rms']:.4f} |{' TOO FAR' if bad else ''}",
        flush=True,
    )
    return bad


def cases(args):
    """[(name, file, its F32 file)]"""
    if args.synthetic:
        made = make_models.make_synthetic(args.lab)
        return [
            (name, path, path if ".F32." in path.name else f32(path, args))
            for name, path in made.items()
        ]
    if args.types:
        made = make_models.make_types(models.path_of("smollm2"), args.lab, "smollm2")
        return [
            (f"smollm2 {name}", path, path if name == "F32" else f32(path, args))
            for name, path in made.items()
        ]
    paths = {name: models.path_of(name) for name in args.model}
    return [(name, path, f32(path, args)) for name, path in paths.items()]


def f32(path, args):
    """The F32 file of a model's dequantized weights, kept in the lab."""
    return make_models.quantize(path, args.lab / f"truth-{path.stem}.F32.gguf", "F32")


def arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("model", nargs="*", default=list(models.FILES), help="short names or GGUF files (all 3)")
    add("--types", action="store_true", help="smollm2 in every type")
    add("--synthetic", action="store_true", help="random models")
    add("--text", default="en", help="en (wikitext), zh, or a file (en)")
    add("--ctx", type=int, default=512)
    add("--windows", type=int, default=1, help="windows spread over the text (1)")
    add("--each", action="store_true", help="print each window: both KLs, and their ratio")
    add("--slack", type=float, help="factor on llama.cpp's KL (1.0; 1.1 for the made models)")
    add("--floor", type=float, help="nats that are always allowed (0; 1e-6)")
    add("--threads", type=int, default=2)
    add("--mill", help="the tokenmill program (build/release)")
    add("--peer-only", action="store_true", help="only llama.cpp's figures")
    models.add_lab(parser)
    args = parser.parse_args()
    made = args.types or args.synthetic
    args.slack = (1.1 if made else 1.0) if args.slack is None else args.slack
    args.floor = (1e-6 if made else 0.0) if args.floor is None else args.floor
    args.lab.mkdir(parents=True, exist_ok=True)
    return args


@mill.ends_with_a_sentence
def main():
    args = arguments()
    llama.require()
    text = windows.text_of(args.text)
    print("Mean KL from the f32 run (nats per token), equal best tokens, RMS change of a logit.\n")
    print(
        "| model | KL llama.cpp | KL ours | best llama.cpp | best ours | RMS llama.cpp | RMS ours |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- |", flush=True)
    bad = sum([judge(*case, text, args) for case in cases(args)])
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
