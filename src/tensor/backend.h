// The operations of a decoder, on one instruction-set path. `reference` is the truth in plain f32;
// the others are checked against it op by op over random shapes.
//
// Every operation is called by all members of a team with the same arguments; each does its share.
// None of them waits: where one reads what another wrote, the caller calls team.wait() in between.
// The result for a row depends on that row alone: not on how many rows there are, which others, or
// how many threads (so answers don't depend on who else is in the batch); and on whether it is one
// of a prompt, where prompts_apart().
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "tensor/dtype.h"
#include "tensor/kv_cache.h"
#include "tensor/thread_pool.h"
#include "tensor/view.h"

namespace mill::tensor {

// A weight matrix as it stands in a model file: [rows, cols] (outputs, inputs), row after row, each
// row_bytes(dtype, cols).
struct Weight {
  DType dtype = DType::kF32;
  int64_t rows = 0;
  int64_t cols = 0;
  const std::byte* data = nullptr;
};

// The same matrix in the order a backend reads it. Made by Backend::pack; the bytes belong to
// whoever gave the room.
struct PackedMatrix {
  int64_t rows = 0;
  int64_t cols = 0;
  int32_t format = 0;  // the backend's own
  const std::byte* data = nullptr;
  size_t bytes = 0;
};

// Which forms of activations a product reads (bits).
inline constexpr uint32_t kValues = 1;  // f32
inline constexpr uint32_t kCodes = 2;   // int8 in groups of 32, with scale and sum; of rows of
                                        // prompts bf16, where prompts are apart

inline constexpr int64_t kGroup = 32;

// The inputs of a product. Producers fill the forms whose pointer is set. For codes, cols is a
// multiple of kGroup.
//
// Rows of prompts, of which there are many at a time, may go another way than those of answers
// (Backend::prompts_apart): in bf16. They are the last ones.
struct Activations {
  int64_t rows = 0;
  int64_t cols = 0;
  float* values = nullptr;      // [rows, cols] f32, or null
  int8_t* codes = nullptr;      // [rows, cols] s8: value ≈ code * scale of its group, or null
  float* scales = nullptr;      // [rows, cols / kGroup] f32
  int32_t* sums = nullptr;      // [rows, cols / kGroup] of the group's codes; two s16: those of its
                                // first 16 (low) and of its last 16
  int64_t prompt_rows = 0;      // so many rows at the end have bfloats in place of codes; only
                                // where prompts are apart, and with bfloats
  uint16_t* bfloats = nullptr;  // [tiles of 16 of those rows][cols / kGroup][16][kGroup], or null;
                                // aligned to 64, with room for whole tiles
};
// Numbers in Activations::bfloats.
constexpr int64_t bfloat_count(int64_t prompt_rows, int64_t cols) {
  return (prompt_rows + 15) / 16 * 16 * cols;
}

// One product of a set that shares its input: out[r, n] (+)= sum_k x[r, k] * w[n, k] (+ bias[n]).
struct Product {
  const PackedMatrix* weight = nullptr;
  const float* bias = nullptr;  // [weight->rows] f32, or null
  Matrix out;                   // [x.rows, weight->rows]
  bool accumulate = false;      // add to what is in `out`; of prompts apart, begin with it
};

enum class Gate { kSilu, kGeluTanh };

// Consecutive new tokens of one sequence in a batch.
struct Slice {
  int64_t first_row = 0;  // its rows in the batch are [first_row, first_row + rows)
  int64_t rows = 0;
  int64_t position = 0;  // of the first row; the sequence's tokens before it are in the cache
  std::span<const int32_t>
      blocks;  // block ids of the sequence; token p lies in blocks[p / kBlockTokens]
  bool of_prompt =
      false;  // rows of a prompt: a backend with prompts_apart() has other bits for them
};

struct HeadShape {
  int32_t heads = 0;
  int32_t kv_heads = 0;
  int32_t head_dim = 0;
};

// Rotation of the first `dims` entries of each head: pairs (i, i + dims/2) when half_split, else
// (2i, 2i + 1).
struct Rotation {
  ConstMatrix cos;  // [rows of the batch, dims / 2] f32, row r for the position of batch row r
  ConstMatrix sin;  // the same
  int32_t dims = 0;
  bool half_split = false;
};

// From the raw projections of a batch to rotated queries and cached keys and values.
struct StoreCall {
  HeadShape shape;
  std::span<const Slice> slices;
  Matrix q;       // [rows, heads * head_dim], normed and rotated in place
  Matrix k;       // [rows, kv_heads * head_dim], likewise, then centered and stored
  ConstMatrix v;  // [rows, kv_heads * head_dim], stored
  const float* q_norm =
      nullptr;  // [head_dim] RMS norm weight per head before the rotation, or null
  const float* k_norm = nullptr;
  // [kv_heads, head_dim] multiplied onto a key, and onto the queries of its KV head, before the
  // rotation, or null.
  const float* q_factors = nullptr;
  const float* k_factors = nullptr;
  // [kv_heads, head_dim] subtracted from a key after the rotation, or null. It moves all scores of
  // a query alike, which a softmax does not see.  Requires: no softcap where these keys are read.
  const float* k_center = nullptr;
  float eps = 0.0F;
  const Rotation* rotation = nullptr;  // null: positions are not encoded in this layer
  KvLayer kv;
};

// Causal attention of every row over its own sequence: softmax(cap(scale * q·k)) v, over the last
// `window` tokens (0: all), itself included. cap(x) = softcap * tanh(x / softcap) when softcap > 0.
struct AttentionCall {
  HeadShape shape;
  std::span<const Slice> slices;
  ConstMatrix q;  // [rows, heads * head_dim]
  float scale = 1.0F;
  float softcap = 0.0F;
  int64_t window = 0;
  KvLayer kv;
  Activations out;  // [rows, heads * head_dim]
};

class Backend {
 public:
  virtual ~Backend() = default;
  virtual std::string_view name() const = 0;  // "reference", "scalar", "avx2", "avx512", "amx"
  // Whether rows of prompts (Activations::prompt_rows, Slice::of_prompt) are computed another way
  // than those of answers, and so have other bits. Either way a row's depend on it alone.
  virtual bool prompts_apart() const { return false; }

