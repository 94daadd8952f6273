// Times the steps of a decoder, without an engine: a prompt, and steps of so many sequences.
#pragma once

#include <cstdint>
#include <memory>

#include "base/result.h"
#include "engine/sampler/sampler.h"
#include "model/decoder.h"

namespace mill::app {

// Where the time of some forwards went, and that of greedy sampling after each.
struct Profile {
  model::StepProfile stations;
  double sampling = 0;  // seconds
};

struct Figure {
  int64_t batch = 0;    // 0: prefill
  int64_t context = 0;  // tokens that each sequence had before the first timed step
  int64_t tokens = 0;   // of the prompt, or timed steps
  double tokens_per_second = 0;
  double bytes_per_token = 0;        // weights read, over the tokens of a step
  double macs_per_token = 0;         // multiply-adds with weights
  std::shared_ptr<Profile> profile;  // of all timed steps; null: not asked for
};

struct DecodeShape {
  int64_t batch = 1;
  int64_t context = 128;
  int64_t steps = 64;
};

class ModelBench {
 public:
  // Both must outlive it. With `profile` figures have one.
  ModelBench(model::Decoder& decoder, tensor::ThreadPool& pool, bool profile)
      : decoder_(decoder), sampler_(pool), profile_(profile) {}

  // The median of `rounds` prompts. Fails with kOverloaded without memory for the cache.
  Result<Figure> prefill(int64_t tokens, int64_t rounds);
  // From the median step. The sequences have a cache of their own each, of which all but the first
  // are copies of the first. Fails as prefill().
  Result<Figure> decode(const DecodeShape& shape);

 private:
  model::Decoder& decoder_;
  engine::Sampler sampler_;
  const bool profile_;
};

}  // namespace mill::app
