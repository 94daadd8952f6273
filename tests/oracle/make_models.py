#!/usr/bin/env python3
"""Makes the model files that other comparisons need, with llama.cpp's own quantizer.

  make_models.py f32 MODEL OUT.gguf   the same weights, dequantized to F32: the truth of kl.py
  make_models.py types MODEL FOLDER   MODEL requantized into every type that tokenmill reads
  make_models.py requant              smollm2 requantized to Q4_0 and Q8_0, beside it: what bench/
                                      calls smollm2-q4_0 and smollm2-q8_0
  make_models.py synthetic FOLDER     small models of random weights: every architecture and RoPE
                                      kind in F32, and one llama in every type, its rows of 256 and
                                      512 so that K-quants are what they are called

Files that exist already are kept. The synthetic models are a function of the seed alone.
"""

import argparse
import ctypes
import os
import pathlib
import sys

import llama
import models

FTYPES = {
    "F32": 0,
    "F16": 1,
    "BF16": 32,
    "Q4_0": 2,
    "Q4_1": 3,
    "Q5_0": 8,
    "Q5_1": 9,
    "Q8_0": 7,
    "Q2_K": 10,
    "Q3_K_M": 12,
    "Q4_K_M": 15,
    "Q5_K_M": 17,
    "Q6_K": 18,
    "IQ4_NL": 25,
    "IQ4_XS": 30,
}


def quantize(source, target, ftype, pure=False):
    """Writes `target` through a temporary name, so that a file that exists is a whole one."""
    lib, _ = llama.require()
    llama.silence(lib)
    target = pathlib.Path(target)
    if target.exists():
        return target
    params = lib.llama_model_quantize_default_params()
    params.ftype = FTYPES[ftype]
    params.allow_requantize = True
    params.pure = pure
    params.nthread = 2
    part = target.with_suffix(f".{os.getpid()}.part")
    code = lib.llama_model_quantize(os.fsencode(source), os.fsencode(part), ctypes.byref(params))
    if code != 0:
        sys.exit(f"llama_model_quantize gave {code} for {source} to {ftype}")
    part.rename(target)
    return target


def require_gguf():
    try:
        import gguf
    except ImportError:
        models.skip("synthetic models are written with the Python package gguf; pip install gguf")
    return gguf


def byte_letters():
    """GPT-2's printable stand-ins for the 256 bytes, in byte order."""
    plain = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    letters, extra = {}, 0
    for byte in range(256):
        if byte in plain:
            letters[byte] = chr(byte)
        else:
            letters[byte] = chr(256 + extra)
            extra += 1
    return [letters[byte] for byte in range(256)]


def write_vocabulary(gguf, writer):
    """Bytes, a few merges and two control tokens: 320 in all."""
    words = byte_letters()
    merges = ["t h", "i n", "e r", "a n", "th e", "Ġ the", "in g", "an d"]
    words += [merge.replace(" ", "") for merge in merges]
    kinds = [gguf.TokenType.NORMAL] * len(words)
    words += ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    kinds += [gguf.TokenType.CONTROL] * 3
    while len(words) < 320:
        words.append(f"[unused{len(words)}]")
        kinds.append(gguf.TokenType.UNUSED)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(words)
    writer.add_token_types(kinds)
    writer.add_token_merges(merges)
    writer.add_eos_token_id(words.index("<|endoftext|>"))
    writer.add_add_bos_token(False)
    return len(words)


# What sets the synthetic models apart: the dimension of a head, and switches of the file.
SHAPES = {
    "llama": {},
    "llama-rope-linear": {"scaling": ("linear", 4.0)},
    "llama-rope-yarn": {"scaling": ("yarn", 4.0)},
    "llama-rope-llama3": {"freqs": True},
    "llama-own-head": {"own_head": True},
    "qwen2": {"arch": "qwen2", "bias": True},
    "qwen3": {"arch": "qwen3", "qk_norm": True, "head": 128},
    "gemma3": {
        "arch": "gemma3",
        "qk_norm": True,
        "head": 128,
        "sandwich": True,
        "window": 32,
        "layers": 7,
    },
}


