// A worker that works as the engine does, without numbers: one thread, one token for every running
// answer in each step, cancels seen before each step. Holds thousands of answers.
#pragma once

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "work/worker.h"

namespace mill {

class StepWorker final : public work::Worker {
 public:
  // `token` is what every answer says again and again, up to its max_tokens.
  StepWorker(TokenId token, Duration step)
      : token_(token), step_(step), thread_([this](std::stop_token stop) { run(stop); }) {}

  Result<work::TokenStream> submit(work::Order order) override {
    auto [sink, stream] = work::make_token_stream(static_cast<size_t>(order.max_tokens));
    submitted_.fetch_add(1);
    std::lock_guard lock(mutex_);
    arrived_.push_back({std::move(sink),
                        order.max_tokens,
                        {.prompt_tokens = static_cast<int64_t>(order.prompt.size())}});
    woken_.notify_one();
    return std::move(stream);
  }

  work::Load load() const override {
    work::Load load;
    load.running = submitted() - finished();
    load.kv_blocks_total = 1'000'000;
    load.kv_blocks_free = load.kv_blocks_total - load.running;
    load.generated_tokens = generated_;
    return load;
  }

  int64_t submitted() const { return submitted_; }
  int64_t finished() const { return finished_; }
  int64_t cancelled() const { return cancelled_; }

 private:
  struct Running {
    work::TokenSink sink;
    int32_t max_tokens;
    work::Usage usage;
  };

  void run(const std::stop_token& stop) {
    std::vector<Running> running;
    for (;;) {
      {
        std::unique_lock lock(mutex_);
        if (running.empty()) woken_.wait(lock, stop, [&] { return !arrived_.empty(); });
        for (Running& one : arrived_) running.push_back(std::move(one));
        arrived_.clear();
      }
      for (size_t i = 0; i < running.size();) {
        const std::optional<work::FinishReason> end = advance(running[i], stop.stop_requested());
        if (!end) {
          ++i;
          continue;
        }
        finish(running[i], *end);
        std::swap(running[i], running.back());
        running.pop_back();
      }
      if (stop.stop_requested() && running.empty()) return;
      if (step_ > Duration::zero()) std::this_thread::sleep_for(step_);
    }
  }

  std::optional<work::FinishReason> advance(Running& one, bool stopping) {
    if (stopping || one.sink.cancelled()) return work::FinishReason::kCancelled;
    if (one.usage.completion_tokens == one.max_tokens) return work::FinishReason::kLength;
    ++one.usage.completion_tokens;
    ++generated_;
    one.sink.deliver({.token = token_});
    return std::nullopt;
  }

  void finish(Running& one, work::FinishReason reason) {
    if (reason == work::FinishReason::kCancelled) ++cancelled_;
    one.sink.finish({.reason = reason, .usage = one.usage, .fault = {}});
    ++finished_;
  }

  const TokenId token_;
  const Duration step_;
  std::mutex mutex_;
  std::condition_variable_any woken_;
  std::vector<Running> arrived_;
  std::atomic<int64_t> submitted_{0}, finished_{0}, cancelled_{0}, generated_{0};
  std::jthread thread_;  // last: it uses all of the above
};

}  // namespace mill
