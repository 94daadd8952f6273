#!/usr/bin/env python3
"""Greedy tokens of tokenmill against llama.cpp's on the same file: 20 prompts, 64 tokens each.

  greedy.py [MODEL …]            llama.cpp runs here (needs llama-cpp-python), then tokenmill
  greedy.py --golden [MODEL …]   llama.cpp's answers come from testdata/goldens (standard library only)
  greedy.py --make [MODEL …]     writes those goldens; no tokenmill needed

tokenmill is asked over HTTP (/v1/completions with token ids, temperature 0, logprobs 5). Where its
answer parts from llama.cpp's, the script prints the place, both candidates and the margin between
them in llama.cpp's logits, in an f32 run of the dequantized weights, and in ours; then it goes on
from llama.cpp's token, so that all 64 places are compared.

A parting is a near tie when the margin, llama.cpp's or the f32 run's, is within llama.cpp's own noise:
the 99th percentile of how far its quantized arithmetic moves a best-two margin from the f32 run on
the same texts. Any other parting is a bug, and so is a token that is not among llama.cpp's five best;
then the exit code is 1. A golden holds what it takes: prompt ids, answer ids, the five best of every
place with their logprobs in both runs.
"""

import argparse
import base64
import hashlib
import json
import pathlib
import statistics
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import mill  # noqa: E402
import models  # noqa: E402

STEPS = 64
BEST = 5
GOLDENS = models.ROOT / "testdata" / "goldens"


# ---- llama.cpp's side

def prompt_ids(peer, name, prompt):
    if prompt["kind"] == "chat":
        return peer.tokenize(models.CHAT[name].format(user=prompt["text"]), special=True)
    return peer.tokenize(prompt["text"])


def best_of(np, row):
    """The BEST ids of one row of logits, best first (the lower id first among equals), and their logprobs."""
    near = np.argpartition(-row, 4 * BEST)[:4 * BEST]
    order = near[np.lexsort((near, -row[near]))][:BEST]
    wide = row.astype(np.float64)
    norm = wide.max() + np.log(np.exp(wide - wide.max()).sum())
    return [int(i) for i in order], [round(float(wide[i] - norm), 4) for i in order]


def answer(peer, ids):
    """llama.cpp's greedy answer: ids, the five best of every place, and the end token if it came."""
    peer.clear()
    peer.fill(ids, range(len(ids)))
    peer.run()
    tokens, top_ids, top_logprobs, end = [], [], [], None
    while len(tokens) < STEPS:
        best, logprobs = best_of(peer.np, peer.rows(1)[0])
        top_ids.append(best)
        top_logprobs.append(logprobs)
        if peer.is_end(best[0]):
            end = best[0]
            break
        tokens.append(best[0])
        peer.fill([best[0]], [len(ids) + len(tokens) - 1])
        peer.run()
    return {"answer": tokens, "end": end, "top_ids": top_ids, "top_logprobs": top_logprobs}


def add_truth(truth, entry):
    """Adds the f32 run's logprobs of the same five candidates, on the text that llama.cpp wrote."""
    np = truth.np
    places = len(entry["top_ids"])
    rows = truth.window(entry["ids"] + entry["answer"])[len(entry["ids"]) - 1:][:places].astype(np.float64)
    rows -= rows.max(axis=1, keepdims=True)
    rows -= np.log(np.exp(rows).sum(axis=1, keepdims=True))
    entry["f32_logprobs"] = [[round(float(row[i]), 4) for i in best] for row, best in zip(rows, entry["top_ids"])]