def write_synthetic(path, shape, seed=7, dim=256, hidden=512, heads=4, kv_heads=2):
    """A random model: weights N(0, 1/fan_in), norms near 1, so that activations stay near 1."""
    _, np = llama.require()
    gguf = require_gguf()
    arch, head = shape.get("arch", "llama"), shape.get("head", 64)
    layers = shape.get("layers", 2)
    writer = gguf.GGUFWriter(path, arch)
    writer.add_name(path.stem)
    vocabulary = write_vocabulary(gguf, writer)
    writer.add_vocab_size(vocabulary)
    writer.add_context_length(2048)
    writer.add_embedding_length(dim)
    writer.add_block_count(layers)
    writer.add_feed_forward_length(hidden)
    writer.add_head_count(heads)
    writer.add_head_count_kv(kv_heads)
    writer.add_key_length(head)
    writer.add_value_length(head)
    writer.add_rope_dimension_count(head)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(10000.0)
    if "scaling" in shape:
        kind, factor = shape["scaling"]
        writer.add_rope_scaling_type(gguf.RopeScalingType(kind))
        writer.add_rope_scaling_factor(factor)
        writer.add_rope_scaling_orig_ctx_len(64)
    if "window" in shape:
        writer.add_sliding_window(shape["window"])

    rng = np.random.default_rng(seed)
    matrix = lambda name, rows, columns: writer.add_tensor(
        name, rng.normal(0, columns**-0.5, (rows, columns)).astype(np.float32)
    )
    vector = lambda name, size, mean: writer.add_tensor(
        name, rng.normal(mean, 0.1, size).astype(np.float32)
    )
    # Gemma multiplies the embedding by sqrt(dim), so its own is smaller by as much.
    matrix("token_embd.weight", vocabulary, dim)
    vector("output_norm.weight", dim, 1)
    if shape.get("own_head"):
        matrix("output.weight", vocabulary, dim)
    if shape.get("freqs"):
        writer.add_tensor("rope_freqs.weight", np.linspace(1, 8, head // 2).astype(np.float32))
    for layer in range(layers):
        name = lambda part: f"blk.{layer}.{part}"
        vector(name("attn_norm.weight"), dim, 1)
        matrix(name("attn_q.weight"), heads * head, dim)
        matrix(name("attn_k.weight"), kv_heads * head, dim)
        matrix(name("attn_v.weight"), kv_heads * head, dim)
        matrix(name("attn_output.weight"), dim, heads * head)
        if shape.get("bias"):
            vector(name("attn_q.bias"), heads * head, 0)
            vector(name("attn_k.bias"), kv_heads * head, 0)
            vector(name("attn_v.bias"), kv_heads * head, 0)
        if shape.get("qk_norm"):
            vector(name("attn_q_norm.weight"), head, 1)
            vector(name("attn_k_norm.weight"), head, 1)
        if shape.get("sandwich"):
            vector(name("post_attention_norm.weight"), dim, 1)
            vector(name("post_ffw_norm.weight"), dim, 1)
        vector(name("ffn_norm.weight"), dim, 1)
        matrix(name("ffn_gate.weight"), hidden, dim)
        matrix(name("ffn_up.weight"), hidden, dim)
        matrix(name("ffn_down.weight"), dim, hidden)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def make_types(source, folder, stem, pure=False):
    folder.mkdir(parents=True, exist_ok=True)
    return {
        ftype: quantize(source, folder / f"{stem}.{ftype}.gguf", ftype, pure) for ftype in FTYPES
    }


def make_synthetic(folder):
    """{name: path} of all synthetic models; in "llama.Q4_K_M" every matrix is of that type."""
    folder.mkdir(parents=True, exist_ok=True)
    made = {}
    for name, shape in SHAPES.items():
        path = folder / f"synthetic-{name}.F32.gguf"
        if not path.exists():
            part = path.with_suffix(f".{os.getpid()}.part")
            write_synthetic(part, shape)
            part.rename(path)
        made[name] = path
    quantized = make_types(made["llama"], folder, "synthetic-llama", pure=True)
    made |= {f"llama.{ftype}": path for ftype, path in quantized.items() if ftype != "F32"}
    return made


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    verbs = parser.add_subparsers(dest="verb", required=True)
    verb = verbs.add_parser("f32")
    verb.add_argument("model")
    verb.add_argument("out", type=pathlib.Path)
    verb = verbs.add_parser("types")
    verb.add_argument("model")
    verb.add_argument("folder", type=pathlib.Path)
    verbs.add_parser("requant")
    verb = verbs.add_parser("synthetic")
    verb.add_argument("folder", type=pathlib.Path)
    args = parser.parse_args()
    if args.verb == "f32":
        made = {"F32": quantize(models.path_of(args.model), args.out, "F32")}
    elif args.verb == "types":
        made = make_types(models.path_of(args.model), args.folder, pathlib.Path(args.model).stem)
    elif args.verb == "requant":
        source = models.path_of("smollm2")
        made = {
            name: quantize(source, models.folder() / models.REQUANTIZED[name], name[8:].upper())
            for name in models.REQUANTIZED
        }
    else:
        made = make_synthetic(args.folder)
    for name, path in made.items():
        print(f"{name}\t{path.stat().st_size}\t{path}")


if __name__ == "__main__":
    main()
