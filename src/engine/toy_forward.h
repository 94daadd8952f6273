// A model for tests whose answers are known by heart. Its "KV cache" holds token ids; the logits of
// a token are a hash of the whole history, read back through the block table. A wrong table, a
// block with two owners or a chunk too few gives another answer. With a window there is a second
// cache, which is read for the last tokens instead: it gives the same answers, if it is right.
#pragma once

#include <atomic>
#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <span>
#include <vector>

#include "base/check.h"
#include "base/rng.h"
#include "engine/forward.h"

namespace mill::engine {

struct ToyOptions {
  int64_t vocabulary = 40;
  int64_t context = 100000;
  int64_t window = 0;
  model::DecoderLimits limits;
  TokenId poison = kNoToken;  // a history with this token has NaN among its logits
  std::function<void(std::span<const model::SequenceSlice>)> before;  // each forward
};

class ToyForward final : public Forward {
 public:
  using Options = ToyOptions;

  explicit ToyForward(Options options) : options_(std::move(options)) {}

  int64_t vocabulary() const override { return options_.vocabulary; }
  int64_t context_tokens() const override { return options_.context; }
  size_t block_bytes() const override { return tensor::kBlockTokens * sizeof(TokenId); }
  size_t window_block_bytes() const override { return options_.window > 0 ? block_bytes() : 0; }
  int64_t window() const override { return options_.window; }
  model::DecoderLimits limits() const override { return options_.limits; }

  tensor::ConstMatrix forward(std::span<const model::SequenceSlice> slices,
                              const model::KvMemory& kv) override {
    if (options_.before) options_.before(slices);
    logits_.clear();
    int64_t tokens = 0;
    int64_t rows = 0;
    for (const model::SequenceSlice& slice : slices) {
      const auto count = static_cast<int64_t>(slice.tokens.size());
      tokens += count;
      for (int64_t i = 0; i < count; ++i) {
        const TokenId* token = &slice.tokens[static_cast<size_t>(i)];
        std::memcpy(cell(slice.blocks, slice.position + i, kv.full), token, sizeof(TokenId));
        if (options_.window > 0) {
          std::memcpy(cell(slice.window_blocks, slice.position + i, kv.windowed), token,
                      sizeof(TokenId));
        }
        if (i < slice.logits_from) continue;
        const auto row = logits_of(history(slice, slice.position + i, kv), options_);
        logits_.insert(logits_.end(), row.begin(), row.end());
        ++rows;
      }
    }
    MILL_CHECK(tokens > 0 && tokens <= options_.limits.batch_tokens);
    MILL_CHECK(rows <= options_.limits.logit_rows);
    return {logits_.data(), rows, options_.vocabulary, options_.vocabulary};
  }

  // [vocabulary], in [-4, 4).
  static std::vector<float> logits_of(std::span<const TokenId> history, const Options& options) {
    uint64_t hash = 1469598103934665603ULL;
    bool poisoned = false;
    for (const TokenId token : history) {
      hash = (hash ^ static_cast<uint64_t>(token + 1)) * 1099511628211ULL;
      poisoned = poisoned || token == options.poison;
    }
    std::vector<float> logits(static_cast<size_t>(options.vocabulary));
    for (size_t i = 0; i < logits.size(); ++i) {
      logits[i] = static_cast<float>(8 * uniform_at(hash, 0, i) - 4);
    }
    if (poisoned) logits[logits.size() / 2] = std::numeric_limits<float>::quiet_NaN();
    return logits;
  }

  // What greedy decoding gives, without any engine.
  static std::vector<TokenId> greedy(std::vector<TokenId> history, int64_t count,
                                     const Options& options = {}) {
    std::vector<TokenId> answer;
    for (int64_t i = 0; i < count; ++i) {
      const auto logits = logits_of(history, options);
      const auto best = std::max_element(logits.begin(), logits.end()) - logits.begin();
      answer.push_back(static_cast<TokenId>(best));
      history.push_back(answer.back());
    }
    return answer;
  }

 private:
  std::byte* cell(std::span<const int32_t> blocks, int64_t position, std::byte* kv) const {
    const int32_t block = blocks[static_cast<size_t>(position / tensor::kBlockTokens)];
    MILL_CHECK(block >= 0);
    return kv + static_cast<size_t>(block) * block_bytes() +
           static_cast<size_t>(position % tensor::kBlockTokens) * sizeof(TokenId);
  }

  std::vector<TokenId> history(const model::SequenceSlice& slice, int64_t last,
                               const model::KvMemory& kv) const {
    std::vector<TokenId> tokens(static_cast<size_t>(last) + 1);
    for (int64_t p = 0; p <= last; ++p) {
      const bool seen = options_.window > 0 && p > last - options_.window;
      const std::byte* from =
          seen ? cell(slice.window_blocks, p, kv.windowed) : cell(slice.blocks, p, kv.full);
      std::memcpy(&tokens[static_cast<size_t>(p)], from, sizeof(TokenId));
    }
    return tokens;
  }

  const Options options_;
  std::vector<float> logits_;
};

}  // namespace mill::engine
