#include "engine/sampler/candidates.h"

#include <algorithm>
#include <cmath>

namespace mill::engine {
namespace {

double total_of(std::span<const Candidate> candidates) {
  double total = 0;
  for (const Candidate& candidate : candidates) total += static_cast<double>(candidate.weight);
  return total;
}

// The fewest of the best whose weights reach `target`; they end up in order. Selects 64, 256, … of
// them until they do, so that a peaked distribution costs one pass and a flat one no full sort.
void keep_mass(std::vector<Candidate>& candidates, double target) {
  for (size_t count = 64;; count *= 4) {
    const bool all = count >= candidates.size();
    const auto end = all ? candidates.end() : candidates.begin() + static_cast<ptrdiff_t>(count);
    if (!all) {
      std::nth_element(candidates.begin(), end, candidates.end(), before);
      if (total_of(std::span(candidates).first(count)) < target) continue;
    }
    std::sort(candidates.begin(), end, before);
    double mass = 0;
    auto last = candidates.begin();
    do {
      mass += static_cast<double>(last->weight);
      ++last;
    } while (last != end && mass < target);
    candidates.erase(last, candidates.end());
    return;
  }
}

void weigh_candidates(std::vector<Candidate>& candidates, float top, float scale) {
  for (Candidate& candidate : candidates) {
    candidate.weight = exp_of((candidate.logit - top) * scale);
  }
}

}  // namespace

float scale_of(float temperature) {
  return std::min(1.0F / temperature, 1e30F);
}

bool filters(const work::Sampling& sampling, int64_t vocabulary) {
  return sampling.top_p < 1.0F || sampling.min_p > 0.0F ||
         (sampling.top_k > 0 && sampling.top_k < vocabulary);
}

double filter(std::span<const float> logits, float top, const work::Sampling& sampling,
              Scratch& scratch) {
  const float scale = scale_of(sampling.temperature);
  const auto vocabulary = static_cast<int64_t>(logits.size());
  std::vector<Candidate>& candidates = scratch.candidates;
  const auto min_logit = static_cast<float>(static_cast<double>(top) +
                                            std::log(static_cast<double>(sampling.min_p)) / scale);

  if (sampling.top_k > 0 && sampling.top_k < vocabulary) {
    best_of(logits, sampling.top_k, candidates);
    weigh_candidates(candidates, top, scale);
    if (sampling.top_p < 1.0F) {
      keep_mass(candidates, static_cast<double>(sampling.top_p) * total_of(candidates));
    }
  } else if (sampling.top_p < 1.0F) {
    const double total = weigh(logits, top, scale, scratch.weights, scratch.chunk_sums);
    // All tokens lighter than this together weigh less than what may be left out.
    const double spare = (1.0 - static_cast<double>(sampling.top_p)) * total;
    const double light = 0.999 * spare / static_cast<double>(vocabulary);
    those_from(logits, scratch.weights, static_cast<float>(light), candidates);
    keep_mass(candidates, static_cast<double>(sampling.top_p) * total);
  } else {
    those_from(logits, logits, min_logit, candidates);
    weigh_candidates(candidates, top, scale);
  }
  if (sampling.min_p > 0.0F) {
    std::erase_if(candidates,
                  [&](const Candidate& candidate) { return candidate.logit < min_logit; });
  }
  return total_of(candidates);
}

}  // namespace mill::engine
