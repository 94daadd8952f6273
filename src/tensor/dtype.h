// The number formats a weight may be stored in, by the names and numbers of the ggml file format
// (GGUF), little-endian.
//
// A row of a tensor is a whole number of blocks; a block of `block_elements` values takes
// `block_bytes` bytes.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace mill::tensor {

// The values are ggml's type numbers, as they stand in a file.
enum class DType : uint8_t {
  kF32 = 0,
  kF16 = 1,
  kQ4_0 = 2,
  kQ4_1 = 3,
  kQ5_0 = 6,
  kQ5_1 = 7,
  kQ8_0 = 8,
  kQ2_K = 10,
  kQ3_K = 11,
  kQ4_K = 12,
  kQ5_K = 13,
  kQ6_K = 14,
  kIQ4_NL = 20,
  kIQ4_XS = 23,
  kBF16 = 30,
};

inline constexpr std::array kAllDTypes = {DType::kF32,  DType::kF16,    DType::kBF16,  DType::kQ4_0,
                                          DType::kQ4_1, DType::kQ5_0,   DType::kQ5_1,  DType::kQ8_0,
                                          DType::kQ2_K, DType::kQ3_K,   DType::kQ4_K,  DType::kQ5_K,
                                          DType::kQ6_K, DType::kIQ4_NL, DType::kIQ4_XS};

// Values per block: 1 for F32, F16 and BF16, 32 or 256 for the others.
int64_t block_elements(DType dtype);
// Bytes per block.
int64_t block_bytes(DType dtype);
// Bytes of a row of `cols` values.  Requires: cols >= 0 and a multiple of block_elements(dtype).
int64_t row_bytes(DType dtype, int64_t cols);

// "F32", "Q4_K", …
std::string_view name(DType dtype);

// The format with this ggml type number; nothing when the number is unknown or the format is not
// built.
std::optional<DType> dtype_of(uint32_t ggml_type);
// The name of any ggml type number, also of those that are not built ("IQ2_XXS"); empty for an
// unknown one.
std::string_view ggml_type_name(uint32_t ggml_type);

}  // namespace mill::tensor
