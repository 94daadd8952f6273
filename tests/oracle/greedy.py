#!/usr/bin/env python3
"""Greedy tokens of tokenmill against llama.cpp's on the same file: 20 prompts, 64 tokens each.

  greedy.py [MODEL …]           llama.cpp runs here (needs llama-cpp-python), then tokenmill
  greedy.py --golden [MODEL …]  llama.cpp's answers come from testdata/goldens (standard library)
  greedy.py --make [MODEL …]    writes those goldens; no tokenmill needed

tokenmill is asked over HTTP (/v1/completions with token ids, temperature 0, logprobs 5). Where its
answer parts from llama.cpp's, the script prints the place, both candidates and the margin between
them in llama.cpp's logits, in an f32 run of the dequantized weights, and in ours; then it goes on
from llama.cpp's token, so that all 64 places are compared.

A parting is a near tie when the margin, llama.cpp's or the f32 run's, is within llama.cpp's own
noise: the 99th percentile of how far its quantized arithmetic moves a best-two margin from the f32
run on the same texts. Any other parting is a bug, and so is a token that is not among llama.cpp's
five best; then the exit code is 1. A golden holds what it takes: prompt ids, answer ids, the five
best of every place with their logprobs in both runs.
"""

import argparse
import base64
import json
import pathlib
import statistics
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import mill  # noqa: E402
import models  # noqa: E402

STEPS = 64  # as in greedy_golden.py, which needs more than the standard library
BEST = 5
GOLDENS = models.ROOT / "testdata" / "goldens"


def written(piece):
    """A token as the completions API writes it: its text, or its bytes if that is not UTF-8."""
    try:
        return piece.decode()
    except UnicodeDecodeError:
        return "bytes:" + "".join(f"\\x{byte:02x}" for byte in piece)


class Ours:
    """tokenmill over HTTP; tokens by id where the server gives ids, else as they are written."""

    def __init__(self, server, golden):
        self.server = server
        self.model = server.model()
        self.written = {
            int(i): written(base64.b64decode(piece)) for i, piece in golden["pieces"].items()
        }

    def ask(self, ids, count):
        """[(token as id or text, {candidate: logprob})] and the finish reason."""
        reply = self.server.post(
            "/v1/completions",
            {
                "model": self.model,
                "prompt": ids,
                "max_tokens": count,
                "temperature": 0,
                "logprobs": BEST,
                "return_token_ids": True,
            },
        )
        choice = reply["choices"][0]
        scores = choice["logprobs"]
        tokens = choice.get("token_ids") or scores["tokens"]
        return list(zip(tokens, scores["top_logprobs"])), choice["finish_reason"]

    def same(self, ours, token):
        return ours == token if isinstance(ours, int) else ours == self.written.get(token)

    def margin(self, scores, first, second):
        a, b = scores.get(self.written[first]), scores.get(self.written[second])
        return None if a is None or b is None else a - b


