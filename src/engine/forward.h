// What the engine needs of a model: tokens in, logits out. A door rather than the Decoder itself,
// so that the step loop can be tested with a model whose answers are known by heart.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "model/decoder.h"
#include "tensor/view.h"

namespace mill::engine {

class Forward {
 public:
  virtual ~Forward() = default;

  virtual int64_t vocabulary() const = 0;
  virtual int64_t context_tokens() const = 0;  // the longest sequence that makes sense
  // Of kBlockTokens tokens in the KV cache, in layers without a window and in layers with one.
  virtual size_t block_bytes() const = 0;
  virtual size_t window_block_bytes() const = 0;  // 0: no layer has a window
  virtual int64_t window() const = 0;             // tokens that the latter see; 0: likewise
  virtual model::DecoderLimits limits() const = 0;
  // Whether tokens of prompts have other keys and values than the same tokens in answers: see
  // model::SequenceSlice::prompt_tokens.
  virtual bool prompts_apart() const { return false; }

  // As Decoder::forward. One call at a time.
  virtual tensor::ConstMatrix forward(std::span<const model::SequenceSlice> slices,
                                      const model::KvMemory& kv) = 0;
};

// The real one.
std::unique_ptr<Forward> make_forward(std::unique_ptr<model::Decoder> decoder);

}  // namespace mill::engine
