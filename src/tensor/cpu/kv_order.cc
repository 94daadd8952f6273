#include "tensor/cpu/kv_order.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "tensor/half.h"

namespace mill::tensor {
namespace {

constexpr int64_t kRun = 64;  // numbers converted at a time; a multiple of any vector

// Converts `count` numbers to the float type.
void convert(const Kernels& kernels, KvType type, const float* from, int64_t count, void* to) {
  if (type == KvType::kF32) {
    std::memcpy(to, from, static_cast<size_t>(count) * 4);
  } else if (type == KvType::kF16) {
    kernels.to_half(from, static_cast<uint16_t*>(to), count);
  } else {
    std::transform(from, from + count, static_cast<uint16_t*>(to), f32_to_bf16);
  }
}

// The codes of a head, with zeros up to a multiple of 4; writes the scale to `head`. They hold
// until the next call.
const int8_t* encode(const Kernels& kernels, const float* from, int64_t head_dim, int64_t token,
                     std::byte* head) {
  thread_local std::vector<float> room;
  thread_local std::vector<int8_t> codes;
  const auto width = static_cast<size_t>(padded_head_dim(head_dim));
  if (room.size() < width) room.resize(width), codes.resize(width);
  const float highest = kernels.code_head(from, head_dim, room.data(), codes.data());
  const float scale = highest / 127.0F;
  std::memcpy(head + kBlockTokens * padded_head_dim(head_dim) + token * 4, &scale, 4);
  return codes.data();
}

template <class Number>
void scatter(const Kernels& kernels, KvType type, const float* from, int64_t head_dim,
             int64_t token, std::byte* head) {
  Number run[kRun];
  auto* keys = reinterpret_cast<Number*>(head) + token;
  for (int64_t d = 0; d < head_dim; d += kRun) {
    const int64_t count = std::min(kRun, head_dim - d);
    convert(kernels, type, from + d, count, run);
    for (int64_t i = 0; i < count; ++i) keys[(d + i) * kBlockTokens] = run[i];
  }
}

}  // namespace

void put_key(const Kernels& kernels, KvType type, const float* from, int64_t head_dim,
             int64_t token, std::byte* head) {
  if (type == KvType::kI8) {
    const int8_t* codes = encode(kernels, from, head_dim, token, head);
    std::byte* at = head + token * 4;
    for (int64_t d = 0; d < head_dim; d += 4) {
      uint32_t four;
      std::memcpy(&four, codes + d, 4);
      four ^= 0x80808080U;
      std::memcpy(at + d * kBlockTokens, &four, 4);
    }
    return;
  }
  if (type == KvType::kF32) {
    scatter<uint32_t>(kernels, type, from, head_dim, token, head);
  } else {
    scatter<uint16_t>(kernels, type, from, head_dim, token, head);
  }
}

void put_value(const Kernels& kernels, KvType type, const float* from, int64_t head_dim,
               int64_t token, std::byte* head) {
  if (type == KvType::kI8) {
    const int8_t* codes = encode(kernels, from, head_dim, token, head);
    std::byte* at = head + token / 4 * padded_head_dim(head_dim) * 4 + token % 4;
    return kernels.spread(codes, head_dim, reinterpret_cast<int8_t*>(at));
  }
  const int64_t size = type == KvType::kF32 ? 4 : 2;
  convert(kernels, type, from, head_dim, head + token * head_dim * size);
}

}  // namespace mill::tensor
