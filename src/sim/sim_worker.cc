#include "sim/sim_worker.h"

#include <algorithm>
#include <string>

#include "base/check.h"
#include "work/check_order.h"

namespace mill::sim {
namespace {

constexpr Duration kGlance = std::chrono::milliseconds(2);  // at readers, while answers hang
constexpr double kFading = 0.1;                             // of the newest answer, in the mean

Status check_options(const SimOptions& options) {
  const BatchLimits& limits = options.limits;
  const auto bad = [](const char* option, const std::string& bounds) {
    return fail(Code::kInvalid, std::string(option) + " must be " + bounds, option);
  };
  if (limits.max_running < 1 || limits.max_running > 100000)
    return bad("max_batch", "in [1, 100000]");
  if (limits.step_tokens < limits.max_running) return bad("step_tokens", "at least max_batch");
  if (limits.prefill_tokens < 1) return bad("prefill_chunk", "1 or more");
  if (options.queue < 0 || options.queue > 1000000) return bad("queue", "in [0, 1000000]");
  if (options.profile.context < 2) return bad("context", "2 or more");
  const auto outside = [&](TokenId id) { return id < 0 || id >= options.vocabulary; };
  if (options.alphabet.empty() ||
      std::any_of(options.alphabet.begin(), options.alphabet.end(), outside)) {
    return bad("alphabet", "tokens of the vocabulary, and one at least");
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<SimWorker>> SimWorker::start(SimOptions options) {
  MILL_TRY_DO(check_options(options));
  return std::unique_ptr<SimWorker>(new SimWorker(std::move(options)));
}

SimWorker::SimWorker(SimOptions options)
    : options_(std::move(options)),
      at_once_(options_.profile.takes_no_time() &&
               options_.profile.faults.kind != Faults::Kind::kHang),
      batch_(options_.profile, options_.limits, options_.alphabet),
      intake_(options_.limits.max_running + options_.queue),
      load_(batch_.load()) {
  if (!at_once_) thread_ = std::thread([this] { serve(); });
}

SimWorker::~SimWorker() {
  intake_.end();
  if (thread_.joinable()) thread_.join();
}

Result<work::TokenStream> SimWorker::submit(work::Order order) {
  MILL_TRY_DO(work::check_order(order, options_.vocabulary, options_.profile.context));
  const size_t scored = order.score_prompt ? order.prompt.size() : 0;
  auto [sink, stream] = work::make_token_stream(scored + static_cast<size_t>(order.max_tokens));
  Accepted accepted(Prepared(std::move(order), options_.limits.prefix_cache), std::move(sink));
  Status taken;
  if (at_once_) {
    taken = intake_.when_open([&] { answer_now(accepted); });
  } else {
    Prepared& prepared = accepted.first;
    prepared.rank =
        now() + std::clamp(prepared.order.yield, -work::kLongestHeadStart, work::kLongestYield);
    taken = intake_.add(accepted, [] {});
  }
  if (taken) return std::move(stream);
  accepted.second.finish({.reason = work::FinishReason::kCancelled});  // nobody reads this stream
  return fail(std::move(taken.error()));
}

// Requires: the intake's lock is held.
void SimWorker::answer_now(Accepted& accepted) {
  const Instant start = accepted.first.order.deadline == kNever ? Instant() : now();
  batch_.take(std::move(accepted.first), std::move(accepted.second));
  while (batch_.begin_step(start)) batch_.end_step();
  MILL_CHECK(batch_.size() == 0);
  batch_.deliver_endings();
}

work::Load SimWorker::load() const {
  return intake_.books([&](int64_t in_flight) {
    work::Load load = at_once_ ? batch_.load() : load_;
    load.waiting = in_flight - load.running;
    load.places = intake_.places();
    const bool waits = load.waiting > 0 || load.running >= options_.limits.max_running;
    if (waits) {
      const double each = seconds_per_answer_ > 0 ? seconds_per_answer_ : 1.0;
      load.drain_seconds = each * static_cast<double>(load.waiting + 1);
    }
    return load;
  });
}

// The step thread. A step begins where the one before it ended, so that what the sleeps are late
// by does not add up.
void SimWorker::serve() {
  while (intake_.wait(batch_.size() > 0, taken_)) {
    const Instant start = now();
    for (auto& [order, sink] : taken_) batch_.take(std::move(order), std::move(sink));
    taken_.clear();
    if (const std::optional<Duration> time = batch_.begin_step(start)) {
      const bool follows = start - step_end_ < kGlance;
      step_end_ = (follows ? step_end_ : start) + *time;
      const bool goes_on = intake_.sleep_until(step_end_);
      if (goes_on) batch_.end_step();
      if (goes_on && options_.busy) options_.busy->add(*time);
    } else if (batch_.size() > 0) {
      intake_.sleep_until(start + kGlance);
    }
    settle();
  }
  for (auto& [order, sink] : taken_) batch_.take(std::move(order), std::move(sink));
  taken_.clear();
  batch_.end_all(work::FinishReason::kCancelled);
  settle();
}

// Brings the books up to date, and only then tells the readers of what has ended.
void SimWorker::settle() {
  const auto book = [&](const std::deque<Accepted>& queued) {
    load_ = batch_.load();
    const int64_t ended = batch_.ended() - std::exchange(ended_, batch_.ended());
    if (ended == 0) return;
    const Instant time = now();
    const double each = to_seconds(time - last_ending_) / static_cast<double>(ended);
    const bool others = batch_.size() > 0 || !queued.empty();
    const bool busy = last_ending_ != Instant() && others;
    if (busy) seconds_per_answer_ += kFading * (each - seconds_per_answer_);
    last_ending_ = time;
  };
  intake_.settle(batch_.size(), book, [&] { batch_.deliver_endings(); });
}

}  // namespace mill::sim
