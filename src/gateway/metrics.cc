#include "gateway/metrics.h"

#include <fmt/format.h>

namespace mill::gateway {
namespace {

// Seconds. A first token may take from a millisecond (a short prompt) to minutes (a long one in a
// queue). Among the bounds of the first and the last are all that the semantic conventions want of
// the metrics that are shown by those names too (kGenAiRows).
constexpr double kFirstTokenBounds[] = {0.001, 0.005, 0.01, 0.02, 0.04, 0.05, 0.06, 0.08,
                                        0.1,   0.2,   0.25, 0.5,  0.75, 1,    2,    2.5,
                                        5,     7.5,   10,   20,   60,   120};
constexpr double kInterTokenBounds[] = {0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075,
                                        0.1,   0.15,  0.2,   0.3,  0.5,  1,    2};
constexpr double kDurationBounds[] = {0.01,  0.02, 0.04,  0.05,  0.08, 0.1,   0.16, 0.2,  0.32,
                                      0.5,   0.64, 1,     1.28,  2,    2.56,  5,    5.12, 10,
                                      10.24, 20,   20.48, 40.96, 60,   81.92, 120,  300,  600};

// As the semantic conventions want them, of tokens and of seconds a token.
constexpr double kTokenBounds[] = {1,     4,     16,     64,      256,     1024,     4096,
                                   16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864};
constexpr double kOutputTokenBounds[] = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1,
                                         0.15,  0.2,    0.3,   0.4,  0.5,   0.75, 1,     2.5};

std::string escape_label(std::string_view value) {
  std::string out;
  for (const char c : value) {
    if (c == '\\' || c == '"') out += '\\';
    if (c == '\n') {
      out += "\\n";
    } else {
      out += c;
    }
  }
  return out;
}

std::string label(std::string_view id) {
  return fmt::format("model=\"{}\"", escape_label(id));
}

void describe(std::string& out, std::string_view name, std::string_view type,
              std::string_view help) {
  fmt::format_to(std::back_inserter(out), "# HELP {} {}\n# TYPE {} {}\n", name, help, name, type);
}

void sample(std::string& out, std::string_view name, std::string_view labels, int64_t value) {
  if (labels.empty()) {
    fmt::format_to(std::back_inserter(out), "{} {}\n", name, value);
  } else {
    fmt::format_to(std::back_inserter(out), "{}{{{}}} {}\n", name, labels, value);
  }
}

struct LoadRow {
  std::string_view name, type, help;
  int64_t work::Load::*value;
};

constexpr LoadRow kLoadRows[] = {
    {"tokenmill_sequences_running", "gauge", "Answers in the batch", &work::Load::running},
    {"tokenmill_sequences_waiting", "gauge", "Answers accepted and not started",
     &work::Load::waiting},
    {"tokenmill_kv_blocks", "gauge", "Blocks of KV memory", &work::Load::kv_blocks_total},
    {"tokenmill_kv_blocks_free", "gauge", "Blocks of KV memory without an owner",
     &work::Load::kv_blocks_free},
    {"tokenmill_kv_window_blocks", "gauge",
     "Blocks of KV memory for layers with a sliding window, which have their own",
     &work::Load::kv_window_blocks_total},
    {"tokenmill_kv_window_blocks_free", "gauge", "Of these, those without an owner",
     &work::Load::kv_window_blocks_free},
    {"tokenmill_kv_bytes", "gauge", "Size of the KV memory", &work::Load::kv_bytes_total},
    {"tokenmill_kv_bytes_owned", "gauge", "Size of the blocks that have an owner",
     &work::Load::kv_bytes_owned},
    {"tokenmill_steps_total", "counter", "Steps of the engine", &work::Load::steps},
    {"tokenmill_computed_prompt_tokens_total", "counter",
     "Prompt tokens that went through the model", &work::Load::prompt_tokens},
    {"tokenmill_generated_tokens_total", "counter", "Tokens that were sampled",
     &work::Load::generated_tokens},
    {"tokenmill_preemptions_total", "counter", "Answers put back to make room",
     &work::Load::preemptions},
    {"tokenmill_prefix_cache_hit_tokens_total", "counter",
     "Prompt tokens found in the prefix cache", &work::Load::cached_tokens},
    {"tokenmill_prefix_cache_blocks", "gauge", "Free blocks that hold a prefix",
     &work::Load::cached_blocks},
    {"tokenmill_drafts_accepted_total", "counter", "Guessed tokens that were right",
     &work::Load::accepted_drafts},
    {"tokenmill_drafts_rejected_total", "counter", "Guessed tokens that were wrong",
     &work::Load::rejected_drafts},
};

struct ProbeRow {
  std::string_view name, type, help;
  std::atomic<int64_t> net::HttpProbe::*value;
};

constexpr ProbeRow kProbeRows[] = {
    {"tokenmill_http_connections", "gauge", "Open connections", &net::HttpProbe::open_connections},
    {"tokenmill_http_accepted_total", "counter", "Connections accepted", &net::HttpProbe::accepted},
    {"tokenmill_http_refused_total", "counter", "Requests refused before any handler",
     &net::HttpProbe::refused},
    {"tokenmill_http_clients_left_total", "counter", "Clients that left before their answer ended",
     &net::HttpProbe::clients_left},
    {"tokenmill_http_writes_stalled_total", "counter", "Clients that stopped reading",
     &net::HttpProbe::writes_stalled},
    {"tokenmill_http_body_bytes", "gauge", "Request bodies held in memory",
     &net::HttpProbe::body_bytes},
};

struct TokenCacheRow {
  std::string_view name, type, help;
  int64_t text::TokenCache::Counts::*value;
};

constexpr TokenCacheRow kTokenCacheRows[] = {
    {"tokenmill_token_cache_hits_total", "counter", "Units of prompts whose tokens were known",
     &text::TokenCache::Counts::hits},
    {"tokenmill_token_cache_misses_total", "counter", "Units of prompts that were tokenized",
     &text::TokenCache::Counts::misses},
    {"tokenmill_token_cache_hit_bytes_total", "counter", "Text of the known units",
     &text::TokenCache::Counts::hit_bytes},
    {"tokenmill_token_cache_missed_bytes_total", "counter", "Text of the tokenized units",
     &text::TokenCache::Counts::missed_bytes},
    {"tokenmill_token_cache_entries", "gauge", "Units in the token cache",
     &text::TokenCache::Counts::entries},
    {"tokenmill_token_cache_bytes", "gauge", "Memory of the token cache",
     &text::TokenCache::Counts::bytes},
};

struct CounterRow {
  std::string_view name, help;
  std::atomic<int64_t> ModelMetrics::*value;
};

constexpr CounterRow kCounterRows[] = {
    {"tokenmill_prompt_tokens_total", "Tokens of prompts", &ModelMetrics::prompt_tokens},
    {"tokenmill_cached_prompt_tokens_total", "Of them, found in the prefix cache",
     &ModelMetrics::cached_tokens},
    {"tokenmill_completion_tokens_total", "Tokens of answers", &ModelMetrics::completion_tokens},
};

struct HistogramRow {
  std::string_view name, help;
  Histogram ModelMetrics::*value;
};

constexpr HistogramRow kHistogramRows[] = {
    {"tokenmill_time_to_first_token_seconds",
     "From the whole request to the first token of the answer", &ModelMetrics::time_to_first_token},
    {"tokenmill_inter_token_seconds", "Between two tokens of an answer",
     &ModelMetrics::inter_token},
    {"tokenmill_request_duration_seconds", "From the whole request to the end of the answer",
     &ModelMetrics::request_duration},
};

// The same times under the names of OpenTelemetry's semantic conventions for generative AI, as of
// v1.41.0 (status: development), in Prometheus form: dots are underscores, the unit is a suffix.
// gen_ai.operation.name is left out: these are kept per model, not per endpoint.
constexpr HistogramRow kGenAiRows[] = {
    {"gen_ai_server_time_to_first_token_seconds", "Time to generate the first token",
     &ModelMetrics::time_to_first_token},
    {"gen_ai_server_request_duration_seconds", "From the request to its last byte",
     &ModelMetrics::request_duration},
    {"gen_ai_server_time_per_output_token_seconds",
     "Time per output token after the first one, of each answer",
     &ModelMetrics::time_per_output_token},
};

// One family by the type of tokens.
constexpr std::string_view kTokenUsage = "gen_ai_client_token_usage";
constexpr std::pair<std::string_view, Histogram ModelMetrics::*> kTokenTypes[] = {
    {"input", &ModelMetrics::input_usage}, {"output", &ModelMetrics::output_usage}};

std::string gen_ai_labels(std::string_view id) {
  return fmt::format("gen_ai_request_model=\"{}\",gen_ai_provider_name=\"tokenmill\"",
                     escape_label(id));
}

}  // namespace

