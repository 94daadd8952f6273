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

// Calls put(i, codes, count) for the numbers [i, i + count) of the head's transform, and writes the
// scale. i is a multiple of 4; up to the next multiple behind `count`, codes are 0.
template <class Put>
void encode(const Kernels& kernels, const float* from, int64_t head_dim, int64_t token,
            std::byte* head, const Put& put) {
  thread_local std::vector<float> room;
  if (room.size() < static_cast<size_t>(head_dim)) room.resize(static_cast<size_t>(head_dim));
  float* mixed = room.data();
  kernels.mix_head(from, head_dim, mixed);
  const float highest = kernels.highest(mixed, head_dim);
  const float inverse = highest > 1e-36F ? 127.0F / highest : 0.0F;
  int8_t codes[kRun];
  for (int64_t d = 0; d < head_dim; d += kRun) {
    const int64_t count = std::min(kRun, head_dim - d);
    kernels.to_codes(mixed + d, inverse, codes, count);
    put(d, codes, count);
  }
  const float scale = highest / 127.0F;
  std::memcpy(head + kBlockTokens * padded_head_dim(head_dim) + token * 4, &scale, 4);
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
    std::byte* at = head + token * 4;
    return encode(
        kernels, from, head_dim, token, head, [at](int64_t d, const int8_t* codes, int64_t count) {
          for (int64_t i = 0; i < count; i += 4) {
            uint32_t four;
            std::memcpy(&four, codes + i, 4);
            four ^= 0x80808080U;
            std::memcpy(at + (d + i) * kBlockTokens, &four, 4);
          }
        });
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
    std::byte* at = head + token / 4 * padded_head_dim(head_dim) * 4 + token % 4;
    return encode(kernels, from, head_dim, token, head,
                  [at](int64_t d, const int8_t* codes, int64_t count) {
                    for (int64_t i = 0; i < count; ++i) {
                      at[(d + i) * 4] = static_cast<std::byte>(codes[i]);
                    }
                  });
  }
  const int64_t size = type == KvType::kF32 ? 4 : 2;
  convert(kernels, type, from, head_dim, head + token * head_dim * size);
}

}  // namespace mill::tensor
