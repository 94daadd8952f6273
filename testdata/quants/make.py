#!/usr/bin/env python3
"""Makes <TYPE>.bin beside this file: random blocks of each weight format and what the `gguf` package dequantizes them to.

Each file is little-endian: u32 block count, u32 values, the blocks' bytes, the values as f32.
Half of the blocks have random scales (infinities, NaNs and subnormals among them), half have ordinary ones.

    python testdata/quants/make.py      # needs: pip install gguf numpy
"""
import pathlib
import struct

import gguf
import numpy as np

# Where the f16 scales stand in a block.
SCALES = {
    "F32": [], "F16": [], "BF16": [],
    "Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q8_0": [0],
    "Q2_K": [80, 82], "Q3_K": [108], "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208],
    "IQ4_NL": [0], "IQ4_XS": [0],
}
# Zero, minus zero, least subnormal, greatest subnormal, least normal, greatest, infinities, NaN.
EDGES = [0x0000, 0x8000, 0x0001, 0x83FF, 0x0400, 0x7BFF, 0xFBFF, 0x7C00, 0xFC00, 0x7E01]


def blocks_of(name, rng):
    elements, size = gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType[name]]
    count = {1: 512, 32: 48, 256: 14}[elements]
    blocks = rng.integers(0, 256, (count, size), dtype=np.uint8)
    for at in SCALES[name]:
        usual = rng.normal(0, 0.01, count).astype(np.float16).view(np.uint8).reshape(count, 2)
        blocks[count // 2:, at:at + 2] = usual[count // 2:]
    for at in SCALES[name]:
        for i in range(min(len(EDGES), count // 2)):
            blocks[i, at:at + 2] = np.frombuffer(struct.pack("<H", EDGES[i]), np.uint8)
    if name in ("F16", "BF16"):
        edges = np.array(EDGES, "<u2").view(np.uint8).reshape(-1, 2)
        blocks[:len(EDGES)] = edges
    return blocks


def main():
    folder = pathlib.Path(__file__).parent
    for seed, name in enumerate(SCALES):
        blocks = blocks_of(name, np.random.default_rng(1000 + seed))
        with np.errstate(all="ignore"):
            values = gguf.dequantize(blocks.copy(), gguf.GGMLQuantizationType[name])
        values = np.ascontiguousarray(values, "<f4").ravel()
        header = struct.pack("<II", len(blocks), values.size)
        (folder / f"{name}.bin").write_bytes(header + blocks.tobytes() + values.tobytes())


if __name__ == "__main__":
    main()
