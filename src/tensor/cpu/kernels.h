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
  uint16_t* bfloats = nullptr;  // of the row's first 32 columns; the next 32 kTileGroup behind
};
inline constexpr int64_t kTileRows = 16;
inline constexpr int64_t kTileGroup = kTileRows * 32;

// Bytes that something later reads. Products fetch them a few lines at a time between their own
// work, which is bound by computing.
struct FetchRun {
  const std::byte* from = nullptr;
  const std::byte* to = nullptr;
};
struct FetchAhead {
  const FetchRun* run = nullptr;  // the runs that are left, the first from `at` on
  const FetchRun* end = nullptr;
  const std::byte* at = nullptr;
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
  const float* terms = nullptr;  // like scales; where there is make_terms for the type
  // For prompt_product alone: whole tiles from row 0 on; and the groups that count, over which the
  // sums in `out` go on from those before.
  const uint16_t* bfloats = nullptr;
  int64_t first_group = 0, last_group = 0;
  float* out = nullptr;  // [rows, columns], row r at out + r * out_stride
  int64_t out_stride = 0;
  int64_t columns = 0;          // 1 … kPanel
  const float* bias = nullptr;  // [columns], or null
  bool accumulate = false;
  FetchAhead* ahead = nullptr;   // what else to fetch, or null
  std::byte* scratch = nullptr;  // scratch_bytes(rows), or kPromptScratchBytes for prompt_product;
                                 // aligned to 64
  const int16_t* words = nullptr;  // the codes, like them, where there is widen_codes for the type
};

// Norm of columns [first, last) of one row, gate of the same of several.  Requires: first is a
// multiple of 32; so is last, or it is the end of the row, and is where codes are wanted.
struct NormCall {
  const float* x = nullptr;  // the whole row
  int64_t first = 0, last = 0;
  const float* weight = nullptr;
  float inverse = 0;     // inverse_rms of the row
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
  ActivationRow out;       // of row 0; where it has bfloats, that begins a tile
  int64_t out_stride = 0;  // from row to row of values and codes; of scales and sums 1/32 of it
};

// Heads [first, last) of one row on their way to attention or to the cache.
struct HeadsCall {
  float* heads = nullptr;  // [heads of the row, head_dim], in place
  int64_t first = 0, last = 0;
  int64_t head_dim = 0;
  const float* norm = nullptr;  // [head_dim], or null
  float eps = 0;
  int64_t ratio = 1;               // heads of one KV head
  const float* factors = nullptr;  // [KV heads, head_dim] multiplied after the norm, or null
  const float* cos = nullptr;      // [dims / 2]; null: no rotation
  const float* sin = nullptr;
  int64_t dims = 0;
  bool half_split = false;
  const float* center = nullptr;  // [KV heads, head_dim] subtracted after the rotation, or null
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
  // attend_heads: `heads` are those of so many KV heads, in the order of the cache.
  int64_t kv_heads = 1;
  bool fetched = false;  // its begin, by the call before: see next_blocks
  // What the thread reads after this call, fetched meanwhile: blocks, likewise bytes to a head, and
  // how many heads lie there that are read together.
  const int32_t* next_blocks = nullptr;
  int64_t next_count = 0;
  int64_t next_offset = 0;
  int64_t next_kv_heads = 1;
};
inline constexpr int64_t kMostQueries = 64;
inline constexpr int64_t kMostJoinedQueries = 48;  // of attend_heads, of all KV heads
inline constexpr int64_t kMostFewQueries = 8;      // likewise, of one KV head
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
  // Fill terms and words of a call, which products with the type want; null: they do not. A term
  // is made of the sums of a row's group: that of its codes, as an f32; or, in s32, what its sums
  // of integers begin with. Of each four words, the second is the third code and the third the
  // second.
  void (*make_terms[32])(const PanelCall&, float* terms) = {};
  void (*widen_codes[32])(const PanelCall&, int16_t* words) = {};
  bool widens_codes = false;  // for any type
  // With a panel of quantized weights, of rows of prompts in bf16, where the set has tiles for
  // that; null: prompts go the way of answers. With accumulate and bias the sum begins with what is
  // there. A thread calls enter_tiles before its first such product and leave_tiles behind the
  // last.
  void (*prompt_product[32])(const PanelCall&) = {};
  void (*enter_tiles)() = nullptr;
  void (*leave_tiles)() = nullptr;
  // 1 / sqrt(the mean of the squares of `cols` numbers, and eps).
  float (*inverse_rms)(const float* x, int64_t cols, float eps) = nullptr;
  void (*norm)(const NormCall&) = nullptr;
  void (*gated)(const GateCall&) = nullptr;
  // Codes (with scales and sums) of rows of `cols` values, `stride` apart, to rows to_stride apart;
  // or bfloats, of rows of one tile.  Requires: cols and to_stride are multiples of 32.
  void (*encode)(const float* values, int64_t stride, int64_t rows, int64_t cols,
                 const ActivationRow& to, int64_t to_stride) = nullptr;
  void (*prepare_heads)(const HeadsCall&) = nullptr;
  // f32 to f16; a number beyond the range of f16 becomes the largest one.
  void (*to_half)(const float* from, uint16_t* to, int64_t count) = nullptr;
  // Codes of the transforms that an 8-bit cache keeps (kv_cache.h) of `heads` heads side by side,
  // each with its largest magnitude as 127; that, or a NaN where there is one, goes to `tops`.
  // `room` is for heads * head_dim numbers; head h's codes go to codes + h * padded_head_dim, and
  // up to a multiple of 4 zeros follow them.
  void (*code_heads)(const float* from, int64_t heads, int64_t head_dim, float* room, int8_t* codes,
                     float* tops) = nullptr;
  // to[4 i] = codes[i]. Writes nothing between.
  void (*spread)(const int8_t* codes, int64_t count, int8_t* to) = nullptr;
  void (*attend)(const AttendCall&) = nullptr;
  // The same of an 8-bit cache for the heads of several KV heads, where the set takes them
  // together. Requires: rows is 1, or kv_heads is.
  void (*attend_heads)(const AttendCall&) = nullptr;
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
constexpr int64_t tile_count(int64_t rows) {
  return (rows + kTileRows - 1) / kTileRows;
}
// Likewise for prompt_product: so many groups of a panel as bf16, and a tile's sums.
inline constexpr int64_t kPromptRunGroups = 20;
constexpr int64_t prompt_runs(int64_t groups) {
  return (groups + kPromptRunGroups - 1) / kPromptRunGroups;
}
inline constexpr int64_t kPromptScratchBytes = kPromptRunGroups * 2048 + 4096;
// In place of a number of rows: not for any.
inline constexpr int64_t kNever = int64_t{1} << 62;

}  // namespace mill::tensor
