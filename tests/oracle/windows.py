"""Perplexity windows as llama.cpp's perplexity tool cuts them, and how both programs run them.

The text is tokenized once, with the model's BOS where its vocabulary adds one. It is cut into
windows of `ctx` tokens, the rest dropped; each is run on its own, its first token replaced by BOS
where there is one. Of each window the tokens after the middle are scored, given all before them in
the window: ctx - 1 - ctx/2 of them. Perplexity is exp of the mean of -ln p.
"""

import pathlib
import re
import subprocess
import tempfile

import llama
import mill
import models


def cut(peer, text, tokens):
    """The shortest run of whole first lines of `text` (bytes) with at least `tokens` tokens."""
    ends = [i + 1 for i, byte in enumerate(text) if byte == 10] or [len(text)]
    low, high = 0, len(ends) - 1
    while low < high:
        middle = (low + high) // 2
        if len(peer.tokenize(text[: ends[middle]])) >= tokens:
            high = middle
        else:
            low = middle + 1
    return text[: ends[low]]


def split(peer, text, ctx):
    """[(tokens to run, tokens to score)] of every whole window."""
    ids = peer.tokenize(text)
    bos = peer.bos()
    whole = [ids[start : start + ctx] for start in range(0, len(ids) - ctx + 1, ctx)]
    return [([bos] + window[1:] if bos is not None else window, window) for window in whole]


def peer_perplexity(peer, text, ctx):
    """{perplexity, windows, tokens scored} of llama.cpp."""
    np = peer.np
    first, total, count, windows = ctx // 2, 0.0, 0, split(peer, text, ctx)
    for run, score in windows:
        peer.clear()
        peer.fill(run, range(ctx), outputs=[k >= first for k in range(ctx)])
        peer.run()
        rows = peer.rows(ctx - first)[:-1]
        best = rows.max(axis=1)
        norms = best + np.log(np.exp(rows - best[:, None]).sum(axis=1, dtype=np.float64))
        total += float((norms - rows[np.arange(len(rows)), score[first + 1 :]]).sum())
        count += len(rows)
    if not count:
        raise SystemExit(f"the text is shorter than one window of {ctx} tokens")
    return {"perplexity": float(np.exp(total / count)), "windows": len(windows), "scored": count}


def our_perplexity(binary, model, text, args, logits=None):
    """{perplexity, windows} of `tokenmill perplexity`; `logits`: a .npy file to be written."""
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder) / "text"
        file.write_bytes(text)
        command = [binary, "perplexity", model, "--file", file]
        command += ["--ctx", args.ctx, "--threads", args.threads]
        if logits:
            command += ["--logits-out", logits, "--windows", 1]
        command = [str(part) for part in command]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        raise mill.Failed(f"tokenmill perplexity ended with {done.returncode}")
    found = re.search(r"perplexity ([0-9.]+).* in ([0-9]+) windows", done.stdout)
    if not found:
        raise mill.Failed(f"no perplexity in what tokenmill perplexity printed: {done.stdout!r}")
    return {"perplexity": float(found[1]), "windows": int(found[2])}


def text_of(name):
    """The bytes of a shared text (`en`, `zh`) or of a file."""
    shared = {"en": "wikitext-2.test.tokens.txt", "zh": "evalscope_docs_zh.md"}
    return (models.text_file(shared[name]) if name in shared else pathlib.Path(name)).read_bytes()
