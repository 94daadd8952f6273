"""llama.cpp's side of greedy.py: its greedy answers to testdata/prompts.json, with what it takes to
judge another program's."""

import base64
import hashlib
import json
import statistics

import llama
import make_models
import models

STEPS = 64
BEST = 5


def prompt_ids(peer, name, prompt):
    if prompt["kind"] == "chat":
        return peer.tokenize(models.CHAT[name].format(user=prompt["text"]), special=True)
    return peer.tokenize(prompt["text"])


def best_of(np, row):
    """The BEST ids of one row of logits and their logprobs, best first, of equals the lower id."""
    near = np.argpartition(-row, 4 * BEST)[: 4 * BEST]
    order = near[np.lexsort((near, -row[near]))][:BEST]
    wide = row.astype(np.float64)
    norm = wide.max() + np.log(np.exp(wide - wide.max()).sum())
    return [int(i) for i in order], [round(float(wide[i] - norm), 4) for i in order]


def answer(peer, ids):
    """llama.cpp's greedy answer: ids, the best of every place, and the end token if it came."""
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
    """Adds the f32 run's logprobs of the same candidates, on the text that llama.cpp wrote."""
    np = truth.np
    places = len(entry["top_ids"])
    first = len(entry["ids"]) - 1
    rows = truth.window(entry["ids"] + entry["answer"])[first : first + places]
    rows = llama.log_softmax(np, rows)
    entry["f32_logprobs"] = [
        [round(float(row[i]), 4) for i in best] for row, best in zip(rows, entry["top_ids"])
    ]


def noise(entries):
    """How far the best-two margin moves between llama.cpp and the f32 run: nats, all places."""
    moved = [
        abs((a[0] - a[1]) - (t[0] - t[1]))
        for entry in entries
        for a, t in zip(entry["top_logprobs"], entry["f32_logprobs"])
    ]
    moved.sort()
    return {
        "median": round(statistics.median(moved), 4),
        "p99": round(moved[len(moved) * 99 // 100], 4),
        "max": round(moved[-1], 4),
    }


def make(name, lab, threads):
    """The golden of one model as an object for JSON; F32 models are kept in the folder `lab`."""
    path = models.path_of(name)
    prompts = json.loads((models.ROOT / "testdata" / "prompts.json").read_text())["prompts"]
    entries = []
    with llama.Peer(path, context=1024, threads=threads) as peer:
        for prompt in prompts:
            ids = prompt_ids(peer, name, prompt)
            entries.append(
                {"name": prompt["name"], "kind": prompt["kind"], "ids": ids} | answer(peer, ids)
            )
        used = sorted({i for entry in entries for best in entry["top_ids"] for i in best})
        pieces = {str(i): base64.b64encode(peer.piece(i)).decode() for i in used}
    lab.mkdir(parents=True, exist_ok=True)
    f32 = make_models.quantize(path, lab / f"{name}.F32.gguf", "F32")
    with llama.Peer(f32, context=1024, threads=threads, kv_f32=True) as truth:
        for entry in entries:
            add_truth(truth, entry)
    return {
        "about": "llama.cpp's greedy answers; made by tests/oracle/greedy.py --make",
        "oracle": llama.version().split(";")[0],
        "model": path.name,
        "bytes": path.stat().st_size,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "noise": noise(entries),
        "prompts": entries,
        "pieces": pieces,
    }