Histogram::Histogram(std::span<const double> bounds, Of of)
    : bounds_(bounds), counts_(bounds.size() + 1), of_(of) {}

void Histogram::add(double value, uint64_t to_sum) {
  size_t bucket = 0;
  while (bucket < bounds_.size() && value > bounds_[bucket]) ++bucket;
  counts_[bucket].fetch_add(1, std::memory_order_relaxed);
  sum_.fetch_add(to_sum, std::memory_order_relaxed);
}

void Histogram::record(Duration duration) {
  const auto ns = std::chrono::duration_cast<std::chrono::nanoseconds>(duration).count();
  add(to_seconds(duration), static_cast<uint64_t>(std::max<int64_t>(ns, 0)));
}

void Histogram::record_count(int64_t count) {
  add(static_cast<double>(count), static_cast<uint64_t>(std::max<int64_t>(count, 0)));
}

void Histogram::append(std::string& out, std::string_view name, std::string_view labels) const {
  uint64_t total = 0;
  for (size_t i = 0; i < counts_.size(); ++i) {
    total += counts_[i].load(std::memory_order_relaxed);
    const std::string bound = i < bounds_.size() ? fmt::format("{}", bounds_[i]) : "+Inf";
    fmt::format_to(std::back_inserter(out), "{}_bucket{{{},le=\"{}\"}} {}\n", name, labels, bound,
                   total);
  }
  const double unit = of_ == Of::kSeconds ? 1e9 : 1;
  const double sum = static_cast<double>(sum_.load(std::memory_order_relaxed)) / unit;
  fmt::format_to(std::back_inserter(out), "{}_sum{{{}}} {}\n{}_count{{{}}} {}\n", name, labels, sum,
                 name, labels, total);
}

