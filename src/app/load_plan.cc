#include "app/load_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <utility>

#include "load/trace.h"

namespace mill::app {
namespace {

constexpr double kUsualSeconds = 30;    // of an open loop that is given no end
constexpr int64_t kUsualPerClient = 4;  // requests of a closed loop that is given none
constexpr int64_t kFewest = 16;
constexpr size_t kMostPoints = 32;
constexpr int64_t kWarmIndex = 1 << 25;  // no run comes so far (and sources end at 2^26)
constexpr int32_t kWarmClients = 32;

Result<Duration> duration_of(const std::string& text, const std::string& flag) {
  const Setting setting{.name = flag,
                        .kind = Kind::kDuration,
                        .commands = kBench,
                        .fallback = "",
                        .help = "",
                        .low = 0,
                        .high = 7 * 86400};
  MILL_TRY(const Value value, parse_value(setting, {text}, "--" + flag, {}));
  return std::chrono::duration_cast<Duration>(std::chrono::nanoseconds(std::get<int64_t>(value)));
}

tl::unexpected<Error> both(const std::string& one, const std::string& other) {
  return fail(Code::kInvalid, fmt::format("--{} and --{} exclude each other", one, other), one);
}

double mean_rate(const std::vector<load::Ask>& asks) {
  const double seconds = to_seconds(asks.back().at);
  return seconds > 0 ? static_cast<double>(asks.size()) / seconds
                     : static_cast<double>(asks.size());
}

std::string words_for_slo(const load::Slo& slo) {
  std::string words;
  const auto add = [&](const char* name, double seconds) {
    if (seconds > 0) words += fmt::format(", {} at most {:g} ms", name, seconds * 1000);
  };
  add("TTFT", slo.ttft_seconds);
  add("TPOT", slo.tpot_seconds);
  add("every gap", slo.itl_seconds);
  return words;
}

}  // namespace

Status LoadPlan::take_loads(const LoadArguments& arguments) {
  if (!arguments.clients.empty() && !arguments.rates.empty()) return both("clients", "rate");
  open_loop = !arguments.rates.empty() || (arguments.clients.empty() && !arguments.trace.empty());
  loads.assign(arguments.clients.begin(), arguments.clients.end());
  if (!arguments.rates.empty()) loads = arguments.rates;
  if (loads.size() > kMostPoints) {
    return fail(Code::kInvalid, fmt::format("a sweep has at most {} points", kMostPoints));
  }
  return {};
}

Status LoadPlan::take_asks(const LoadArguments& arguments) {
  if (!arguments.trace.empty() && !arguments.prompts.empty()) return both("trace", "prompts");
  MILL_TRY(shape_.prompt, load::parse_lengths(arguments.input, "--input"));
  MILL_TRY(shape_.output, load::parse_lengths(arguments.output, "--output"));
  shape_.shared_prefix = static_cast<int32_t>(arguments.shared_prefix);
  shape_.requests = arguments.requests;
  shape_.seed = arguments.seed;
  if (!arguments.trace.empty()) {
    kind_ = Kind::kTrace;
    timed_ = open_loop && arguments.rates.empty();
    const load::TraceOptions options{.requests = arguments.requests,
                                     .max_prompt = static_cast<int32_t>(arguments.max_input),
                                     .max_output = static_cast<int32_t>(arguments.max_output),
                                     .speed = arguments.speed};
    MILL_TRY(list_, load::read_trace(arguments.trace, options));
    if (timed_) loads = {mean_rate(list_)};
    words = fmt::format("the trace {}, {} requests", arguments.trace, list_.size());
  } else if (!arguments.prompts.empty()) {
    kind_ = Kind::kPrompts;
    MILL_TRY(list_, load::read_prompts(arguments.prompts, shape_.output.low));
    words = fmt::format("the prompts of {}, {} of them", arguments.prompts, list_.size());
  } else {
    words = fmt::format("prompts of {} tokens, answers of {}", load::describe(shape_.prompt),
                        load::describe(shape_.output));
    if (shape_.shared_prefix > 0) {
      words += fmt::format(", the first {} the same", shape_.shared_prefix);
    }
  }
  if (loads.empty()) loads = {1};
  if (open_loop) {
    process_ = arguments.process == "even" ? load::Process::kEven : load::Process::kPoisson;
    words += timed_ ? fmt::format(", at its own times {:g} × as fast", arguments.speed)
             : kind_ == Kind::kTrace            ? ", its times scaled to the rate"
             : process_ == load::Process::kEven ? ", arriving evenly"
                                                : ", arriving as a Poisson process";
  }
  return {};
}

Status LoadPlan::take_bounds(const LoadArguments& arguments) {
  MILL_TRY(how.at_most, duration_of(arguments.duration, "duration"));
  MILL_TRY(how.patience, duration_of(arguments.deadline, "deadline"));
  if (how.patience == Duration{}) how.patience = std::chrono::hours(7 * 24);
  how.in_flight = static_cast<int32_t>(arguments.in_flight);
  MILL_TRY(const Duration ttft, duration_of(arguments.slo_ttft, "slo-ttft"));
  MILL_TRY(const Duration tpot, duration_of(arguments.slo_tpot, "slo-tpot"));
  MILL_TRY(const Duration itl, duration_of(arguments.slo_itl, "slo-itl"));
  slo = {.ttft_seconds = to_seconds(ttft),
         .tpot_seconds = to_seconds(tpot),
         .itl_seconds = to_seconds(itl)};
  warmup = arguments.warmup;
  words += words_for_slo(slo);
  return {};
}

Result<LoadPlan> LoadPlan::make(const LoadArguments& arguments) {
  LoadPlan plan;
  MILL_TRY_DO(plan.take_loads(arguments));
  MILL_TRY_DO(plan.take_asks(arguments));
  MILL_TRY_DO(plan.take_bounds(arguments));
  return plan;
}

int64_t LoadPlan::requests_at(double load) const {
  if (shape_.requests > 0) return shape_.requests;
  if (how.at_most > Duration{}) return 0;  // the time ends it
  const double usual = open_loop ? load * kUsualSeconds : load * kUsualPerClient;
  return std::max(kFewest, static_cast<int64_t>(std::ceil(usual)));
}

load::AskSource LoadPlan::asks(size_t point) const {
  const double load = loads[point];
  if (kind_ == Kind::kTrace && open_loop && !timed_) {
    std::vector<load::Ask> asks = list_;
    const double factor = mean_rate(list_) / load;
    for (load::Ask& ask : asks) {
      ask.at = std::chrono::duration_cast<Duration>(
          std::chrono::duration<double>(to_seconds(ask.at) * factor));
    }
    return load::at_point(load::from_list(std::move(asks)), static_cast<uint32_t>(point));
  }
  load::Synthetic shape = shape_;
  shape.requests = requests_at(load);
  load::AskSource source =
      kind_ == Kind::kSynthetic ? load::synthetic(shape) : load::from_list(list_);
  if (open_loop && !timed_) {
    source = load::arriving(std::move(source),
                            {.per_second = load, .process = process_, .seed = shape_.seed});
  }
  return load::at_point(std::move(source), static_cast<uint32_t>(point));
}

load::Drive LoadPlan::how_at(size_t point) const {
  load::Drive drive = how;
  drive.clients = open_loop ? 0 : static_cast<int32_t>(loads[point]);
  return drive;
}

load::AskSource LoadPlan::warm_asks(size_t point) const {
  load::Synthetic shape = shape_;
  shape.requests = warmup;
  shape.first_index = kWarmIndex;
  return load::at_point(load::synthetic(shape), static_cast<uint32_t>(point));
}

load::Drive LoadPlan::warm_up() const {
  return {.clients = static_cast<int32_t>(std::min<int64_t>(warmup, kWarmClients)),
          .patience = how.patience};
}

}  // namespace mill::app
