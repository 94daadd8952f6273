// From stored weights to f32, one value at a time: the truth that every other path is checked
// against.
//
// Bit for bit equal to quants.dequantize of the `gguf` Python package (the order of the f32
// roundings is part of the format here); a NaN stays a NaN. Block layouts: ggml-common.h of the
// ggml project.
#pragma once

#include <cstddef>
#include <span>

#include "tensor/dtype.h"

namespace mill::tensor {

// Writes row.size() values, read from row_bytes(dtype, row.size()) bytes at `data` (no alignment
// needed). Requires: row.size() is a multiple of block_elements(dtype).
void dequantize_row(DType dtype, const std::byte* data, std::span<float> row);

}  // namespace mill::tensor
