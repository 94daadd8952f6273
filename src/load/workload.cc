#include "load/workload.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <utility>

#include "base/rng.h"

namespace mill::load {
namespace {

// Streams of random numbers under one seed; prompts take theirs by source (prompt.cc).
constexpr uint32_t kPromptStream = 0xA0000001;
constexpr uint32_t kOutputStream = 0xA0000002;
constexpr uint32_t kArrivalStream = 0xA0000003;

int32_t length_of(const Lengths& lengths, uint64_t seed, uint32_t stream, int64_t index) {
  const uint64_t position = 2 * static_cast<uint64_t>(index);
  return draw(lengths, uniform_at(seed, stream, position), uniform_at(seed, stream, position + 1));
}

}  // namespace

AskSource from_list(std::vector<Ask> asks) {
  return [asks = std::move(asks), next = size_t{0}]() mutable -> std::optional<Ask> {
    if (next == asks.size()) return std::nullopt;
    return asks[next++];
  };
}

AskSource synthetic(const Synthetic& shape) {
  return [shape, made = int64_t{0}]() mutable -> std::optional<Ask> {
    if (shape.requests > 0 && made == shape.requests) return std::nullopt;
    const int64_t index = shape.first_index + made++;
    const int32_t prompt = length_of(shape.prompt, shape.seed, kPromptStream, index);
    const int32_t prefix = std::min(shape.shared_prefix, prompt - 1);
    Ask ask{.index = index,
            .output_tokens = length_of(shape.output, shape.seed, kOutputStream, index)};
    if (prefix > 0) ask.segments.push_back({0, prefix});
    ask.segments.push_back({kOwnSource | static_cast<uint32_t>(index), prompt - prefix});
    return ask;
  };
}

AskSource arriving(AskSource asks, const Arrivals& arrivals) {
  return [asks = std::move(asks), arrivals, seconds = 0.0,
          count = uint64_t{0}]() mutable -> std::optional<Ask> {
    std::optional<Ask> ask = asks();
    if (!ask) return ask;
    double gap = 1;
    if (arrivals.process == Process::kPoisson) {
      gap = -std::log(1 - uniform_at(arrivals.seed, kArrivalStream, count));
    }
    ++count;
    seconds += gap / arrivals.per_second;
    ask->at = std::chrono::duration_cast<Duration>(std::chrono::duration<double>(seconds));
    return ask;
  };
}

AskSource at_point(AskSource asks, uint32_t point) {
  return [asks = std::move(asks), point]() mutable -> std::optional<Ask> {
    std::optional<Ask> ask = asks();
    if (!ask) return ask;
    for (Segment& segment : ask->segments) segment.source ^= point << 26;
    return ask;
  };
}

}  // namespace mill::load