def noise(entries):
    """Changes of the best-two margin between llama.cpp and the f32 run, in nats, over all places."""
    moved = [abs((a[0] - a[1]) - (t[0] - t[1]))
             for entry in entries for a, t in zip(entry["top_logprobs"], entry["f32_logprobs"])]
    moved.sort()
    return {"median": round(statistics.median(moved), 4), "p99": round(moved[len(moved) * 99 // 100], 4),
            "max": round(moved[-1], 4)}


def make(name, lab, threads):
    import llama
    import make_models
    path = models.path_of(name)
    prompts = json.loads((models.ROOT / "testdata" / "prompts.json").read_text())["prompts"]
    entries = []
    with llama.Peer(path, context=1024, threads=threads) as peer:
        for prompt in prompts:
            ids = prompt_ids(peer, name, prompt)
            entries.append({"name": prompt["name"], "kind": prompt["kind"], "ids": ids} | answer(peer, ids))
        used = sorted({i for entry in entries for best in entry["top_ids"] for i in best})
        pieces = {str(i): base64.b64encode(peer.piece(i)).decode() for i in used}
    lab.mkdir(parents=True, exist_ok=True)
    f32 = make_models.quantize(path, lab / f"{name}.F32.gguf", "F32")
    with llama.Peer(f32, context=1024, threads=threads, kv_f32=True) as truth:
        for entry in entries:
            add_truth(truth, entry)
    return {"about": f"llama.cpp's greedy answers, {STEPS} tokens; made by tests/oracle/greedy.py --make",
            "oracle": llama.version().split(";")[0], "model": path.name, "bytes": path.stat().st_size,
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(), "noise": noise(entries),
            "prompts": entries, "pieces": pieces}


# ---- our side

def written(piece):
    """A token as the completions API writes it: its text, or its bytes where they are no whole UTF-8."""
    try:
        return piece.decode()
    except UnicodeDecodeError:
        return "bytes:" + "".join(f"\\x{byte:02x}" for byte in piece)


class Ours:
    """tokenmill over HTTP; knows tokens by id where the server gives ids, else by how they are written."""

    def __init__(self, server, golden):
        self.server = server
        self.model = server.model()
        self.written = {int(i): written(base64.b64decode(piece)) for i, piece in golden["pieces"].items()}

    def ask(self, ids, count):
        """[(token as id or text, {candidate: logprob})] and the finish reason."""
        reply = self.server.post("/v1/completions", {
            "model": self.model, "prompt": ids, "max_tokens": count, "temperature": 0, "logprobs": BEST,
            "return_token_ids": True})
        choice = reply["choices"][0]
        scores = choice["logprobs"]
        tokens = choice.get("token_ids") or scores["tokens"]
        return list(zip(tokens, scores["top_logprobs"])), choice["finish_reason"]

    def same(self, ours, token):
        return ours == token if isinstance(ours, int) else ours == self.written.get(token)

    def margin(self, scores, first, second):
        a, b = scores.get(self.written[first]), scores.get(self.written[second])
        return None if a is None or b is None else a - b


def judge(golden, entry, place, ours, scores, side):
    """One parting: (sentence, is it a bug)."""
    best, logprobs, truth = entry["top_ids"][place], entry["top_logprobs"][place], entry["f32_logprobs"][place]
    where = f"{entry['name']} ({entry['kind']}), token {place + 1}"
    rank = next((k for k, token in enumerate(best) if side.same(ours, token)), None)
    if rank is None or rank == 0:
        return f"{where}: llama.cpp {side.written[best[0]]!r}, ours {ours!r}, not among its {BEST} best: BUG", True
    margin = logprobs[0] - logprobs[rank]
    f32 = truth[0] - truth[rank]
    own = side.margin(scores, best[0], best[rank])
    tie = min(margin, f32) <= golden["noise"]["p99"]
    text = (f"{where}: llama.cpp {side.written[best[0]]!r}, ours {side.written[best[rank]]!r}; margin in nats: "
            f"llama.cpp {margin:+.4f}, f32 {f32:+.4f}, ours {'?' if own is None else f'{own:+.4f}'}: "
            f"{'near tie' if tie else 'BUG'}")
    return text, not tie


def walk(golden, entry, side, drift):
    """Compares one answer place by place: (places compared, sentences of partings, bugs).

    Adds (ours, llama.cpp's, f32's) logprob of llama.cpp's choice to `drift` for every place that agrees.
    """
    said, bugs, place = [], 0, 0
    wanted = entry["answer"]
    places = len(entry["top_ids"])
    while place < places:
        got, reason = side.ask(entry["ids"] + wanted[:place], STEPS - place)
        while place < places:
            if not got:
                ended = entry["end"] is not None and place == len(wanted)
                if not ended:
                    text, bug = judge_end(golden, entry, place, reason, side)
                    said.append(text)
                    bugs += bug
                place += 1
                break
            ours, scores = got.pop(0)
            if place < len(wanted) and side.same(ours, wanted[place]):
                own = scores.get(side.written[wanted[place]])
                if own is not None:
                    drift.append((own, entry["top_logprobs"][place][0], entry["f32_logprobs"][place][0]))
                place += 1
                continue
            text, bug = judge(golden, entry, place, ours, scores, side)
            said.append(text)
            bugs += bug
            place += 1
            break
    return places, said, bugs


def judge_end(golden, entry, place, reason, side):
    """Our answer ended where llama.cpp's went on: a near tie if an end token was close behind."""
    best, logprobs, truth = entry["top_ids"][place], entry["top_logprobs"][place], entry["f32_logprobs"][place]
    ends = {e["end"] for e in golden["prompts"] if e["end"] is not None}
    rank = next((k for k, token in enumerate(best) if token in ends), None)
    margin = None if rank is None else min(logprobs[0] - logprobs[rank], truth[0] - truth[rank])
    tie = margin is not None and margin <= golden["noise"]["p99"]
    text = (f"{entry['name']} ({entry['kind']}), token {place + 1}: llama.cpp {side.written[best[0]]!r}, ours ended "
            f"({reason}); smaller margin to an end token {'unknown' if margin is None else f'{margin:+.4f}'}: "
            f"{'near tie' if tie else 'BUG'}")
    return text, not tie


def compare(name, golden, server):
    side = Ours(server, golden)
    whole = places = partings = bugs = 0
    drift = []
    for entry in golden["prompts"]:
        count, said, bad = walk(golden, entry, side, drift)
        for text in said:
            print(f"  {text}")
        places += count
        partings += len(said)
        whole += not said
        bugs += bad
    n = golden["noise"]
    print(f"{name}: {whole} of {len(golden['prompts'])} answers equal to the end; {partings} partings in {places} "
          f"places, {bugs} of them bugs (llama.cpp's own noise against f32: median {n['median']}, p99 {n['p99']}, "
          f"max {n['max']} nats)")
    if drift:
        apart = lambda a, b: statistics.fmean(abs(row[a] - row[b]) for row in drift)
        print(f"{name}: mean change of the chosen token's logprob over {len(drift)} equal places: ours to llama.cpp "
              f"{apart(0, 1):.4f}, ours to f32 {apart(0, 2):.4f}, llama.cpp to f32 {apart(1, 2):.4f} nats")
    return bugs


def golden_of(name, args):
    file = GOLDENS / f"greedy_{name}.json"
    if args.golden:
        if not file.is_file():
            models.skip(f"no golden {file}")
        golden = json.loads(file.read_text())
        path = models.path_of(name)
        if path.stat().st_size != golden["bytes"]:
            models.skip(f"{path} is not the file that {file.name} was made from")
        return golden
    return make(name, args.lab, args.threads)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="*", default=list(models.FILES), help="smollm2, qwen-coder, gemma3 (all)")
    parser.add_argument("--golden", action="store_true", help="take llama.cpp's answers from testdata/goldens")
    parser.add_argument("--make", action="store_true", help="write the goldens and stop")
    parser.add_argument("--mill", help="the tokenmill program (build/release)")
    parser.add_argument("--url", help="a server that runs already, with the one model named")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--lab", type=pathlib.Path, default=pathlib.Path.home() / ".cache" / "tokenmill-oracle",
                        help="where F32 models are kept (~/.cache/tokenmill-oracle)")
    args = parser.parse_args()
    bugs = 0
    for name in args.model:
        if args.make:
            text = json.dumps(make(name, args.lab, args.threads), ensure_ascii=False, separators=(",", ":"))
            file = GOLDENS / f"greedy_{name}.json"
            file.write_text(text.replace('{"name":', '\n{"name":') + "\n")
            print(f"{file.name}: {file.stat().st_size} bytes")
            continue
        golden = golden_of(name, args)
        source = mill.at(args.url) if args.url else mill.serve(
            models.binary(args.mill), models.path_of(name), "--threads", str(args.threads))
        with source as server:
            bugs += compare(name, golden, server)
    sys.exit(1 if bugs else 0)


if __name__ == "__main__":
    main()
