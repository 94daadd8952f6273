#include "engine/sampler/row_ops.h"

#include <cstddef>
#include <limits>

#include "base/check.h"

namespace mill::engine {
namespace {

constexpr float kLowest = -std::numeric_limits<float>::infinity();

// Chunk by chunk: visit(first, values, count). There are always kChunk values to read: behind the
// end of the row they repeat its last one.
template <class Visit>
void for_chunks(std::span<const float> row, const Visit& visit) {
  const auto size = static_cast<int64_t>(row.size());
  int64_t first = 0;
  for (; first + kChunk <= size; first += kChunk) visit(first, row.data() + first, kChunk);
  if (first == size) return;
  float padded[kChunk];
  std::copy(row.begin() + first, row.end(), padded);
  std::fill(padded + (size - first), padded + kChunk, row.back());
  visit(first, padded, size - first);
}

// One binary for all x86-64: each of these is compiled for several vector widths, and the loader
// takes the widest that the machine has. The order of every sum is written out, so the results are
// the same.
// Not under ThreadSanitizer, whose runtime is not up yet when the loader chooses.
#if defined(__x86_64__) && !defined(__SANITIZE_THREAD__)
#define MILL_ALL_WIDTHS __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define MILL_ALL_WIDTHS
#endif

struct ChunkMax {
  float max;
  bool finite;
};

// Of kChunk values. On their bits as integers, which in this form are in the order of the values,
// and whose maxima the compiler may reorder as it may not with floats.
MILL_ALL_WIDTHS ChunkMax max_of(const float* values) {
  constexpr int32_t kMagnitude = 0x7fffffff;
  constexpr int32_t kInfinity = 0x7f800000;
  int32_t max = std::numeric_limits<int32_t>::min();
  int32_t magnitude = 0;
  for (int64_t i = 0; i < kChunk; ++i) {
    const auto bits = std::bit_cast<int32_t>(values[i]);
    const int32_t ordered = bits ^ ((bits >> 31) & kMagnitude);
    max = std::max(max, ordered);
    magnitude = std::max(magnitude, bits & kMagnitude);
  }
  return {std::bit_cast<float>(max ^ ((max >> 31) & kMagnitude)), magnitude < kInfinity};
}

// The weights of kChunk values.
MILL_ALL_WIDTHS void weigh_chunk(const float* values, float top, float scale,
                                 float* __restrict weights) {
  for (int64_t i = 0; i < kChunk; ++i) weights[i] = exp_of((values[i] - top) * scale);
}

// The sum of kChunk weights, in lanes.
MILL_ALL_WIDTHS double sum_of(const float* weights) {
  float lanes[kLanes] = {};
  for (int64_t i = 0; i < kChunk; i += kLanes) {
    for (int64_t lane = 0; lane < kLanes; ++lane) lanes[lane] += weights[i + lane];
  }
  double total = 0;
  for (const float lane : lanes) total += static_cast<double>(lane);
  return total;
}

// Weighs `count` of kChunk values: the others weigh nothing.
double weigh_chunk(const float* values, int64_t count, float top, float scale,
                   float (&weights)[kChunk]) {
  weigh_chunk(values, top, scale, weights);
  std::fill(weights + count, weights + kChunk, 0.0F);
  return sum_of(weights);
}

}  // namespace

Highest highest(std::span<const float> logits) {
  MILL_CHECK(!logits.empty());
  Highest found{.logit = kLowest};
  int64_t chunk = 0;
  for_chunks(logits, [&](int64_t first, const float* values, int64_t) {
    const ChunkMax here = max_of(values);
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
  float chunk[kChunk];
  for_chunks(logits, [&](int64_t first, const float* values, int64_t count) {
    chunk_sums.push_back(weigh_chunk(values, count, top, scale, chunk));
    std::copy(chunk, chunk + count, weights.begin() + first);
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
    if (best.size() >= keep && max_of(values).max <= least) return;
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
    if (max_of(chunk).max < least) return;
    for (int64_t i = 0; i < count; ++i) {
      if (chunk[i] < least) continue;
      const auto token = static_cast<TokenId>(first + i);
      found.push_back({token, logits[static_cast<size_t>(token)], chunk[i]});
    }
  });
}

}  // namespace mill::engine
