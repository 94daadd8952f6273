#!/usr/bin/env python3
"""A single stream on text that repeats, with guessed tokens and without.

Asks a chat model to give code back with a small change, and to quote from a text, with "speculate"
true and false in turn on one server. Figures: tokens per second after the first, the median of the
rounds; the share of tokens that were guessed. The answers must be the same to the letter: exit 1
where they aren't.
"""

import json
import pathlib
import statistics
import sys
import tempfile

import load
from load import compare, mill, models

ROOT = load.HERE.parent


def code_edit(args):
    """Lines of a program, to be given back with one name changed."""
    lines = (load.HERE / "compare.py").read_text().splitlines()
    begin = next(i for i, line in enumerate(lines) if line.startswith("def busy("))
    code = "\n".join(lines[begin : begin + args.lines])
    return (
        "Rename the function busy to load_share in this program. Answer with the whole program and "
        f"nothing else.\n```python\n{code}\n```"
    )


def quote(args):
    """Paragraphs, of which one is to be quoted."""
    text = (ROOT / "ARCHITECTURE.md").read_text()
    part = text.split("## Invariants")[1].split("## ")[0].strip()
    return f"Here is a text:\n\n{part}\n\nQuote the whole list word for word."


def measure(args, url, folder, prompts, speculate):
    """{task: (tokens per second after the first, tokens, guessed tokens, text)}"""
    saved = folder / "saved"
    load.run(
        args,
        url,
        clients=1,
        prompts=prompts,
        output=args.output,
        endpoint="chat",
        stop_at_end=True,
        body=json.dumps({"speculate": speculate}),
        save=saved,
    )
    seen = {}
    for name, record in zip(TASKS, load.records(saved)):
        seconds = record["pieces"][-1] - record["pieces"][0]
        tokens = record["completion_tokens"]
        seen[name] = ((tokens - 1) / seconds, tokens, record["accepted_drafts"], record["text"])
    return seen


TASKS = {"code edit": code_edit, "quote": quote}


@mill.ends_with_a_sentence
def main():
    parser = load.parser(__doc__, model="qwen-coder")
    parser.add_argument("--output", type=int, default=400, help="tokens at most (400)")
    parser.add_argument("--lines", type=int, default=30, help="of the program (30)")
    parser.add_argument("--floor", type=float, help="fail when a ratio is below this")
    args = parser.parse_args()
    path = models.path_of(args.model)
    seen, disturbed = {True: [], False: []}, 0.0
    with tempfile.TemporaryDirectory() as name, load.ours(args, path) as url:
        folder = pathlib.Path(name)
        prompts = folder / "prompts"
        prompts.write_text(
            "".join(json.dumps({"prompt": make(args)}) + "\n" for make in TASKS.values())
        )
        for number in range(args.rounds):
            for speculate in (True, False) if number % 2 == 0 else (False, True):
                disturbed = max(disturbed, compare.busy())
                seen[speculate].append(measure(args, url, folder, prompts, speculate))
                print(f"round {number + 1} of {args.rounds}, {speculate}", file=sys.stderr)
    print(f"{path.name}, {args.threads} threads, one stream, {args.rounds} interleaved rounds.\n")
    print("| text | tokens | guessed | tokens/s with | tokens/s without | ratio |")
    print("| --- | --- | --- | --- | --- | --- |")
    trouble = []
    for task in TASKS:
        rates = {side: [one[task][0] for one in rounds] for side, rounds in seen.items()}
        texts = {one[task][3] for rounds in seen.values() for one in rounds}
        _, tokens, guessed, _ = seen[True][0][task]
        ratio = statistics.median(rates[True]) / statistics.median(rates[False])
        print(
            f"| {task} | {tokens} | {100 * guessed / tokens:.0f} % | {load.cell(rates[True])} | "
            f"{load.cell(rates[False])} | {ratio:.2f} |"
        )
        if len(texts) > 1:
            trouble.append(f"{task}: the answers differ")
        if args.floor and ratio < args.floor:
            trouble.append(f"{task}: {ratio:.2f} is below {args.floor}")
    load.finish(args, {str(side): rounds for side, rounds in seen.items()}, disturbed)
    if trouble:
        sys.exit("\n".join(trouble))


if __name__ == "__main__":
    main()
