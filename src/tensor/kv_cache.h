// The cache of keys and values: in which form, and where.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace mill::tensor {

inline constexpr int32_t kBlockTokens = 32;

// What a key or value is kept as. kI8: of the head's Walsh-Hadamard transform, a signed 8-bit code
// per number and one f32 scale per token and KV head (the largest magnitude / 127), for keys and
// for values. The transform is orthogonal: a score is the same between transformed queries and
// keys, and one large dimension becomes a little in all of them, which one scale for all codes
// better (as QuaRot does: Ashkboos et al., arXiv 2404.00456).
enum class KvType { kF32, kF16, kBF16, kI8 };
inline constexpr std::array kAllKvTypes = {KvType::kF32, KvType::kF16, KvType::kBF16, KvType::kI8};

constexpr std::string_view name(KvType type) {  // "f32", "f16", "bf16", "int8"
  constexpr std::string_view kNames[] = {"f32", "f16", "bf16", "int8"};
  return kNames[static_cast<size_t>(type)];
}
constexpr std::optional<KvType> kv_type_named(std::string_view wanted) {
  for (const KvType type : kAllKvTypes) {
    if (name(type) == wanted) return type;
  }
  return std::nullopt;
}

// head_dim, rounded up to whole vectors.
constexpr int64_t padded_head_dim(int64_t head_dim) {
  return (head_dim + 15) / 16 * 16;
}

// The transform is of blocks of so many dimensions, the largest power of two that divides head_dim:
// y[i] = sum_j (-1)^popcount(i & j) x[j] / sqrt(size). It is its own inverse.
// Computed in f32: the division first, then sums and differences over strides 1, 2, 4, …
constexpr int64_t mixed_size(int64_t head_dim) {
  return head_dim & -head_dim;
}

// Bytes of the keys (or of the values) of one KV head in one block: a multiple of 64. The order
// within is the backend's own; a token's part depends on that token alone.
constexpr size_t kv_head_bytes(KvType type, int64_t head_dim) {
  const auto numbers = static_cast<size_t>(kBlockTokens * head_dim);
  switch (type) {
    case KvType::kF32:
      return numbers * 4;
    case KvType::kF16:
    case KvType::kBF16:
      return numbers * 2;
    case KvType::kI8:
      break;
  }
  return static_cast<size_t>(kBlockTokens * (padded_head_dim(head_dim) + 4));
}

// The KV cache of one layer: blocks of kBlockTokens consecutive tokens of one sequence, scattered
// in one arena. The keys of KV head h in block b lie at
// base + b * block_bytes + key_offset + h * kv_head_bytes(type, head_dim); values likewise.
struct KvLayer {
  std::byte* base = nullptr;
  size_t block_bytes = 0;
  size_t key_offset = 0;
  size_t value_offset = 0;
  KvType type = KvType::kF16;
};

}  // namespace mill::tensor