ModelMetrics::ModelMetrics()
    : time_to_first_token(kFirstTokenBounds),
      inter_token(kInterTokenBounds),
      request_duration(kDurationBounds),
      time_per_output_token(kOutputTokenBounds),
      input_usage(kTokenBounds, Histogram::Of::kCounts),
      output_usage(kTokenBounds, Histogram::Of::kCounts) {}

void ModelMetrics::answered(const RequestRecord& record, Duration duration) {
  const work::Usage& usage = record.usage;
  prompt_tokens += usage.prompt_tokens;
  cached_tokens += usage.cached_tokens;
  completion_tokens += usage.completion_tokens;
  request_duration.record(duration);
  if (usage.prompt_tokens > 0) input_usage.record_count(usage.prompt_tokens);
  if (usage.completion_tokens > 0) output_usage.record_count(usage.completion_tokens);
  // Of one choice: several come side by side.
  const bool one = record.finish_reason.find(',') == std::string::npos;
  if (!record.first_token || usage.completion_tokens < 2 || !one) return;
  time_per_output_token.record((record.last_token - *record.first_token) /
                               (usage.completion_tokens - 1));
}

Metrics::Metrics(const ModelDirectory& models, const text::TokenCache& tokens,
                 std::shared_ptr<const net::HttpProbe> probe)
    : models_(models), tokens_(tokens), probe_(std::move(probe)) {
  for (const KnownModel& model : models.list())
    per_model_.emplace(model.id, std::make_unique<ModelMetrics>());
}

ModelMetrics& Metrics::of(const ServedModel& model) {
  std::lock_guard lock(mutex_);
  std::unique_ptr<ModelMetrics>& metrics = per_model_[model.id];
  if (!metrics) metrics = std::make_unique<ModelMetrics>();
  return *metrics;
}

