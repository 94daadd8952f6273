#include "tensor/cpu/panel.h"

#include <algorithm>
#include <cstring>

namespace mill::tensor {
namespace {

constexpr int kMostNumbers = 256;  // in a block of a file
constexpr int kMostScales = 16;

// One block of a file row, taken apart: the numbers as a panel stores them, and the scales.
struct Block {
  alignas(64) uint8_t numbers[kMostNumbers];
  uint16_t d = 0;     // f16
  uint16_t dmin = 0;  // f16; of types without super-blocks: the minimum
  int8_t scales[kMostScales];
  int8_t minima[kMostScales];
};

uint16_t u16_at(const uint8_t* p) {
  uint16_t value = 0;
  std::memcpy(&value, p, sizeof value);
  return value;
}
uint32_t u32_at(const uint8_t* p) {
  uint32_t value = 0;
  std::memcpy(&value, p, sizeof value);
  return value;
}

// 16 bytes to 32 numbers: low halves, then high halves.
void split_halves(const uint8_t* in, uint8_t* numbers) {
  for (int i = 0; i < 16; ++i) {
    numbers[i] = in[i] & 15;
    numbers[16 + i] = in[i] >> 4;
  }
}

// Bit i of `bits` as 16 on number i.
void add_fifth_bits(uint32_t bits, uint8_t* numbers) {
  for (int i = 0; i < 32; i += 4, bits >>= 4) {
    // Four bits to the lowest bits of four bytes.
    const uint32_t spread = (bits & 15U) * 0x00204081U & 0x01010101U;
    const uint32_t four = u32_at(numbers + i) | spread << 4;
    std::memcpy(numbers + i, &four, 4);
  }
}

// Value = d * q + m in the file; a panel subtracts its minimum.
uint16_t negative_half(uint16_t half) {
  return half ^ 0x8000;
}

// The eight pairs of 6-bit scale and minimum of Q4_K and Q5_K.
void unpack_pairs(const uint8_t* in, Block& block) {
  for (int j = 0; j < 4; ++j) {
    block.scales[j] = static_cast<int8_t>(in[j] & 63);
    block.minima[j] = static_cast<int8_t>(in[j + 4] & 63);
    block.scales[j + 4] = static_cast<int8_t>((in[j + 8] & 15) | in[j] >> 6 << 4);
    block.minima[j + 4] = static_cast<int8_t>(in[j + 8] >> 4 | in[j + 4] >> 6 << 4);
  }
}

// The 2-bit numbers of Q2_K and Q3_K: 32 bytes hold 4 runs of 32.
void split_quarters(const uint8_t* in, uint8_t* numbers) {
  for (int half = 0; half < 2; ++half) {
    for (int run = 0; run < 4; ++run) {
      uint8_t* to = numbers + half * 128 + run * 32;
      for (int i = 0; i < 32; ++i) to[i] = in[half * 32 + i] >> (2 * run) & 3;
    }
  }
}

// The 4-bit numbers of Q4_K and Q5_K: 32 bytes hold 2 runs of 32.
void split_pairs_of_runs(const uint8_t* in, uint8_t* numbers) {
  for (int pair = 0; pair < 4; ++pair) {
    for (int i = 0; i < 32; ++i) {
      numbers[pair * 64 + i] = in[pair * 32 + i] & 15;
      numbers[pair * 64 + 32 + i] = in[pair * 32 + i] >> 4;
    }
  }
}

void take_q3_k(const uint8_t* in, Block& block) {
  split_quarters(in + 32, block.numbers);
  for (int run = 0; run < 8; ++run) {
    for (int i = 0; i < 32; ++i) {
      block.numbers[run * 32 + i] |= static_cast<uint8_t>((in[i] >> run & 1) << 2);
    }
  }
  const uint8_t* scales = in + 96;
  for (int j = 0; j < 16; ++j) {
    const int low = j < 8 ? scales[j] & 15 : scales[j - 8] >> 4;
    const int high = scales[8 + j % 4] >> (j / 4 * 2) & 3;
    block.scales[j] = static_cast<int8_t>((low | high << 4) - 32);
  }
  block.d = u16_at(in + 108);
}

void take_q6_k(const uint8_t* in, Block& block) {
  for (int half = 0; half < 2; ++half) {
    const uint8_t* low = in + half * 64;
    const uint8_t* high = in + 128 + half * 32;
    uint8_t* to = block.numbers + half * 128;
    for (int i = 0; i < 32; ++i) {
      to[i] = static_cast<uint8_t>((low[i] & 15) | (high[i] & 3) << 4);
      to[32 + i] = static_cast<uint8_t>((low[32 + i] & 15) | (high[i] >> 2 & 3) << 4);
      to[64 + i] = static_cast<uint8_t>(low[i] >> 4 | (high[i] >> 4 & 3) << 4);
      to[96 + i] = static_cast<uint8_t>(low[32 + i] >> 4 | high[i] >> 6 << 4);
    }
  }
  std::memcpy(block.scales, in + 192, 16);
  block.d = u16_at(in + 208);
}

void take_iq4_xs(const uint8_t* in, Block& block) {
  const int high = u16_at(in + 2);
  for (int j = 0; j < 8; ++j) {
    const int low = in[4 + j / 2] >> (j % 2 * 4) & 15;
    block.scales[j] = static_cast<int8_t>((low | (high >> (2 * j) & 3) << 4) - 32);
    split_halves(in + 8 + j * 16, block.numbers + j * 32);
  }
  block.d = u16_at(in);
}

// The block layouts are those of reference/dequantize.cc.
template <DType D>
void take(const uint8_t* in, Block& block) {
  if constexpr (D == DType::kQ4_0 || D == DType::kIQ4_NL) {
    block.d = u16_at(in);
    split_halves(in + 2, block.numbers);
  } else if constexpr (D == DType::kQ4_1) {
    block.d = u16_at(in);
    block.dmin = negative_half(u16_at(in + 2));
    split_halves(in + 4, block.numbers);
  } else if constexpr (D == DType::kQ5_0) {
    block.d = u16_at(in);
    split_halves(in + 6, block.numbers);
    add_fifth_bits(u32_at(in + 2), block.numbers);
  } else if constexpr (D == DType::kQ5_1) {
    block.d = u16_at(in);
    block.dmin = negative_half(u16_at(in + 2));
    split_halves(in + 8, block.numbers);
    add_fifth_bits(u32_at(in + 4), block.numbers);
  } else if constexpr (D == DType::kQ8_0) {
    block.d = u16_at(in);
    for (int i = 0; i < 32; ++i) block.numbers[i] = in[2 + i] ^ 0x80;
  } else if constexpr (D == DType::kQ2_K) {
    for (int j = 0; j < 16; ++j) {
      block.scales[j] = static_cast<int8_t>(in[j] & 15);
      block.minima[j] = static_cast<int8_t>(in[j] >> 4);
    }
    split_quarters(in + 16, block.numbers);
    block.d = u16_at(in + 80);
    block.dmin = u16_at(in + 82);
  } else if constexpr (D == DType::kQ3_K) {
    take_q3_k(in, block);
  } else if constexpr (D == DType::kQ4_K) {
    block.d = u16_at(in);
    block.dmin = u16_at(in + 2);
    unpack_pairs(in + 4, block);
    split_pairs_of_runs(in + 16, block.numbers);
  } else if constexpr (D == DType::kQ5_K) {
    block.d = u16_at(in);
    block.dmin = u16_at(in + 2);
    unpack_pairs(in + 4, block);
    split_pairs_of_runs(in + 48, block.numbers);
    for (int run = 0; run < 8; ++run) {
      for (int i = 0; i < 32; ++i) {
        block.numbers[run * 32 + i] |= static_cast<uint8_t>((in[16 + i] >> run & 1) << 4);
      }
    }
  } else if constexpr (D == DType::kQ6_K) {
    take_q6_k(in, block);
  } else {
    static_assert(D == DType::kIQ4_XS);
    take_iq4_xs(in, block);
  }
}

// Bit `shift` of the 4 bytes of `x`, in the low 4 bits of the result.
uint32_t gather_bits(uint32_t x, int shift) {
  return (x >> shift & 0x01010101u) * 0x01020408u >> 24 & 15u;
}

// Puts the 32 numbers of one group and output in their places.
template <CodeLayout kLayout>
void put_group(const uint8_t* numbers, int64_t output, std::byte* group) {
  auto* low = reinterpret_cast<uint8_t*>(group) + output * 4;
  if constexpr (kLayout.low_bits == 8) {
    for (int64_t step = 0; step < kSteps; ++step) {
      std::memcpy(low + step * kPanel * 4, numbers + step * 4, 4);
    }
  } else {
    for (int64_t pair = 0; pair < kSteps / 2; ++pair) {
      const uint32_t even = u32_at(numbers + pair * 8) & 0x0f0f0f0fu;
      const uint32_t odd = u32_at(numbers + pair * 8 + 4) & 0x0f0f0f0fu;
      const uint32_t both = even | odd << 4;
      std::memcpy(low + pair * kPanel * 4, &both, 4);
    }
    for (int plane = 0; plane < kLayout.planes; ++plane) {
      auto* bits = reinterpret_cast<uint8_t*>(group) + kLayout.low_bytes() +
                   plane * kLayout.plane_bytes() + output / 2;
      for (int64_t step = 0; step < kSteps; ++step) {
        const uint32_t four = gather_bits(u32_at(numbers + step * 4), 4 + plane);
        uint8_t& to = bits[step * kPanel / 2];
        to = static_cast<uint8_t>(output % 2 == 0 ? four : to | four << 4);
      }
    }
  }
}

template <CodeLayout kLayout>
void put_scales(const Block& block, int64_t output, std::byte* super) {
  std::byte* halves = kLayout.super ? super : super + kLayout.group_scales_offset();
  std::memcpy(halves + output * 2, &block.d, 2);
  if constexpr (kLayout.minima) std::memcpy(halves + (kPanel + output) * 2, &block.dmin, 2);
  if constexpr (kLayout.super) {
    for (int64_t j = 0; j < kSuperGroups * kLayout.halves; ++j) {
      super[kLayout.scales_offset() + j * kPanel + output] =
          static_cast<std::byte>(block.scales[j]);
      if constexpr (kLayout.minima) {
        super[kLayout.minima_offset() + j * kPanel + output] =
            static_cast<std::byte>(block.minima[j]);
      }
    }
  }
}

template <DType D>
void pack_codes(const std::byte* data, int64_t rows, int64_t cols, int64_t index,
                std::byte* panel) {
  constexpr CodeLayout kLayout = code_layout(D);
  const int64_t first = index * kPanel;
  const int64_t outputs = std::min(kPanel, rows - first);
  if (outputs < kPanel) std::memset(panel, 0, static_cast<size_t>(panel_bytes(D, cols)));
  const int64_t row_size = row_bytes(D, cols);
  const int64_t block_size = block_bytes(D);
  const int64_t supers = cols / (32 * kLayout.groups());
  Block block;
  for (int64_t s = 0; s < supers; ++s) {
    std::byte* super = panel + s * kLayout.super_bytes();
    for (int64_t output = 0; output < outputs; ++output) {
      const std::byte* in = data + (first + output) * row_size + s * block_size;
      take<D>(reinterpret_cast<const uint8_t*>(in), block);
      put_scales<kLayout>(block, output, super);
      for (int64_t g = 0; g < kLayout.groups(); ++g) {
        put_group<kLayout>(block.numbers + g * 32, output,
                           super + kLayout.header_bytes() + g * kLayout.group_bytes());
      }
    }
  }
}

template <class Number>
void pack_numbers(const std::byte* data, int64_t rows, int64_t cols, int64_t index,
                  std::byte* panel) {
  constexpr int64_t kRun = 64;  // inputs at a time, so that the panel's lines stay in the cache
  const int64_t first = index * kPanel;
  const int64_t outputs = std::min(kPanel, rows - first);
  if (outputs < kPanel) std::memset(panel, 0, static_cast<size_t>(kPanel * cols) * sizeof(Number));
  constexpr auto kSize = static_cast<int64_t>(sizeof(Number));
  for (int64_t from = 0; from < cols; from += kRun) {
    const int64_t to = std::min(cols, from + kRun);
    for (int64_t output = 0; output < outputs; ++output) {
      const std::byte* in = data + (first + output) * cols * kSize;
      for (int64_t k = from; k < to; ++k) {
        std::memcpy(panel + (k * kPanel + output) * kSize, in + k * kSize, sizeof(Number));
      }
    }
  }
}

}  // namespace

void pack_panel(DType dtype, const std::byte* data, int64_t rows, int64_t cols, int64_t index,
                std::byte* panel) {
  switch (dtype) {
    case DType::kF32:
      return pack_numbers<uint32_t>(data, rows, cols, index, panel);
    case DType::kF16:
    case DType::kBF16:
      return pack_numbers<uint16_t>(data, rows, cols, index, panel);
    case DType::kQ4_0:
      return pack_codes<DType::kQ4_0>(data, rows, cols, index, panel);
    case DType::kQ4_1:
      return pack_codes<DType::kQ4_1>(data, rows, cols, index, panel);
    case DType::kQ5_0:
      return pack_codes<DType::kQ5_0>(data, rows, cols, index, panel);
    case DType::kQ5_1:
      return pack_codes<DType::kQ5_1>(data, rows, cols, index, panel);
    case DType::kQ8_0:
      return pack_codes<DType::kQ8_0>(data, rows, cols, index, panel);
    case DType::kQ2_K:
      return pack_codes<DType::kQ2_K>(data, rows, cols, index, panel);
    case DType::kQ3_K:
      return pack_codes<DType::kQ3_K>(data, rows, cols, index, panel);
    case DType::kQ4_K:
      return pack_codes<DType::kQ4_K>(data, rows, cols, index, panel);
    case DType::kQ5_K:
      return pack_codes<DType::kQ5_K>(data, rows, cols, index, panel);
    case DType::kQ6_K:
      return pack_codes<DType::kQ6_K>(data, rows, cols, index, panel);
    case DType::kIQ4_NL:
      return pack_codes<DType::kIQ4_NL>(data, rows, cols, index, panel);
    case DType::kIQ4_XS:
      return pack_codes<DType::kIQ4_XS>(data, rows, cols, index, panel);
  }
}

}  // namespace mill::tensor
