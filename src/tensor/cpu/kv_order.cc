#include "tensor/cpu/kv_order.h"

#include <algorithm>
#include <cstring>

#include "tensor/half.h"

namespace mill::tensor {
namespace {

constexpr int64_t kRun = 64;  // numbers converted at a time; a multiple of any vector

// Where a head of 8-bit codes has the scale of a token.
int64_t scale_place(int64_t head_dim, int64_t token) {
  return kBlockTokens * padded_head_dim(head_dim) + token * 4;
}

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

// The codes of heads, with zeros up to a multiple of 4; writes their scales behind the numbers of
// each head.
void encode(const Kernels& kernels, const float* from, const HeadPlaces& to, int64_t token,
            const CodeRoom& room) {
  kernels.code_heads(from, to.count, to.head_dim, room.numbers, room.codes, room.tops);
  std::byte* scale_at = to.first + scale_place(to.head_dim, token);
  for (int64_t h = 0; h < to.count; ++h, scale_at += to.bytes()) {
    const float scale = room.tops[h] / 127.0F;
    std::memcpy(scale_at, &scale, 4);
  }
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

void put_keys(const Kernels& kernels, const float* from, const HeadPlaces& to, int64_t token,
              const CodeRoom& room) {
  const int64_t head_dim = to.head_dim;
  if (to.type == KvType::kI8) {
    encode(kernels, from, to, token, room);
    const int8_t* codes = room.codes;
    std::byte* head = to.first + token * 4;
    for (int64_t h = 0; h < to.count; ++h, head += to.bytes()) {
      for (int64_t d = 0; d < head_dim; d += 4) {
        uint32_t four;
        std::memcpy(&four, codes + d, 4);
        four ^= 0x80808080U;
        std::memcpy(head + d * kBlockTokens, &four, 4);
      }
      codes += padded_head_dim(head_dim);
    }
    return;
  }
  std::byte* head = to.first;
  for (int64_t h = 0; h < to.count; ++h, from += head_dim, head += to.bytes()) {
    if (to.type == KvType::kF32) {
      scatter<uint32_t>(kernels, to.type, from, head_dim, token, head);
    } else {
      scatter<uint16_t>(kernels, to.type, from, head_dim, token, head);
    }
  }
}

void put_values(const Kernels& kernels, const float* from, const HeadPlaces& to, int64_t token,
                const CodeRoom& room) {
  const int64_t head_dim = to.head_dim, width = padded_head_dim(head_dim);
  if (to.type == KvType::kI8) {
    encode(kernels, from, to, token, room);
    std::byte* head = to.first + token / 4 * width * 4 + token % 4;
    for (int64_t h = 0; h < to.count; ++h, head += to.bytes()) {
      kernels.spread(room.codes + h * width, head_dim, reinterpret_cast<int8_t*>(head));
    }
    return;
  }
  const int64_t size = to.type == KvType::kF32 ? 4 : 2;
  std::byte* head = to.first + token * head_dim * size;
  for (int64_t h = 0; h < to.count; ++h, from += head_dim, head += to.bytes()) {
    convert(kernels, to.type, from, head_dim, head);
  }
}

void fetch_keys(const HeadPlaces& of, int64_t token) {
  const int64_t size = of.type == KvType::kF32 ? 4 : of.type == KvType::kI8 ? 1 : 2;
  // Numbers that lie side by side.
  const int64_t run = of.type == KvType::kI8 ? 4 : 1;
  const std::byte* head = of.first;
  for (int64_t h = 0; h < of.count; ++h, head += of.bytes()) {
    for (int64_t d = 0; d < of.head_dim; d += run) {
      __builtin_prefetch(head + (d * kBlockTokens + token * run) * size, 1);
    }
    if (of.type == KvType::kI8) __builtin_prefetch(head + scale_place(of.head_dim, token), 1);
  }
}

void fetch_values(const HeadPlaces& of, int64_t token) {
  constexpr int64_t kLine = 64;
  const std::byte* head = of.first;
  const int64_t row = (of.bytes() - (of.type == KvType::kI8 ? kBlockTokens * 4 : 0)) / kBlockTokens;
  for (int64_t h = 0; h < of.count; ++h, head += of.bytes()) {
    const bool coded = of.type == KvType::kI8;  // four tokens side by side
    const std::byte* first = head + (coded ? token / 4 * 4 : token) * row;
    for (int64_t at = 0; at < (coded ? 4 * row : row); at += kLine) {
      __builtin_prefetch(first + at, 1);
    }
    if (coded) __builtin_prefetch(head + scale_place(of.head_dim, token), 1);
  }
}

}  // namespace mill::tensor
