// How well a model predicts a text, measured the way llama.cpp's perplexity tool does: windows of
// `context` tokens, the first token of each replaced by BOS where the model wants one, and the
// second half of each window scored.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>

#include "base/ids.h"
#include "base/result.h"
#include "model/decoder.h"

namespace mill::app {

struct PerplexityResult {
  double perplexity = 0;
  double standard_error = 0;  // of the perplexity
  int64_t scored_tokens = 0;
  int64_t windows = 0;
};

struct PerplexityJob {
  std::span<const TokenId> tokens;
  int64_t context = 512;
  TokenId bos = kNoToken;   // set: stands at the start of every window
  int64_t max_windows = 0;  // 0: all
  std::filesystem::path
      logits_out;  // not empty: the logits of the first window, f32 [context, vocabulary], as .npy
};

// Fails with kInvalid when the text is shorter than one window, kIo when the logits can't be
// written.
Result<PerplexityResult> measure_perplexity(
    model::Decoder& decoder, const PerplexityJob& job,
    const std::function<void(const PerplexityResult&, int64_t windows)>& progress);

}  // namespace mill::app
