#include "sim/sim_worker.h"

#include <algorithm>
#include <string>

#include "base/check.h"

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

Error refusal(bool closed) {
  return {Code::kOverloaded,
          closed ? "the model is shutting down, ask another"
                 : "too many requests are waiting, try again later",
          {}};
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
      places_(options_.limits.max_running + options_.queue),
      batch_(options_.profile, options_.limits, options_.alphabet),
      load_(batch_.load()) {
  if (!at_once_) thread_ = std::thread([this] { serve(); });
}

SimWorker::~SimWorker() {
  {
    std::lock_guard lock(mutex_);
    closed_ = ending_ = true;
  }
  wake_.notify_one();
  if (thread_.joinable()) thread_.join();
}

Status SimWorker::check(const work::Order& order) const {
  const auto outside = [&](TokenId id) { return id < 0 || id >= options_.vocabulary; };
  if (order.prompt.empty()) return fail(Code::kInvalid, "the prompt is empty", "prompt");
  if (std::any_of(order.prompt.begin(), order.prompt.end(), outside)) {
    return fail(Code::kInvalid, "the prompt has a token id out of the vocabulary", "prompt");
  }
  if (order.max_tokens < 0) return fail(Code::kInvalid, "max_tokens is negative", "max_tokens");
  const auto tokens = static_cast<int64_t>(order.prompt.size()) + order.max_tokens;
  if (tokens > options_.profile.context) {
    return fail(Code::kTooLarge,
                "prompt (" + std::to_string(order.prompt.size()) + " tokens) and answer (" +
                    std::to_string(order.max_tokens) + ") are longer than the context of " +
                    std::to_string(options_.profile.context) + " tokens",
                "max_tokens");
  }
  return {};
}

Result<work::TokenStream> SimWorker::submit(work::Order order) {
  MILL_TRY_DO(check(order));
  const size_t scored = order.score_prompt ? order.prompt.size() : 0;
  Prepared prepared(std::move(order), options_.limits.prefix_cache);
  if (!at_once_) {
    prepared.rank =
        now() + std::clamp(prepared.order.yield, -work::kLongestHeadStart, work::kLongestYield);
  }
  auto [sink, stream] =
      work::make_token_stream(scored + static_cast<size_t>(prepared.order.max_tokens));
  bool closed = false;
  {
    std::lock_guard lock(mutex_);
    closed = closed_;
    if (!closed_ && in_flight_ < places_) {
      if (at_once_) {
        answer_now(std::move(prepared), std::move(sink));
        return std::move(stream);
      }
      ++in_flight_;
      ++undelivered_;
      intake_.emplace_back(std::move(prepared), std::move(sink));
      wake_.notify_one();
      return std::move(stream);
    }
  }
  sink.finish({.reason = work::FinishReason::kCancelled});  // nobody reads this stream
  return fail(refusal(closed));
}

// Requires: mutex_ is held.
void SimWorker::answer_now(Prepared order, work::TokenSink sink) {
  const Instant start = order.order.deadline == kNever ? Instant() : now();
  batch_.take(std::move(order), std::move(sink));
  while (batch_.begin_step(start)) batch_.end_step();
  MILL_CHECK(batch_.size() == 0);
  batch_.deliver_endings();
}

work::Load SimWorker::load() const {
  std::lock_guard lock(mutex_);
  work::Load load = at_once_ ? batch_.load() : load_;
  load.waiting = in_flight_ - load.running;
  load.places = places_;
  const bool waits = load.waiting > 0 || load.running >= options_.limits.max_running;
  if (waits) {
    const double each = seconds_per_answer_ > 0 ? seconds_per_answer_ : 1.0;
    load.drain_seconds = each * static_cast<double>(load.waiting + 1);
  }
  return load;
}

void SimWorker::close_intake() {
  std::lock_guard lock(mutex_);
  closed_ = true;
}

bool SimWorker::drain(Instant deadline) {
  std::unique_lock lock(mutex_);
  closed_ = true;
  const auto ended = [&] { return undelivered_ == 0; };
  if (deadline == kNever) {
    quiet_.wait(lock, ended);
    return true;
  }
  return quiet_.wait_until(lock, deadline, ended);
}

// The step thread. A step begins where the one before it ended, so that what the sleeps are late
// by does not add up.
void SimWorker::serve() {
  while (wait_for_work()) {
    const Instant start = now();
    for (auto& [order, sink] : taken_) batch_.take(std::move(order), std::move(sink));
    taken_.clear();
    if (const std::optional<Duration> time = batch_.begin_step(start)) {
      const bool follows = start - step_end_ < kGlance;
      step_end_ = (follows ? step_end_ : start) + *time;
      const bool goes_on = sleep_until(step_end_);
      if (goes_on) batch_.end_step();
      if (goes_on && options_.busy) options_.busy->add(*time);
    } else if (batch_.size() > 0) {
      sleep_until(start + kGlance);
    }
    settle();
  }
  for (auto& [order, sink] : taken_) batch_.take(std::move(order), std::move(sink));
  taken_.clear();
  batch_.end_all(work::FinishReason::kCancelled);
  settle();
}

// False: the worker ends.
bool SimWorker::wait_for_work() {
  std::unique_lock lock(mutex_);
  wake_.wait(lock, [&] { return ending_ || !intake_.empty() || batch_.size() > 0; });
  std::swap(intake_, taken_);
  return !ending_;
}

// False: the worker ends.
bool SimWorker::sleep_until(Instant end) {
  std::unique_lock lock(mutex_);
  return !wake_.wait_until(lock, end, [&] { return ending_; });
}

// Brings the books up to date, and only then tells the readers of what has ended.
void SimWorker::settle() {
  {
    std::lock_guard lock(mutex_);
    load_ = batch_.load();
    const int64_t ended = batch_.ended() - std::exchange(ended_, batch_.ended());
    if (ended > 0) {
      const Instant time = now();
      const double each = to_seconds(time - last_ending_) / static_cast<double>(ended);
      const bool busy = last_ending_ != Instant() && in_flight_ > ended;
      if (busy) seconds_per_answer_ += kFading * (each - seconds_per_answer_);
      last_ending_ = time;
    }
    in_flight_ = batch_.size() + static_cast<int64_t>(intake_.size());
  }
  batch_.deliver_endings();
  std::lock_guard lock(mutex_);
  undelivered_ = batch_.size() + static_cast<int64_t>(intake_.size());
  if (undelivered_ == 0) quiet_.notify_all();
}

}  // namespace mill::sim
