// The inner loops of the CPU paths, as a table of functions per instruction set.
//
// An instruction set is two translation units (avx512.cc and avx512_products.cc, and so on), built
// with their own compiler flags; it defines a vector type `Simd` in its own namespace and fills the
// table with the templates of this folder. Nothing else may be compiled with those flags, so that
// no shared inline function is ever emitted with instructions that the machine lacks: the templates
// are all parameters of Simd, and cpu_backend.cc does the rest (splitting work, layouts) in plain
// code.
//
// Every function gives the same bits for a row whatever the other rows of the call are.
#pragma once

#include <cstddef>
#include <cstdint>

#include "tensor/backend.h"

namespace mill::tensor {

// One row of Activations; pointers as there, null where the form is not wanted.
struct ActivationRow {
  float* values = nullptr;
  int8_t* codes = nullptr;
  float* scales = nullptr;
  int32_t* sums = nullptr;
};

// `rows` rows of activations times one panel, to `columns` outputs.
struct PanelCall {
  const std::byte* panel = nullptr;
  int64_t panel_bytes = 0;  // the next panel, if any, lies behind this one: it may be fetched ahead
  int64_t cols = 0;
  int64_t rows = 0;
  // Row r of the input: values + r * cols; codes + r * cols, scales and sums + r * cols / 32.
  const float* values = nullptr;
  const int8_t* codes = nullptr;
  const float* scales = nullptr;
  const int32_t* sums = nullptr;
  const float* code_sums = nullptr;  // both halves of `sums` together; where there is widen_sums
  float* out = nullptr;              // [rows, columns], row r at out + r * out_stride
  int64_t out_stride = 0;
  int64_t columns = 0;          // 1 … kPanel
  const float* bias = nullptr;  // [columns], or null
  bool accumulate = false;
  std::byte* scratch = nullptr;  // scratch_bytes(rows), aligned to 64; tile_scratch_bytes(rows) too
                                 // for a tiled product
  // For tiled products: scales [tiles of kTileRows rows][cols / 32][kTileRows], the last tile of
  // the last kTileRows rows; and as many sums of a group's codes, then of its first 16, then of the
  // others.
  float* tile_scales = nullptr;
  float* tile_sums = nullptr;
};

// Norm of columns [first, last) of one row, gate of the same of several.  Requires: first is a
// multiple of 32; so is last, or it is the end of the row, and is where codes are wanted.
struct NormCall {
  const float* x = nullptr;  // the whole row
  int64_t cols = 0;
  int64_t first = 0, last = 0;
  const float* weight = nullptr;
  float eps = 0;
  ActivationRow out;     // the whole row
  float* sum = nullptr;  // instead of `out`: the normed row is added to it
};
struct GateCall {
  Gate gate = Gate::kSilu;
  const float* g = nullptr;  // the whole rows, row r at g + r * stride; likewise u
  const float* u = nullptr;
  int64_t rows = 1;
  int64_t stride = 0;
  int64_t first = 0, last = 0;
  ActivationRow out;       // of row 0
  int64_t out_stride = 0;  // from row to row of values and codes; of scales and sums 1/32 of it
};

// One head of one row on its way to the cache.
struct HeadCall {
  float* head = nullptr;  // [head_dim], in place
  int64_t head_dim = 0;
  const float* norm = nullptr;  // [head_dim], or null
  float eps = 0;
  const float* factors = nullptr;  // [head_dim] multiplied after the norm, or null
  const float* cos = nullptr;      // [dims / 2]; null: no rotation
  const float* sin = nullptr;
  int64_t dims = 0;
  bool half_split = false;
  const float* center = nullptr;  // [head_dim] subtracted after the rotation, or null
};

// Consecutive queries of one sequence on the heads of one KV head, whose keys and values lie in the
// order of kv_order.h.
struct AttendCall {
  const KvLayer* kv = nullptr;
  const int32_t* blocks = nullptr;  // of the sequence
  int64_t kv_offset = 0;            // bytes from a block's key_offset (value_offset) to this head's
  int64_t head_dim = 0;
  int64_t position = 0;      // of the first query row
  int64_t rows = 0;          // query rows
  int64_t heads = 0;         // heads of each row; rows * heads <= kMostQueries
  const float* q = nullptr;  // row r, head h at q + r * q_stride + h * head_dim
  int64_t q_stride = 0;
  float scale = 1;
  float softcap = 0;
  int64_t window = 0;
  float* out = nullptr;  // [rows, heads, head_dim], row r at out + r * out_stride
  int64_t out_stride = 0;
  float* scratch = nullptr;  // attend_scratch(head_dim) floats, aligned to 64
};
inline constexpr int64_t kMostQueries = 64;
constexpr int64_t attend_scratch(int64_t head_dim) {
  // Weights and sums of the queries; one block's keys and values in f32, or the codes of the
  // queries and a block's in 16 bits; the codes of their weights.
  const int64_t width = padded_head_dim(head_dim);
  return kMostQueries * (width + 2 * kBlockTokens + 9) + 2 * kBlockTokens * width;
}
// The same of attention by tiles; head_dim as there.
inline constexpr int64_t kTileDots = 8192;
constexpr int64_t tile_attend_scratch(int64_t head_dim) {
  return attend_scratch(head_dim) + kTileDots + kMostQueries;
}
// The same of attention of prompts, which takes more queries at a time: as many share the work of
// widening keys and values.
inline constexpr int64_t kMostPromptQueries = 256;
inline constexpr int64_t kPromptRunTokens = 128;  // whose keys and values are widened at a time
constexpr int64_t prompt_attend_scratch(int64_t head_dim) {
  // Sums and bf16 of the queries; bf16 keys and values of a run, and its scores and weights.
  const int64_t width = padded_head_dim(head_dim);
  return kMostPromptQueries * (width + width / 2 + 5) + kPromptRunTokens * (width + 16 + 8 + 1) +
         kBlockTokens;
}
// Whether attention by tiles takes heads of that size.
constexpr bool has_whole_tiles(int64_t head_dim) {
  return padded_head_dim(head_dim) % 64 == 0;
}

struct Kernels {
  const char* name = "";
  // The product with a panel of the type, or null.
  void (*product[32])(const PanelCall&) = {};
  // code_sums [rows, cols / 32] of a call's sums, which its products want; null: they want none.
  void (*widen_sums)(const PanelCall&, float* code_sums) = nullptr;
  // The same of at least kTileRows rows by tiles, where the set has them. A thread calls
  // leave_tiles behind the last such product.
  void (*tiled_product[32])(const PanelCall&) = {};
  void (*gather_tiles)(const PanelCall&) = nullptr;  // fills tile_scales and tile_sums
  void (*leave_tiles)() = nullptr;
  void (*norm)(const NormCall&) = nullptr;
  void (*gated)(const GateCall&) = nullptr;
  // Codes (with scales and sums) of rows of `cols` values, `stride` apart, to rows to_stride apart.
  // Requires: cols and to_stride are multiples of 32.
  void (*encode)(const float* values, int64_t stride, int64_t rows, int64_t cols,
                 const ActivationRow& to, int64_t to_stride) = nullptr;
  void (*prepare_head)(const HeadCall&) = nullptr;
  // f32 to f16; a number beyond the range of f16 becomes the largest one.
  void (*to_half)(const float* from, uint16_t* to, int64_t count) = nullptr;
  // Codes of the transform that an 8-bit cache keeps (kv_cache.h), with the largest magnitude as
  // 127; returns that, or a NaN where there is one. `room` is for `count` numbers, `codes` for as
  // many rounded up to 16; up to a multiple of 4 zeros follow them.
  float (*code_head)(const float* from, int64_t count, float* room, int8_t* codes) = nullptr;
  // to[4 i] = codes[i]. Writes nothing between.
  void (*spread)(const int8_t* codes, int64_t count, int8_t* to) = nullptr;
  void (*attend)(const AttendCall&) = nullptr;
  // The same of an 8-bit cache by tiles, where the set has them.  Requires:
  // has_whole_tiles(head_dim); tile_attend_scratch.
  void (*attend_by_tiles)(const AttendCall&) = nullptr;
  // Of rows of a prompt over an 8-bit cache, where the set has another way for them, with bits of
  // its own; up to kMostPromptQueries.  Requires: has_whole_tiles(head_dim); prompt_attend_scratch.
  void (*attend_prompt)(const AttendCall&) = nullptr;
};

// Bytes of PanelCall::scratch: some groups of a panel with their numbers as bytes and their scales
// as f32, which leave room beside them in a first-level cache of 32 KiB, and the sums of the rows
// so far.
inline constexpr int64_t kRunBytes = 25 * 1024;
constexpr int64_t scratch_bytes(int64_t rows) {
  return kRunBytes + rows * 128;
}
inline constexpr int64_t kTileRows = 16;
constexpr int64_t tile_count(int64_t rows) {
  return (rows + kTileRows - 1) / kTileRows;
}
// Likewise, and the integers of four tiles; the sums of whole tiles, and of one more.
inline constexpr int64_t kTiledDotBytes = 4 * kTileRows * kTileRows * 4;
constexpr int64_t tile_scratch_bytes(int64_t rows) {
  return kRunBytes + kTiledDotBytes + (rows + 2 * kTileRows) * 128;
}
// In place of a number of rows: not for any.
inline constexpr int64_t kNever = int64_t{1} << 62;

}  // namespace mill::tensor