class Comparison:
    """Places of all answers of one model: how many agree, and how each of the others parts."""

    def __init__(self, golden, side):
        self.golden, self.side = golden, side
        self.limit = golden["noise"]["p99"]
        self.ends = {entry["end"] for entry in golden["prompts"]} - {None}
        self.places = self.partings = self.bugs = 0
        self.drift = []  # (ours, llama.cpp's, f32's) logprob of the choice, where the choice is one

    def answer(self, entry):
        """Compares one answer, after a parting on from llama.cpp's token. True: no parting."""
        before, place, places = self.partings, 0, len(entry["top_ids"])
        self.places += places
        while place < places:
            got, reason = self.side.ask(entry["ids"] + entry["answer"][:place], STEPS - place)
            for ours, scores in got:
                agrees = self.place(entry, place, ours, scores)
                place += 1
                if place == places or not agrees:
                    break
            else:
                self.end(entry, place, reason)
                place += 1
        return self.partings == before

    def place(self, entry, place, ours, scores):
        """One token of ours against llama.cpp's. False: they part."""
        best, theirs = entry["top_ids"][place], entry["top_logprobs"][place]
        truth, side = entry["f32_logprobs"][place], self.side
        rank = next((k for k, token in enumerate(best) if side.same(ours, token)), None)
        if rank == 0 and place < len(entry["answer"]):
            own = scores.get(side.written[best[0]])
            if own is not None:
                self.drift.append((own, theirs[0], truth[0]))
            return True
        if rank is None:
            self.part(entry, place, f"{ours!r}, none of its {BEST} best", bug=True)
            return False
        margin, exact = theirs[0] - theirs[rank], truth[0] - truth[rank]
        own = side.margin(scores, best[0], best[rank])
        own = "?" if own is None else f"{own:+.4f}"
        said = f"{ours!r}; margin: llama.cpp {margin:+.4f}, f32 {exact:+.4f}, ours {own}"
        self.part(entry, place, said, bug=min(margin, exact) > self.limit)
        return False

    def end(self, entry, place, reason):
        """Our answer ended before this place; right if llama.cpp's did too."""
        if entry["end"] is not None and place == len(entry["answer"]):
            return
        best, theirs = entry["top_ids"][place], entry["top_logprobs"][place]
        truth = entry["f32_logprobs"][place]
        margins = [
            min(theirs[0] - theirs[k], truth[0] - truth[k])
            for k, token in enumerate(best)
            if token in self.ends
        ]
        said = f"the end ({reason}); smaller margin to an end token: {margins or 'unknown'}"
        self.part(entry, place, said, bug=not margins or min(margins) > self.limit)

    def part(self, entry, place, said, bug):
        self.partings += 1
        self.bugs += bug
        theirs = self.side.written[entry["top_ids"][place][0]]
        where = f"{entry['name']} ({entry['kind']}), token {place + 1}"
        print(f"  {where}: llama.cpp {theirs!r}, ours {said}: {'BUG' if bug else 'near tie'}")


def compare(name, golden, server):
    """Prints every parting and a summary; the number of bugs."""
    comparison = Comparison(golden, Ours(server, golden))
    whole = sum([comparison.answer(entry) for entry in golden["prompts"]])
    noise = golden["noise"]
    print(
        f"{name}: {whole} of {len(golden['prompts'])} answers equal to the end; "
        f"{comparison.partings} partings in {comparison.places} places, {comparison.bugs} bugs "
        f"(llama.cpp's own noise: median {noise['median']}, p99 {noise['p99']} nats)"
    )
    drift = comparison.drift
    if drift:
        apart = lambda a, b: statistics.fmean(abs(row[a] - row[b]) for row in drift)
        print(
            f"{name}: mean change of a chosen token's logprob over {len(drift)} equal places: "
            f"ours to llama.cpp {apart(0, 1):.4f}, ours to f32 {apart(0, 2):.4f}, "
            f"llama.cpp to f32 {apart(1, 2):.4f} nats"
        )
    return comparison.bugs


def stored_golden(name):
    file = GOLDENS / f"greedy_{name}.json"
    if not file.is_file():
        models.skip(f"no golden {file}")
    golden = json.loads(file.read_text())
    path = models.path_of(name)
    if path.stat().st_size != golden["bytes"]:
        models.skip(f"{path} is not the file that {file.name} was made from")
    return golden


def write_golden(name, golden):
    file = GOLDENS / f"greedy_{name}.json"
    text = json.dumps(golden, separators=(",", ":"))
    file.write_text(text.replace('{"name":', '\n{"name":') + "\n")
    print(f"{file.name}: {file.stat().st_size} bytes")


def arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("model", nargs="*", default=list(models.FILES), help="smollm2, qwen-coder, gemma3 (all)")
    add("--golden", action="store_true", help="llama.cpp's answers come from testdata/goldens")
    add("--make", action="store_true", help="write the goldens and stop")
    add("--mill", help="the tokenmill program (build/release)")
    add("--url", help="a server that runs already, with the one model named")
    add("--threads", type=int, default=2)
    models.add_lab(parser)
    return parser.parse_args()


@mill.ends_with_a_sentence
def main():
    args, bugs = arguments(), 0
    for name in args.model:
        if args.golden:
            golden = stored_golden(name)
        else:
            import greedy_golden  # needs more than the standard library

            golden = greedy_golden.make(name, args.lab, args.threads)
        if args.make:
            write_golden(name, golden)
            continue
        with mill.at_or_serve(args, models.binary, models.path_of(name)) as server:
            bugs += compare(name, golden, server)
    sys.exit(1 if bugs else 0)


if __name__ == "__main__":
    main()
