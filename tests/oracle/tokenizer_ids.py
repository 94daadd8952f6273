#!/usr/bin/env python3
"""Compares our token ids with those of llama-cpp-python (GGUF models) and tokenizers (tokenizer.json files).

    python3 tests/oracle/tokenizer_ids.py [--tool build/release/tests/mill_token_ids] [--only NAME …]

Texts: the declaration of human rights in 388 languages, the naughty strings, the UTF-8 vectors, and the texts of the tokenizer
vectors; each as untrusted text and, for GGUF models, as trusted text too. Prints one line a model; exit 1 on any difference. What
is absent (a package, a model, the shared data) is said and skipped.
"""

import argparse
import json
import lzma
import re
import subprocess
import sys
import tempfile

import models


def texts(data):
    """(name, bytes) of every text."""
    for path in sorted((data / "text" / "udhr2").glob("*.txt")):
        yield f"udhr2/{path.name}", path.read_bytes()
    for i, string in enumerate(json.loads((data / "fuzz_strings" / "blns.json").read_text())):
        yield f"blns/{i}", string.encode()
    for line in (data / "fuzz_strings" / "utf8tests.txt").read_text().splitlines():
        match = re.match(r"([\d.]+):(?:in)?valid hex:([0-9a-fA-F ]+)", line)
        if match:
            yield f"utf8tests/{match[1]}", bytes.fromhex(match[2])
        elif line.startswith(tuple("0123456789")):
            yield f"utf8tests/{line.split(':')[0]}", line.split(":", 2)[2].encode()
    inputs = (data / "tokenizers" / "ggml-vocab-gpt-2.gguf.inp").read_bytes()
    for i, text in enumerate(inputs.split(b"\n__ggml_vocab_test__\n")):
        yield f"vectors/{i}", text
    yield "wikitext", (data / "text" / "wikitext-2.test.tokens.txt").read_bytes()[:200_000]
    yield "chinese", (data / "text" / "evalscope_docs_zh.md").read_bytes()[:200_000]
    yield "names", NAMES


# Names of special tokens of all the models, with white space around that some of them swallow.
NAMES = b"""a <|im_end|> <|im_start|>user
<bos><eos> </s> <s> <unk> x

  \t<end_of_turn>x<unused7>  <|endoftext|>  <|user|>

 \t b<|end|> <|assistant|>\n  <fim_prefix> <|fim_middle|>  <pad> <|placeholder1|> y"""


def too_large_code_point(text):
    """A sequence above U+10FFFF ends llama.cpp's process, so it has no ids to compare with."""
    return re.search(rb"\xf4[\x90-\xbf][\x80-\xbf]{2}|[\xf5-\xf7][\x80-\xbf]{3}", text) is not None


def ours(tool, model, all_texts, *flags):
    frames = b"".join(b"%d\n%s" % (len(text), text) for _, text in all_texts)
    done = subprocess.run([tool, model, *flags], input=frames, capture_output=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{tool} {model}: {done.stderr.decode()}")
    return [[int(i) for i in line.split()] for line in done.stdout.split(b"\n")[:-1]]


def compare(title, all_texts, left, right):
    """Prints how many agree, and the first differences."""
    assert len(left) == len(right) == len(all_texts)
    wrong = [i for i in range(len(left)) if left[i] != right[i]]
    ids = sum(len(r) for r in right)
    print(f"{title}: {len(left) - len(wrong)} of {len(left)} texts equal ({ids} ids)", flush=True)
    for i in wrong[:5]:
        at = next((k for k, (a, b) in enumerate(zip(left[i], right[i])) if a != b), min(len(left[i]), len(right[i])))
        print(f"  {all_texts[i][0]}: at id {at} ours {left[i][at:at + 6]} peer {right[i][at:at + 6]}")
    return len(wrong)


def against_llama(tool, name, path, all_texts):
    try:
        import llama_cpp
    except ImportError:
        print(f"{name}: skipped, llama-cpp-python is not installed")
        return 0
    if not path.is_file():
        print(f"{name}: skipped, no {path}")
        return 0
    peer = llama_cpp.Llama(model_path=str(path), vocab_only=True, verbose=False)
    usable = [(n, t) for n, t in all_texts if not too_large_code_point(t)]
    wrong = 0
    for trusted in (False, True):
        theirs = [peer.tokenize(t, add_bos=False, special=trusted) for _, t in usable]
        mine = ours(tool, str(path), usable, *(["--trusted"] if trusted else []))
        wrong += compare(f"{name}, {'trusted' if trusted else 'untrusted'}, llama-cpp-python", usable, mine, theirs)
    return wrong


def against_tokenizers(tool, name, path, all_texts):
    try:
        import tokenizers
    except ImportError:
        print(f"{name}: skipped, tokenizers is not installed")
        return 0
    if not path.is_file():
        print(f"{name}: skipped, no {path}")
        return 0
    with tempfile.NamedTemporaryFile(suffix=".json") as plain:
        raw = path.read_bytes()
        plain.write(lzma.decompress(raw) if path.suffix == ".xz" else raw)
        plain.flush()
        peer = tokenizers.Tokenizer.from_file(plain.name)
        peer.no_truncation()
        peer.no_padding()
        usable = []
        for n, t in all_texts:
            try:
                t.decode()
                usable.append((n, t))
            except UnicodeDecodeError:
                continue  # the peer takes only Unicode strings
        wrong = 0
        for ends in (False, True):
            theirs = [peer.encode(t.decode(), add_special_tokens=ends).ids for _, t in usable]
            mine = ours(tool, plain.name, usable, "--trusted", *(["--ends"] if ends else []))
            wrong += compare(f"{name}, {'with' if ends else 'without'} ends, tokenizers", usable, mine, theirs)
    return wrong


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--tool", default=str(models.ROOT / "build" / "release" / "tests" / "mill_token_ids"))
    options.add_argument("--only", nargs="*", default=[])
    options = options.parse_args()
    shared = models.shared()
    if shared is None:
        models.skip("no shared test data (set TOKENMILL_SHARED)")
    all_texts = list(texts(shared / "data"))
    wanted = lambda name: not options.only or name in options.only
    wrong = 0
    ggufs = [(name, models.folder() / file) for name, file in models.FILES.items()]
    ggufs += [(path.stem, path) for path in sorted((shared / "data" / "tokenizers").glob("*.gguf"))]
    for name, path in ggufs:
        if wanted(name):
            wrong += against_llama(options.tool, name, path, all_texts)
    for name, path in (("qwen3", shared / "data" / "tokenizers" / "qwen3" / "tokenizer.json.xz"),
                       ("all-MiniLM-L6-v2", models.folder() / "all-MiniLM-L6-v2" / "tokenizer.json")):
        if wanted(name):
            wrong += against_tokenizers(options.tool, name, path, all_texts)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
