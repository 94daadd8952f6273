// One decoder for every architecture: a struct of switches (config.h) filled from the file, and no
// class per model.
//
// Tokens in, logits out. The decoder holds the weights, packed for one backend; the KV bytes belong
// to the engine (kv arena) and which blocks a sequence owns is the scheduler's business. One
// forward at a time per decoder.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "model/config.h"
#include "model/gguf.h"
#include "model/load_options.h"
#include "model/step_profile.h"
#include "tensor/arena.h"
#include "tensor/backend.h"

namespace mill::model {

// How one block of the KV cache is laid out: for each layer of its kind its keys, then its values.
// Layers with a window have blocks of their own, so that theirs can be given back earlier.
struct KvLayout {
  tensor::KvType type = tensor::KvType::kF16;
  int32_t layers = 0;           // without a window
  int32_t windowed_layers = 0;  // with one
  int64_t window = 0;           // tokens that the latter see, the last included; 0: there are none
  int32_t kv_heads = 0;
  int32_t head_dim = 0;
  size_t plane_bytes() const {  // keys or values of one layer
    return static_cast<size_t>(kv_heads) * tensor::kv_head_bytes(type, head_dim);
  }
  size_t block_bytes() const { return plane_bytes() * 2 * static_cast<size_t>(layers); }
  size_t window_block_bytes() const {
    return plane_bytes() * 2 * static_cast<size_t>(windowed_layers);
  }
};

// Where the blocks lie: block b of the layers without a window at full + b * block_bytes, of those
// with one at windowed + b * window_block_bytes. A kind that no layer is of is never looked at.
struct KvMemory {
  std::byte* full = nullptr;
  std::byte* windowed = nullptr;
};

// For who keeps all: room for so many blocks of both kinds.
struct KvRoom {
  static Result<KvRoom> reserve(const KvLayout& layout, size_t blocks);
  KvMemory memory() const { return {full.data(), windowed.data()}; }
  tensor::Arena full, windowed;
};

// Consecutive tokens of one sequence that are to be computed in a step.
struct SequenceSlice {
  std::span<const TokenId> tokens;  // not empty
  int64_t position = 0;             // of tokens[0]; all tokens before it are in the cache
  // Tokens of the sequence at positions below this are its prompt's, the others its answer's. A
  // token has the same bits in any company, but a prompt's other ones than an answer's where the
  // backend has another way for them (Backend::prompts_apart).
  int64_t prompt_tokens = 0;
  // Enough for position + tokens.size() tokens. Of the windowed ones those that no token of the
  // slice sees may be anything.
  std::span<const int32_t> blocks;
  std::span<const int32_t> window_blocks;  // empty when no layer has a window
  int64_t logits_from =
      0;  // logits are wanted for tokens[logits_from ..]; tokens.size() - 1: for the last alone
};

struct DecoderLimits {
  int64_t batch_tokens = 512;                     // rows of one forward
  int64_t logit_rows = 64;                        // rows with logits of one forward
  tensor::KvType kv_type = tensor::KvType::kF32;  // what the cache may keep of a key or value
};

class Decoder {
 public:
  // Packs the weights with all threads of `pool`. Fails as decoder_config_of and
  // check_tensors do, with kOverloaded without memory, and with kCancelled when the progress said so.
  // The backend and the pool must outlive the decoder. The file is kept: embeddings are read from
  // it, row by row; its other pages are dropped once packed.
  static Result<std::unique_ptr<Decoder>> load(std::shared_ptr<const Gguf> file,
                                               const tensor::Backend& backend,
                                               tensor::ThreadPool& pool, DecoderLimits limits,
                                               const LoadOptions& options);
  ~Decoder();

  const DecoderConfig& config() const;
  const DecoderLimits& limits() const;
  KvLayout kv_layout() const;
  size_t weight_bytes() const;  // packed
  bool from_cache() const;      // the weights were read from a PackedCache, not packed
  bool prompts_apart() const;   // see SequenceSlice::prompt_tokens

  // Computes the slices, writes their keys and values to `kv`, and returns the wanted logits, [sum
  // of wanted rows, vocabulary] f32, slice after slice; valid until the next forward. Requires: the
  // sums of tokens and of logit rows are within limits(); token ids are within the vocabulary. Adds
  // to `profile` where the time went, unless it is null.
  tensor::ConstMatrix forward(std::span<const SequenceSlice> slices, const KvMemory& kv,
                              StepProfile* profile = nullptr);

 private:
  struct Impl;
  explicit Decoder(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace mill::model
