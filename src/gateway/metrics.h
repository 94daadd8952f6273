// Counts and times for GET /metrics, in the text format of Prometheus 0.0.4. Any thread may record
// and read.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "base/clock.h"
#include "gateway/model_directory.h"
#include "gateway/request_record.h"
#include "net/http_server.h"
#include "text/token_cache.h"

namespace mill::gateway {

// A cumulative histogram of seconds or of counts.
class Histogram {
 public:
  enum class Of { kSeconds, kCounts };
  // `bounds`: the upper ends of the buckets, rising; must outlive it.
  explicit Histogram(std::span<const double> bounds, Of of = Of::kSeconds);
  void record(Duration duration);    // of seconds
  void record_count(int64_t count);  // of counts; not negative
  // Appends NAME_bucket{LABELS,le=…}, _sum and _count.
  void append(std::string& out, std::string_view name, std::string_view labels) const;

 private:
  void add(double value, uint64_t to_sum);

  std::span<const double> bounds_;
  std::vector<std::atomic<uint64_t>> counts_;  // [bounds + 1]; each its own bucket alone
  std::atomic<uint64_t> sum_{0};               // in nanoseconds, or of the counts
  const Of of_;
};

struct ModelMetrics {
  ModelMetrics();
  // An answer, good or cut short, that took so long: its tokens and times.
  void answered(const RequestRecord& record, Duration duration);

  std::atomic<int64_t> prompt_tokens{0};
  std::atomic<int64_t> cached_tokens{0};
  std::atomic<int64_t> completion_tokens{0};
  Histogram time_to_first_token;
  Histogram inter_token;
  Histogram request_duration;
  Histogram time_per_output_token;      // of an answer, from its first token to its last
  Histogram input_usage, output_usage;  // tokens of one answer
};

class Metrics {
 public:
  // The directory and the cache must outlive it; `probe` may be null.
  Metrics(const ModelDirectory& models, const text::TokenCache& tokens,
          std::shared_ptr<const net::HttpProbe> probe);

  // Counts on where a model of that id left off.
  ModelMetrics& of(const ServedModel& model);
  // Also why it was refused, where it was.
  void count_request(const RequestRecord& record);
  std::string text() const;

 private:
  void append_refusals(std::string& out) const;

  const ModelDirectory& models_;
  const text::TokenCache& tokens_;
  std::shared_ptr<const net::HttpProbe> probe_;
  mutable std::mutex mutex_;
  std::map<std::string, std::unique_ptr<ModelMetrics>, std::less<>> per_model_;  // by id
  std::map<std::tuple<std::string, int, std::string>, int64_t> requests_;  // route, status, model
  // reason, limit, level, model
  std::map<std::tuple<std::string_view, std::string_view, std::string_view, std::string>, int64_t>
      refusals_;
};

}  // namespace mill::gateway
