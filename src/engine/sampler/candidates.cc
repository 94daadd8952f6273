#include "engine/sampler/candidates.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace mill::engine {
namespace {

double total_of(std::span<const Candidate> candidates) {
  double total = 0;
  for (const Candidate& candidate : candidates) total += static_cast<double>(candidate.weight);
  return total;
}

// The fewest of the best whose weights reach `target`. Sorts nothing but a small rest: the range of
// logits is cut into bins, the bins above the one in which `target` is reached stay whole, that one
// is cut into bins in its turn. So a flat distribution costs a few passes and no sort of the
// vocabulary.
void keep_mass(Scratch& scratch, double target) {
  constexpr size_t kBins = 256;
  constexpr size_t kFew = 64;
  std::vector<Candidate>& open = scratch.open;  // undecided, in order of ids
  std::vector<Candidate>& kept = scratch.candidates;
  std::swap(open, kept);
  kept.clear();
  while (open.size() > kFew) {
    const auto [low, high] = std::minmax_element(
        open.begin(), open.end(),
        [](const Candidate& a, const Candidate& b) { return a.logit < b.logit; });
    const float most = high->logit;
    const float bins_per_logit = (kBins - 1) / (most - low->logit);
    if (!std::isfinite(bins_per_logit)) break;  // all (nearly) equal
    const auto bin_of = [&](const Candidate& candidate) {
      return static_cast<size_t>((most - candidate.logit) * bins_per_logit);
    };
    double mass[kBins + 1] = {};
    for (const Candidate& candidate : open) {
      mass[bin_of(candidate)] += static_cast<double>(candidate.weight);
    }
    size_t last = 0;
    while (last < bin_of(*low) && mass[last] < target) target -= mass[last++];
    scratch.next.clear();
    for (const Candidate& candidate : open) {
      const size_t bin = bin_of(candidate);
      if (bin < last) kept.push_back(candidate);
      if (bin == last) scratch.next.push_back(candidate);
    }
    std::swap(open, scratch.next);
  }
  std::sort(open.begin(), open.end(), before);
  for (const Candidate& candidate : open) {
    if (target <= 0 && !kept.empty()) break;
    kept.push_back(candidate);
    target -= static_cast<double>(candidate.weight);
  }
}

// Those most typical: keep_mass by another key, which takes the place of the logit meanwhile.
void keep_typical(std::span<const float> logits, float top, float scale, float share,
                  Scratch& scratch) {
  std::vector<Candidate>& candidates = scratch.candidates;
  const double total = total_of(candidates);
  double sum = 0;  // of weight * exponent
  const auto exponent = [&](const Candidate& candidate) {
    return static_cast<double>((logits[static_cast<size_t>(candidate.token)] - top) * scale);
  };
  for (const Candidate& candidate : candidates) {
    if (candidate.weight > 0) sum += static_cast<double>(candidate.weight) * exponent(candidate);
  }
  // surprisal - entropy = (log total - exponent) - (log total - sum / total)
  const double mean = sum / total;
  for (Candidate& candidate : candidates) {
    candidate.logit = -static_cast<float>(std::abs(mean - exponent(candidate)));
  }
  keep_mass(scratch, static_cast<double>(share) * total);
  for (Candidate& candidate : scratch.candidates) {
    candidate.logit = logits[static_cast<size_t>(candidate.token)];
  }
}

void keep_likely(float least_share, float scale, std::vector<Candidate>& candidates) {
  const auto best = std::min_element(candidates.begin(), candidates.end(), before);
  const auto least = static_cast<float>(static_cast<double>(best->logit) +
                                        std::log(static_cast<double>(least_share)) / scale);
  std::erase_if(candidates, [&](const Candidate& candidate) { return candidate.logit < least; });
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
  return sampling.top_p < 1.0F || sampling.min_p > 0.0F || sampling.typical_p < 1.0F ||
         (sampling.top_k > 0 && sampling.top_k < vocabulary);
}

double filter(std::span<const float> logits, float top, const work::Sampling& sampling,
              Scratch& scratch) {
  const float scale = scale_of(sampling.temperature);
  const auto vocabulary = static_cast<int64_t>(logits.size());
  std::vector<Candidate>& candidates = scratch.candidates;
  const auto min_logit = static_cast<float>(static_cast<double>(top) +
                                            std::log(static_cast<double>(sampling.min_p)) / scale);

  const bool top_k = sampling.top_k > 0 && sampling.top_k < vocabulary;
  if (top_k || sampling.typical_p < 1.0F) {
    if (top_k) {
      best_of(logits, sampling.top_k, candidates);
    } else {
      those_from(logits, logits, std::numeric_limits<float>::lowest(), candidates);
    }
    weigh_candidates(candidates, top, scale);
    if (sampling.typical_p < 1.0F) keep_typical(logits, top, scale, sampling.typical_p, scratch);
    if (sampling.top_p < 1.0F) {
      keep_mass(scratch, static_cast<double>(sampling.top_p) * total_of(candidates));
    }
  } else if (sampling.top_p < 1.0F) {
    const double total = weigh(logits, top, scale, scratch.weights, scratch.chunk_sums);
    // All tokens lighter than this together weigh less than what may be left out.
    const double spare = (1.0 - static_cast<double>(sampling.top_p)) * total;
    const double light = 0.999 * spare / static_cast<double>(vocabulary);
    those_from(logits, scratch.weights, static_cast<float>(light), candidates);
    keep_mass(scratch, static_cast<double>(sampling.top_p) * total);
  } else {
    those_from(logits, logits, min_logit, candidates);
    weigh_candidates(candidates, top, scale);
  }
  if (sampling.min_p > 0.0F) keep_likely(sampling.min_p, scale, candidates);
  return total_of(candidates);
}

}  // namespace mill::engine
