#include "engine/sampler/row_ops.h"

#include <cstddef>
#include <limits>

#include "base/check.h"

namespace mill::engine {
namespace {

constexpr float kLowest = -std::numeric_limits<float>::infinity();

// Chunk by chunk: visit(first, values, count), count == kChunk but for the last.
template <class Visit>
void for_chunks(std::span<const float> row, const Visit& visit) {
  const auto size = static_cast<int64_t>(row.size());
  for (int64_t first = 0; first < size; first += kChunk) {
    visit(first, row.data() + first, std::min(kChunk, size - first));
  }
}

struct ChunkMax {
  float max;
  bool finite;
};

// Lanes that don't look at each other, because float maxima and sums may not be reordered.
ChunkMax max_of(const float* values, int64_t count) {
  float max[kLanes];
  uint32_t odd[kLanes];
  for (int64_t lane = 0; lane < kLanes; ++lane) {
    max[lane] = kLowest;
    odd[lane] = 0;
  }
  constexpr uint32_t kExponent = 0x7f800000;
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    for (int64_t lane = 0; lane < kLanes; ++lane) {
      const float value = values[i + lane];
      max[lane] = max[lane] < value ? value : max[lane];
      const uint32_t exponent = std::bit_cast<uint32_t>(value) & kExponent;
      odd[lane] |= exponent == kExponent ? 1U : 0U;
    }
  }
  for (int64_t lane = 0; i < count; ++i, ++lane) {
    max[lane] = std::max(max[lane], values[i]);
    odd[lane] |= (std::bit_cast<uint32_t>(values[i]) & kExponent) == kExponent ? 1U : 0U;
  }
  ChunkMax all{max[0], odd[0] == 0};
  for (int64_t lane = 1; lane < kLanes; ++lane) {
    all.max = std::max(all.max, max[lane]);
    all.finite = all.finite && odd[lane] == 0;
  }
  return all;
}

double total_of(const float (&lanes)[kLanes]) {
  double total = 0;
  for (const float lane : lanes) total += static_cast<double>(lane);
  return total;
}

// Writes the weights of a chunk and returns their sum.
double weigh_chunk(const float* values, int64_t count, float top, float scale, float* weights) {
  float sums[kLanes] = {};
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    for (int64_t lane = 0; lane < kLanes; ++lane) {
      const float weight = exp_of((values[i + lane] - top) * scale);
      weights[i + lane] = weight;
      sums[lane] += weight;
    }
  }
  for (int64_t lane = 0; i < count; ++i, ++lane) {
    weights[i] = exp_of((values[i] - top) * scale);
    sums[lane] += weights[i];
  }
  return total_of(sums);
}

}  // namespace

Highest highest(std::span<const float> logits) {
  MILL_CHECK(!logits.empty());
  Highest found{.logit = kLowest};
  int64_t chunk = 0;
  for_chunks(logits, [&](int64_t first, const float* values, int64_t count) {
    const ChunkMax here = max_of(values, count);
    found.finite = found.finite && here.finite;
    if (here.max > found.logit) {
      found.logit = here.max;
      chunk = first;
    }
  });
  if (!found.finite) return found;
  while (logits[static_cast<size_t>(chunk)] != found.logit) ++chunk;
  found.token = static_cast<TokenId>(chunk);
  return found;
}

double sum_of_exp(std::span<const float> logits, float top, float scale) {
  double total = 0;
  float weights[kChunk];
  for_chunks(logits, [&](int64_t, const float* values, int64_t count) {
    total += weigh_chunk(values, count, top, scale, weights);
  });
  return total;
}

double weigh(std::span<const float> logits, float top, float scale, std::vector<float>& weights,
             std::vector<double>& chunk_sums) {
  weights.resize(logits.size());
  chunk_sums.clear();
  double total = 0;
  for_chunks(logits, [&](int64_t first, const float* values, int64_t count) {
    chunk_sums.push_back(weigh_chunk(values, count, top, scale, weights.data() + first));
    total += chunk_sums.back();
  });
  return total;
}

void best_of(std::span<const float> logits, int64_t count, std::vector<Candidate>& best) {
  best.clear();
  if (count <= 0) return;
  const auto keep = static_cast<size_t>(std::min<int64_t>(count, std::ssize(logits)));
  const size_t room = keep + std::max<size_t>(keep, 256);
  best.reserve(room);
  float least = kLowest;  // what a token has to exceed: ids grow, so an equal one comes too late
  const auto shrink = [&] {
    std::nth_element(best.begin(), best.begin() + static_cast<ptrdiff_t>(keep) - 1, best.end(),
                     before);
    best.resize(keep);
    least = best.back().logit;
  };
  for_chunks(logits, [&](int64_t first, const float* values, int64_t size) {
    if (best.size() >= keep && max_of(values, size).max <= least) return;
    for (int64_t i = 0; i < size; ++i) {
      if (values[i] <= least) continue;
      best.push_back({static_cast<TokenId>(first + i), values[i]});
      if (best.size() == room) shrink();
    }
  });
  shrink();
  std::sort(best.begin(), best.end(), before);
}

void those_from(std::span<const float> logits, std::span<const float> values, float least,
                std::vector<Candidate>& found) {
  found.clear();
  for_chunks(values, [&](int64_t first, const float* chunk, int64_t count) {
    if (max_of(chunk, count).max < least) return;
    for (int64_t i = 0; i < count; ++i) {
      if (chunk[i] < least) continue;
      const auto token = static_cast<TokenId>(first + i);
      found.push_back({token, logits[static_cast<size_t>(token)], chunk[i]});
    }
  });
}

}  // namespace mill::engine
