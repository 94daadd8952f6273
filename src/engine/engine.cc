#include "engine/engine.h"

#include <algorithm>
#include <random>
#include <string>

#include "base/check.h"
#include "engine/kv_split.h"
#include "work/check_order.h"

namespace mill::engine {
namespace {

Status check_options(const EngineOptions& options, const model::DecoderLimits& limits) {
  const auto bad = [](const char* option, const std::string& bounds) {
    return fail(Code::kInvalid, std::string(option) + " must be " + bounds, option);
  };
  if (options.max_batch < 1 || options.max_batch > limits.logit_rows) {
    return bad("max_batch", "in [1, " + std::to_string(limits.logit_rows) + "]");
  }
  if (options.queue < 0 || options.queue > 1000000) return bad("queue", "in [0, 1000000]");
  if (options.step_tokens < options.max_batch || options.step_tokens > limits.batch_tokens) {
    return bad("step_tokens",
               "at least max_batch and at most " + std::to_string(limits.batch_tokens));
  }
  if (options.prefill_chunk < 1) return bad("prefill_chunk", "1 or more");
  if (options.context < 0) return bad("context", "0 (the model's) or more");
  if (options.itl_target < Duration::zero()) return bad("itl_target", "0 (none) or more");
  if (options.ttft_target < Duration::zero()) return bad("ttft_target", "0 (none) or more");
  return {};
}

// Each engine's own, so that what one learns of its prefixes says nothing about another's.
scheduler::HashKey random_key() {
  std::random_device device;
  const auto word = [&] { return uint64_t{device()} << 32 | device(); };
  return {word(), word()};
}

int64_t owed_by(const work::Order& order) {
  return static_cast<int64_t>(order.prompt.size()) + order.max_tokens;
}

}  // namespace

Result<std::unique_ptr<Engine>> Engine::start(std::unique_ptr<Forward> forward,
                                              tensor::ThreadPool& pool,
                                              const EngineOptions& options) {
  MILL_TRY_DO(check_options(options, forward->limits()));
  int64_t context = forward->context_tokens();
  if (options.context > 0) context = std::min(context, options.context);
  const size_t bytes = options.kv_bytes > 0 ? options.kv_bytes : options.free_bytes / 2;
  const KvSizes sizes = split_kv({.bytes = bytes,
                                  .block_bytes = forward->block_bytes(),
                                  .window_block_bytes = forward->window_block_bytes(),
                                  .window = forward->window(),
                                  .context = context,
                                  .sequences = options.max_batch,
                                  .step_tokens = options.step_tokens});
  if (sizes.blocks < 1) {
    return fail(Code::kInvalid,
                "the KV cache got " + std::to_string(bytes) + " bytes and one block of " +
                    std::to_string(tensor::kBlockTokens) + " tokens takes " +
                    std::to_string(sizes.block_bytes + sizes.window_block_bytes) +
                    ": give it more, or free memory",
                "kv_bytes");
  }
  const scheduler::PlannerLimits limits{
      .blocks = sizes.blocks,
      .window_blocks = sizes.window_blocks,
      .window = forward->window(),
      .block_tokens = tensor::kBlockTokens,
      .max_running = options.max_batch,
      .max_waiting = options.queue,
      .step_tokens = options.step_tokens,
      .prefill_tokens = options.prefill_chunk,
      .logit_rows = static_cast<int32_t>(forward->limits().logit_rows),
      .itl_target = options.itl_target,
      .ttft_target = options.ttft_target,
      .prefix_cache = options.prefix_cache,
      .answers_apart = forward->prompts_apart(),
      .cache_key = random_key()};
  context = std::min(context, scheduler::capacity_tokens(limits));
  MILL_TRY(KvStore kv, KvStore::reserve(sizes));
  return std::unique_ptr<Engine>(
      new Engine(std::move(forward), std::move(kv), pool, limits, context, options));
}

Engine::Engine(std::unique_ptr<Forward> forward, KvStore kv, tensor::ThreadPool& pool,
               const scheduler::PlannerLimits& limits, int64_t context,
               const EngineOptions& options)
    : turns_(options.turns),
      busy_(options.busy),
      forward_(std::move(forward)),
      vocabulary_(forward_->vocabulary()),
      context_(context),
      max_running_(limits.max_running),
      batch_(*forward_, std::move(kv), pool, limits, options.drafters),
      intake_(int64_t{limits.max_running} + limits.max_waiting),
      load_(batch_.load()),
      thread_([this] { serve(); }) {}

Engine::~Engine() {
  intake_.end();
  thread_.join();
}

Result<work::TokenStream> Engine::submit(work::Order order) {
  MILL_TRY_DO(work::check_order(order, vocabulary_, context_));
  MILL_TRY_DO(check_sampling(order.sampling, vocabulary_));
  const size_t scored = order.score_prompt ? order.prompt.size() : 0;
  auto [sink, stream] = work::make_token_stream(scored + static_cast<size_t>(order.max_tokens));
  const int64_t owed = owed_by(order);
  Accepted accepted(std::move(order), std::move(sink));
  Status added = intake_.add(accepted, [&] { owed_ += owed; });
  if (added) return std::move(stream);
  accepted.second.finish({.reason = work::FinishReason::kCancelled});  // nobody reads this stream
  return fail(std::move(added.error()));
}

work::Load Engine::load() const {
  return intake_.books([&](int64_t in_flight) {
    work::Load load = load_;
    load.waiting = in_flight - load.running;
    load.places = intake_.places();
    const bool waits = load.waiting > 0 || load.running >= max_running_;
    if (waits) load.drain_seconds = drain_.seconds_for(load.waiting + 1, owed_);
    return load;
  });
}

// The step thread.
void Engine::serve() {
  while (wait_for_work()) {
    if (turns_) turns_->take_turn();
    const Instant start = now();
    for (auto& [order, sink] : taken_) batch_.take(std::move(order), std::move(sink), start);
    taken_.clear();
    if (batch_.step(start)) {
      const Duration took = now() - start;
      batch_.measured(took);
      if (busy_) busy_->add(took);
    }
    settle();
    if (turns_ && batch_.size() == 0) turns_->rest();
  }
  if (turns_) turns_->rest();
  for (auto& [order, sink] : taken_) batch_.take(std::move(order), std::move(sink), now());
  taken_.clear();
  batch_.end_all(work::FinishReason::kCancelled);
  settle();
}

// Sleeps until there is something to do and takes what has come in. False: the engine ends.
bool Engine::wait_for_work() {
  const bool idle = batch_.size() == 0;
  if (idle) MILL_CHECK(batch_.audit().has_value());
  const bool goes_on = intake_.wait(!idle, taken_);
  if (idle) busy_since_ = now();
  return goes_on;
}

// Brings the books up to date, and only then tells the readers of what has ended.
void Engine::settle() {
  const auto book = [&](const std::deque<Accepted>& queued) {
    const work::Load before = std::exchange(load_, batch_.load());
    const int64_t tokens = load_.prompt_tokens - before.prompt_tokens + load_.generated_tokens -
                           before.generated_tokens;
    const Instant time = now();
    drain_.worked(to_seconds(time - std::exchange(busy_since_, time)),
                  batch_.ended() - std::exchange(ended_, batch_.ended()), tokens);
    owed_ = batch_.owed_tokens();
    for (const auto& [order, sink] : queued) owed_ += owed_by(order);
  };
  intake_.settle(batch_.size(), book, [&] { batch_.deliver_endings(); });
}

}  // namespace mill::engine
