#!/usr/bin/env python3
"""Perplexity of tokenmill beside llama.cpp's on the first tokens of a text.

Windows are cut and scored as llama.cpp's perplexity tool does it (windows.py). Prints both figures;
the exit code is 1 where they are more than --within percent apart, or where the two programs cut
different numbers of windows. llama.cpp's figure is kept in --lab.
"""

import argparse
import hashlib
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import llama  # noqa: E402
import mill  # noqa: E402
import models  # noqa: E402
import windows  # noqa: E402


def theirs(path, text, args):
    """(llama.cpp's report, the bytes that were run), from the lab where it was made before."""
    what = f"{path.name} {path.stat().st_size} {args.tokens} {args.ctx}"
    key = hashlib.sha256(what.encode() + text).hexdigest()[:16]
    file = args.lab / f"perplexity-{key}.json"
    if file.is_file():
        report = json.loads(file.read_text())
        return report, text[: report["bytes"]]
    with llama.Peer(path, context=args.ctx, batch=args.ctx, threads=args.threads) as peer:
        part = windows.cut(peer, text, args.tokens)
        report = windows.peer_perplexity(peer, part, args.ctx) | {"bytes": len(part)}
    args.lab.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(report))
    return report, part


def judge(name, text, args):
    """Prints one line; True where the two are too far apart."""
    path = models.path_of(name)
    peer, part = theirs(path, text, args)
    line = f"{name}, {args.text}, {peer['windows']} windows of {args.ctx}: "
    line += f"llama.cpp {peer['perplexity']:.4f}"
    if args.peer_only:
        print(line, flush=True)
        return False
    ours = windows.our_perplexity(models.binary(args.mill), path, part, args)
    off = (ours["perplexity"] / peer["perplexity"] - 1) * 100
    bad = not abs(off) <= args.within or ours["windows"] != peer["windows"]
    line += f", tokenmill {ours['perplexity']:.4f} over {ours['windows']} windows, {off:+.3f} %"
    print(line + ("  MISMATCH" if bad else ""), flush=True)
    return bad


@mill.ends_with_a_sentence
def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("model", nargs="*", default=list(models.FILES), help="short names or GGUF files (all 3)")
    add("--text", default="en", help="en (wikitext), zh, or a file (en)")
    add("--tokens", type=int, default=20000, help="how much of the text (20000)")
    add("--ctx", type=int, default=512)
    add("--within", type=float, default=0.5, help="percent (0.5)")
    add("--threads", type=int, default=2)
    add("--mill", help="the tokenmill program (build/release)")
    add("--peer-only", action="store_true", help="only llama.cpp's figures")
    models.add_lab(parser)
    args = parser.parse_args()
    llama.require()
    text = windows.text_of(args.text)
    bad = sum([judge(name, text, args) for name in args.model])
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