void Metrics::count_request(const RequestRecord& record) {
  std::lock_guard lock(mutex_);
  ++requests_[{std::string(record.route), record.status, record.model}];
  if (!record.reason.empty())
    ++refusals_[{record.reason, record.limit, record.level, record.model}];
}

void Metrics::append_refusals(std::string& out) const {
  describe(out, "tokenmill_refusals_total", "counter",
           "Requests turned away, by reason; with the reason limit also which and whose");
  std::lock_guard lock(mutex_);
  for (const auto& [key, count] : refusals_) {
    const auto& [reason, limit, level, model] = key;
    sample(out, "tokenmill_refusals_total",
           fmt::format("reason=\"{}\",limit=\"{}\",level=\"{}\",model=\"{}\"", reason, limit, level,
                       escape_label(model)),
           count);
  }
}

std::string Metrics::text() const {
  std::string out;
  std::vector<std::pair<std::string, const ModelMetrics*>> per_model;  // labels first
  std::vector<std::pair<std::string, const ModelMetrics*>> gen_ai;     // the same, other labels
  describe(out, "tokenmill_requests_total", "counter", "Requests answered");
  {
    std::lock_guard lock(mutex_);
    for (const auto& [id, metrics] : per_model_) {
      per_model.emplace_back(label(id), metrics.get());
      gen_ai.emplace_back(gen_ai_labels(id), metrics.get());
    }
    for (const auto& [key, count] : requests_) {
      const auto& [route, status, model] = key;
      const std::string labels = fmt::format("route=\"{}\",status=\"{}\",model=\"{}\"", route,
                                             status, escape_label(model));
      sample(out, "tokenmill_requests_total", labels, count);
    }
  }
  for (const CounterRow& row : kCounterRows) {
    describe(out, row.name, "counter", row.help);
    for (const auto& [labels, metrics] : per_model)
      sample(out, row.name, labels, (*metrics).*row.value);
  }
  for (const HistogramRow& row : kHistogramRows) {
    describe(out, row.name, "histogram", row.help);
    for (const auto& [labels, metrics] : per_model)
      ((*metrics).*row.value).append(out, row.name, labels);
  }
  for (const HistogramRow& row : kGenAiRows) {
    describe(out, row.name, "histogram", row.help);
    for (const auto& [labels, metrics] : gen_ai)
      ((*metrics).*row.value).append(out, row.name, labels);
  }
  describe(out, kTokenUsage, "histogram", "Tokens of a request, as they are charged");
  for (const auto& [labels, metrics] : gen_ai) {
    for (const auto& [type, value] : kTokenTypes) {
      const std::string with_type = fmt::format("{},gen_ai_token_type=\"{}\"", labels, type);
      ((*metrics).*value).append(out, kTokenUsage, with_type);
    }
  }
  append_refusals(out);
  std::vector<std::pair<std::string, work::Load>> loads;
  const std::vector<KnownModel> known = models_.list();
  describe(out, "tokenmill_model_loaded", "gauge", "1 for a model that is loaded, else 0");
  for (const KnownModel& model : known) {
    sample(out, "tokenmill_model_loaded", label(model.id), model.loaded ? 1 : 0);
    if (model.loaded) loads.emplace_back(label(model.id), model.loaded->worker->load());
  }
  for (const LoadRow& row : kLoadRows) {
    describe(out, row.name, row.type, row.help);
    for (const auto& [labels, load] : loads) sample(out, row.name, labels, load.*row.value);
  }
  describe(out, "tokenmill_queue_wait_seconds", "gauge", "How long a new request would wait");
  for (const auto& [labels, load] : loads)
    fmt::format_to(std::back_inserter(out), "tokenmill_queue_wait_seconds{{{}}} {}\n", labels,
                   load.drain_seconds);
  const text::TokenCache::Counts counts = tokens_.counts();
  for (const TokenCacheRow& row : kTokenCacheRows) {
    describe(out, row.name, row.type, row.help);
    sample(out, row.name, "", counts.*row.value);
  }
  if (!probe_) return out;
  for (const ProbeRow& row : kProbeRows) {
    describe(out, row.name, row.type, row.help);
    sample(out, row.name, "", (*probe_).*row.value);
  }
  return out;
}

}  // namespace mill::gateway
