// Where the time of a forward goes, as the thread that called it sees it: so long at each station
// of the decoder, so long waiting for the other threads.
#pragma once

#include <array>
#include <cstddef>
#include <string_view>

#include "base/clock.h"

namespace mill::model {

enum class Station {
  kEmbedding,     // rows of the embedding, angles of the positions
  kNorms,         // RMS norms, which quantize what products read
  kQkv,           // the products for queries, keys and values
  kKvStore,       // rotation, writing of keys and values
  kAttention,     // scores, softmax, sums of values, quantization of the result
  kAttentionOut,  // the product behind it
  kGateUp,        // the first two products of the MLP and its gate, which quantizes
  kDown,          // the last product of the MLP
  kHead,          // logits
  kWaiting,       // at barriers, for the other threads
};

inline constexpr std::array<std::string_view, 10> kStationNames = {
    "embedding",     "norms",       "QKV",  "KV store", "attention",
    "attention out", "gate and up", "down", "LM head",  "waiting"};

// One thread's.
class StepProfile {
 public:
  void start() { last_ = now(); }
  // What has passed since the last call was spent at `station`.
  void end_of(Station station) {
    const Instant time = now();
    seconds_[static_cast<size_t>(station)] += to_seconds(time - last_);
    last_ = time;
  }
  double seconds(Station station) const { return seconds_[static_cast<size_t>(station)]; }
  double seconds() const {
    double sum = 0;
    for (const double part : seconds_) sum += part;
    return sum;
  }

 private:
  Instant last_{};
  std::array<double, kStationNames.size()> seconds_{};
};

}  // namespace mill::model
