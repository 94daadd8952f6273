#include "tensor/reference/dequantize.h"

#include <cstring>

#include "base/check.h"
#include "tensor/half.h"

namespace mill::tensor {
namespace {

constexpr int kSmall = 32;   // values in a block of the plain formats
constexpr int kSuper = 256;  // values in a super-block of the K formats and IQ4_XS

constexpr std::array<float, 16> kIq4Values = {-127, -104, -83, -65, -49, -35, -22, -10,
                                              1,    13,   25,  38,  53,  69,  89,  113};

uint16_t u16_at(const uint8_t* p) {
  return static_cast<uint16_t>(p[0] | (p[1] << 8));
}
float half_at(const uint8_t* p) {
  return f16_to_f32(u16_at(p));
}
uint32_t u32_at(const uint8_t* p) {
  return p[0] | uint32_t{p[1]} << 8 | uint32_t{p[2]} << 16 | uint32_t{p[3]} << 24;
}

// The 4-bit value i of a 32-value block: the first 16 values are the low halves of 16 bytes, the
// others the high halves.
int nibble(const uint8_t* q, int i) {
  return i < 16 ? q[i] & 15 : q[i - 16] >> 4;
}

// {f16 scale, 16 bytes}
void q4_0(const uint8_t* in, float* out) {
  const float d = half_at(in);
  for (int i = 0; i < kSmall; ++i) out[i] = d * static_cast<float>(nibble(in + 2, i) - 8);
}

// {f16 scale, f16 minimum, 16 bytes}
void q4_1(const uint8_t* in, float* out) {
  const float d = half_at(in);
  const float m = half_at(in + 2);
  for (int i = 0; i < kSmall; ++i) out[i] = d * static_cast<float>(nibble(in + 4, i)) + m;
}

// {f16 scale, u32 fifth bits, 16 bytes}
void q5_0(const uint8_t* in, float* out) {
  const float d = half_at(in);
  const uint32_t high = u32_at(in + 2);
  for (int i = 0; i < kSmall; ++i) {
    const int q = nibble(in + 6, i) | static_cast<int>((high >> i) & 1) << 4;
    out[i] = d * static_cast<float>(q - 16);
  }
}

// {f16 scale, f16 minimum, u32 fifth bits, 16 bytes}
void q5_1(const uint8_t* in, float* out) {
  const float d = half_at(in);
  const float m = half_at(in + 2);
  const uint32_t high = u32_at(in + 4);
  for (int i = 0; i < kSmall; ++i) {
    const int q = nibble(in + 8, i) | static_cast<int>((high >> i) & 1) << 4;
    out[i] = d * static_cast<float>(q) + m;
  }
}

// {f16 scale, 32 i8}
void q8_0(const uint8_t* in, float* out) {
  const float d = half_at(in);
  for (int i = 0; i < kSmall; ++i) out[i] = static_cast<float>(static_cast<int8_t>(in[2 + i])) * d;
}

// {16 bytes of 4-bit scale and minimum, 64 bytes of 2 bits, f16 scale of scales, f16 scale of
// minima}
void q2_k(const uint8_t* in, float* out) {
  const uint8_t* quants = in + 16;
  const float d = half_at(in + 80);
  const float dmin = half_at(in + 82);
  for (int i = 0; i < kSuper; ++i) {
    const uint8_t scale = in[i / 16];
    const int q = quants[i / 128 * 32 + i % 32] >> (i % 128 / 32 * 2) & 3;
    const float dl = d * static_cast<float>(scale & 15);
    const float ml = dmin * static_cast<float>(scale >> 4);
    out[i] = dl * static_cast<float>(q) - ml;
  }
}

// {32 bytes of third bits (clear: minus 4), 64 bytes of 2 bits, 12 bytes of 6-bit scales, f16
// scale}
void q3_k(const uint8_t* in, float* out) {
  const uint8_t* quants = in + 32;
  const uint8_t* scales = in + 96;
  const float d = half_at(in + 108);
  for (int i = 0; i < kSuper; ++i) {
    const int j = i / 16;
    const int low = j < 8 ? scales[j] & 15 : scales[j - 8] >> 4;
    const int high = scales[8 + j % 4] >> (j / 4 * 2) & 3;
    const float dl = d * static_cast<float>((low | high << 4) - 32);
    const int q = quants[i / 128 * 32 + i % 32] >> (i % 128 / 32 * 2) & 3;
    const bool third = in[i % 32] >> (i / 32) & 1;
    out[i] = dl * static_cast<float>(third ? q : q - 4);
  }
}

struct ScaleMin {
  int scale;
  int min;
};

// Pair j of the eight 6-bit pairs that Q4_K and Q5_K pack into 12 bytes.
ScaleMin scale_min(const uint8_t* packed, int j) {
  if (j < 4) return {packed[j] & 63, packed[j + 4] & 63};
  return {(packed[j + 4] & 15) | (packed[j - 4] >> 6) << 4, packed[j + 4] >> 4 | (packed[j] >> 6)
                                                                                     << 4};
}

// {f16 scale of scales, f16 scale of minima, 12 bytes of 6-bit pairs, 128 bytes of 4 bits}
void q4_k(const uint8_t* in, float* out) {
  const float d = half_at(in);
  const float dmin = half_at(in + 2);
  for (int i = 0; i < kSuper; ++i) {
    const int j = i / 32;
    const ScaleMin pair = scale_min(in + 4, j);
    const int q = in[16 + j / 2 * 32 + i % 32] >> (j % 2 * 4) & 15;
    const float dl = d * static_cast<float>(pair.scale);
    const float ml = dmin * static_cast<float>(pair.min);
    out[i] = dl * static_cast<float>(q) - ml;
  }
}

// As Q4_K, with 32 bytes of fifth bits before the 128 bytes of 4 bits.
void q5_k(const uint8_t* in, float* out) {
  const float d = half_at(in);
  const float dmin = half_at(in + 2);
  for (int i = 0; i < kSuper; ++i) {
    const int j = i / 32;
    const ScaleMin pair = scale_min(in + 4, j);
    const int low = in[48 + j / 2 * 32 + i % 32] >> (j % 2 * 4) & 15;
    const int high = in[16 + i % 32] >> j & 1;
    const float dl = d * static_cast<float>(pair.scale);
    const float ml = dmin * static_cast<float>(pair.min);
    out[i] = dl * static_cast<float>(low | high << 4) - ml;
  }
}

// {128 bytes of low 4 bits, 64 bytes of high 2 bits, 16 i8 scales, f16 scale}
void q6_k(const uint8_t* in, float* out) {
  const float d = half_at(in + 208);
  for (int i = 0; i < kSuper; ++i) {
    const int half = i / 128;
    const int low = in[half * 64 + i % 64] >> (i % 128 / 64 * 4) & 15;
    const int high = in[128 + half * 32 + i % 32] >> (i % 128 / 32 * 2) & 3;
    const float dl = d * static_cast<float>(static_cast<int8_t>(in[192 + i / 16]));
    out[i] = dl * static_cast<float>((low | high << 4) - 32);
  }
}

// {f16 scale, 16 bytes of indices into kIq4Values}
void iq4_nl(const uint8_t* in, float* out) {
  const float d = half_at(in);
  for (int i = 0; i < kSmall; ++i) out[i] = d * kIq4Values[nibble(in + 2, i)];
}

// {f16 scale, u16 high scale bits, 4 bytes of low scale bits, 128 bytes of indices}
void iq4_xs(const uint8_t* in, float* out) {
  const float d = half_at(in);
  const int scales_high = u16_at(in + 2);
  for (int i = 0; i < kSuper; ++i) {
    const int j = i / 32;
    const int low = in[4 + j / 2] >> (j % 2 * 4) & 15;
    const int high = scales_high >> (2 * j) & 3;
    const float dl = d * static_cast<float>((low | high << 4) - 32);
    out[i] = dl * kIq4Values[nibble(in + 8 + j * 16, i % 32)];
  }
}

// A block goes by a place of its own, which the compiler knows to lie apart from the bytes: so it
// takes many numbers at a time.
template <int kElements, void (*block)(const uint8_t*, float*)>
void each_block(DType dtype, const uint8_t* in, std::span<float> row) {
  MILL_CHECK(block_elements(dtype) == kElements);
  const int64_t bytes = block_bytes(dtype);
  for (size_t i = 0; i < row.size(); i += kElements, in += bytes) {
    float made[kElements];
    block(in, made);
    std::memcpy(row.data() + i, made, sizeof made);
  }
}

}  // namespace

void dequantize_row(DType dtype, const std::byte* data, std::span<float> row) {
  MILL_CHECK(row.size() % static_cast<size_t>(block_elements(dtype)) == 0);
  const auto* in = reinterpret_cast<const uint8_t*>(data);
  switch (dtype) {
    case DType::kF32:
      if (!row.empty()) std::memcpy(row.data(), in, row.size_bytes());
      return;
    case DType::kF16:
      for (size_t i = 0; i < row.size(); ++i) row[i] = half_at(in + 2 * i);
      return;
    case DType::kBF16:
      for (size_t i = 0; i < row.size(); ++i) row[i] = bf16_to_f32(u16_at(in + 2 * i));
      return;
    case DType::kQ4_0:
      return each_block<kSmall, q4_0>(dtype, in, row);
    case DType::kQ4_1:
      return each_block<kSmall, q4_1>(dtype, in, row);
    case DType::kQ5_0:
      return each_block<kSmall, q5_0>(dtype, in, row);
    case DType::kQ5_1:
      return each_block<kSmall, q5_1>(dtype, in, row);
    case DType::kQ8_0:
      return each_block<kSmall, q8_0>(dtype, in, row);
    case DType::kQ2_K:
      return each_block<kSuper, q2_k>(dtype, in, row);
    case DType::kQ3_K:
      return each_block<kSuper, q3_k>(dtype, in, row);
    case DType::kQ4_K:
      return each_block<kSuper, q4_k>(dtype, in, row);
    case DType::kQ5_K:
      return each_block<kSuper, q5_k>(dtype, in, row);
    case DType::kQ6_K:
      return each_block<kSuper, q6_k>(dtype, in, row);
    case DType::kIQ4_NL:
      return each_block<kSmall, iq4_nl>(dtype, in, row);
    case DType::kIQ4_XS:
      return each_block<kSuper, iq4_xs>(dtype, in, row);
  }
}

}  // namespace mill::tensor
