// Which tokens a draw is made from: the filters of work::Sampling, without sorting the vocabulary.
//
// Every filter keeps a beginning of the tokens in order of `before` (row_ops.h): the k best
// (top_k), the fewest whose share of the probability left by the filter before it is at least p
// (top_p), those at least min_p times as likely as the best of those left (min_p). typical_p alone
// keeps another set: the fewest whose share is at least p, beginning with those whose surprisal is
// nearest to the entropy (Meister et al., "Locally typical sampling", 2022). One token always
// stays.
#pragma once

#include <span>
#include <vector>

#include "engine/sampler/row_ops.h"
#include "work/order.h"

namespace mill::engine {

// Buffers of one thread, kept between rows.
struct Scratch {
  std::vector<float> adjusted;     // logits with bias and penalties
  std::vector<int32_t> counts;     // [vocabulary], all zero between rows
  std::vector<float> weights;      // [vocabulary]
  std::vector<double> chunk_sums;  // of weights
  std::vector<Candidate> candidates;
  std::vector<Candidate> open, next;  // top_p's
};

// Whether any filter of `sampling` is on for a vocabulary of this size.
bool filters(const work::Sampling& sampling, int64_t vocabulary);

// Fills scratch.candidates with the tokens that pass, and their weights; returns the sum of these.
// Requires: filters(sampling, logits.size()), temperature > 0, `top` the highest of `logits`, all
// finite.
double filter(std::span<const float> logits, float top, const work::Sampling& sampling,
              Scratch& scratch);

// The factor on logits for a temperature > 0; finite also for the tiniest.
float scale_of(float temperature);

}  // namespace mill::engine