  // Packing. The room is aligned to 64 bytes. pack shares the work within the team, and so must be
  // followed by a wait.
  virtual size_t packed_bytes(const Weight& weight) const = 0;
  virtual PackedMatrix pack(Team& team, const Weight& weight, std::span<std::byte> room) const = 0;
  virtual uint32_t form_read_by(const PackedMatrix& weight) const = 0;  // kValues or kCodes
  // The name of the order that pack writes, at most 15 characters. Packed bytes may be kept and
  // read later by any backend of the same name: a change of the order is a change of the name.
  virtual std::string_view layout() const = 0;
  // What pack returned for such a weight, over its packed bytes that were kept (aligned to 64).
  // `weight.data` is not read.  Requires: bytes.size() == packed_bytes(weight).
  virtual PackedMatrix packed(const Weight& weight, std::span<const std::byte> bytes) const = 0;

  // out = x / sqrt(mean(x²) + eps) * weight, per row.
  virtual void rms_norm(Team& team, ConstMatrix x, const float* weight, float eps,
                        const Activations& out) const = 0;
  // sum[r] += x[r] / sqrt(mean(x[r]²) + eps) * weight: the norm behind a sublayer ("sandwich"),
  // added to the residual.
  virtual void add_rms_norm(Team& team, ConstMatrix x, const float* weight, float eps,
                            Matrix sum) const = 0;
  // out = gate(g) * u, of matrices that are there: what gated_products is held against.
  virtual void gated(Team& team, Gate gate, ConstMatrix g, ConstMatrix u,
                     const Activations& out) const = 0;
  // All products of `x`, without a wait between them.
  virtual void products(Team& team, const Activations& x,
                        std::span<const Product> products) const = 0;
  // out = gate(x · gate_weight) * (x · up_weight): both products and the gate of one panel after
  // the other, so that what lies between stays in a core's caches.  Requires: as many rows of each.
  virtual void gated_products(Team& team, const Activations& x, Gate gate,
                              const PackedMatrix& gate_weight, const PackedMatrix& up_weight,
                              const Activations& out) const = 0;
  virtual void store_kv(Team& team, const StoreCall& call) const = 0;
  virtual void attention(Team& team, const AttentionCall& call) const = 0;
  // This member will take part in such an attention: the products till then fetch what it is going
  // to read of the cache meanwhile. Changes no result; q and out of the call are not looked at.
  virtual void expect(Team& /*team*/, const AttentionCall& /*call*/) const {}
};

// The backends of this binary that this machine can run, fastest first; the last is always
// "reference".
std::vector<std::string_view> backend_names();
// By name, or the fastest for "auto". Fails with kUnsupported, naming those that can be had.
Result<std::unique_ptr<Backend>> make_backend(std::string_view name);

}  // namespace mill::tensor
