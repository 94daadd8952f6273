// The order of a weight matrix in memory on the CPU paths.
//
// A panel holds kPanel outputs (the "columns" of a product, rows of the file) over all inputs, so
// that one pass over consecutive bytes serves kPanel results. A matrix is its panels one after the
// other; outputs beyond the last are zeros.
//
// Float types: panel[input][output], in the file's type.
//
// Quantized types: a panel is a sequence of super-blocks of 1 or 8 groups of 32 inputs:
//   header  only where the file has super-blocks: f16 d[32], f16 dmin[32] where there are minima,
//           s8 scale[8 groups][halves][32], s8 minimum[8 groups][halves][32] likewise
//   groups  each:
//     low bits   u4: byte [step / 2][output][4], low half for the even step, high half for the odd;
//                u8: byte [step][output][4].    A step is 4 consecutive inputs.
//     planes     one further bit per number and plane: u4 of 4 inputs [step][output], in the order
//                of the bytes of a step
//     scales     only without a header: f16 d[32], then f16 minimum[32] where there are minima
//
// A stored number is unsigned; the weight is d * (number - zero), or d * number - minimum. With a
// header, d = d[output] * scale and minimum = dmin[output] * minimum, rounded to f32 as the file's
// format says. Nothing is lost: these are the file's own numbers and scales, in another order.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "tensor/dtype.h"

namespace mill::tensor {

// The name of this order (Backend::layout): another one wherever a packed byte changes, as packed
// weights are kept on disks. layout_test.cc holds the bytes against it.
inline constexpr std::string_view kPanelLayout = "panel32-1";

inline constexpr int64_t kPanel = 32;       // outputs of a panel
inline constexpr int64_t kSteps = 8;        // steps of 4 inputs in a group
inline constexpr int64_t kSuperGroups = 8;  // groups in a super-block

struct CodeLayout {
  int low_bits = 4;  // 4 or 8
  int planes = 0;    // 0, 1 or 2, only with 4 low bits
  int zero = 0;      // 0 where there are minima
  bool minima = false;
  int halves = 1;      // 2: a scale for each 16 inputs
  bool super = false;  // scales are integers times the super-block's f16
  bool table = false;  // 4-bit numbers are places in the table of IQ4, whose entries + 128 count

  constexpr int64_t groups() const { return super ? kSuperGroups : 1; }
  constexpr int64_t low_bytes() const { return kPanel * 32 * low_bits / 8; }
  constexpr int64_t plane_bytes() const { return kPanel * 32 / 8; }
  constexpr int64_t scale_row() const { return kPanel * halves; }
  constexpr int64_t minima_offset() const { return 4 * kPanel + kSuperGroups * scale_row(); }
  constexpr int64_t scales_offset() const { return minima ? 4 * kPanel : 2 * kPanel; }
  constexpr int64_t header_bytes() const {
    if (!super) return 0;
    return minima ? minima_offset() + kSuperGroups * scale_row()
                  : scales_offset() + kSuperGroups * scale_row();
  }
  constexpr int64_t group_scales_offset() const { return low_bytes() + planes * plane_bytes(); }
  constexpr int64_t group_bytes() const {
    return group_scales_offset() + (super ? 0 : (minima ? 4 : 2) * kPanel);
  }
  constexpr int64_t super_bytes() const { return header_bytes() + groups() * group_bytes(); }
};

constexpr CodeLayout code_layout(DType dtype) {
  switch (dtype) {
    case DType::kQ4_0:
      return {.zero = 8};
    case DType::kQ4_1:
      return {.minima = true};
    case DType::kQ5_0:
      return {.planes = 1, .zero = 16};
    case DType::kQ5_1:
      return {.planes = 1, .minima = true};
    case DType::kQ8_0:
      return {.low_bits = 8, .zero = 128};
    case DType::kQ2_K:
      return {.minima = true, .halves = 2, .super = true};
    case DType::kQ3_K:
      return {.zero = 4, .halves = 2, .super = true};
    case DType::kQ4_K:
      return {.minima = true, .super = true};
    case DType::kQ5_K:
      return {.planes = 1, .minima = true, .super = true};
    case DType::kQ6_K:
      return {.planes = 2, .zero = 32, .halves = 2, .super = true};
    case DType::kIQ4_NL:
      return {.zero = 128, .table = true};
    case DType::kIQ4_XS:
      return {.zero = 128, .super = true, .table = true};
    default:
      return {};
  }
}

constexpr bool is_float(DType dtype) {
  return dtype == DType::kF32 || dtype == DType::kF16 || dtype == DType::kBF16;
}

// The entries of the IQ4 formats, + 128.
inline constexpr uint8_t kIq4Table[16] = {1,   24,  45,  63,  79,  93,  106, 118,
                                          129, 141, 153, 166, 181, 197, 217, 241};

// Bytes of one panel over `cols` inputs.  Requires: cols is a multiple of block_elements(dtype).
constexpr int64_t panel_bytes(DType dtype, int64_t cols) {
  if (is_float(dtype)) return kPanel * cols * (dtype == DType::kF32 ? 4 : 2);
  const CodeLayout layout = code_layout(dtype);
  return cols / (32 * layout.groups()) * layout.super_bytes();
}

constexpr int64_t panel_count(int64_t rows) {
  return (rows + kPanel - 1) / kPanel;
}

// Writes panel `index` of the matrix [rows, cols] at `data` (rows of row_bytes(dtype, cols)).
// `panel` has panel_bytes(dtype, cols) and is aligned to 64 bytes.
void pack_panel(DType dtype, const std::byte* data, int64_t rows, int64_t cols, int64_t index,
                std::byte* panel);

}  // namespace mill::tensor
