#include "engine/batch.h"

#include <algorithm>

#include "base/check.h"
#include "base/log.h"

namespace mill::engine {

using scheduler::SequenceId;
using scheduler::Slice;
using scheduler::StepPlan;
using work::FinishReason;

Batch::Batch(Forward& forward, KvStore kv, tensor::ThreadPool& pool,
             const scheduler::PlannerLimits& limits)
    : forward_(forward), kv_(std::move(kv)), sampler_(pool), planner_(limits) {
  MILL_CHECK(limits.blocks == kv_.blocks() && limits.block_tokens == tensor::kBlockTokens);
  MILL_CHECK(limits.step_tokens <= forward.limits().batch_tokens);
  MILL_CHECK(limits.logit_rows <= forward.limits().logit_rows);
}

Batch::Answer& Batch::answer(SequenceId id) {
  std::optional<Answer>& found = answers_[static_cast<size_t>(id)];
  MILL_CHECK(found.has_value());
  return *found;
}

void Batch::take(work::Order order, work::TokenSink sink) {
  const auto prompt = static_cast<int64_t>(order.prompt.size());
  const work::Usage usage{.prompt_tokens = prompt};
  if (order.score_prompt) sink.deliver({.token = order.prompt.front(), .of_prompt = true});
  const bool scores = order.score_prompt && prompt > 1;
  if (order.max_tokens == 0 && !scores) {  // nothing is to be computed
    endings_.emplace_back(std::move(sink),
                          work::Finished{.reason = FinishReason::kLength, .usage = usage});
    return;
  }
  const auto id = planner_.add({.prompt = std::move(order.prompt),
                                .max_tokens = order.max_tokens,
                                .score_prompt = scores,
                                .deadline = order.deadline});
  MILL_CHECK(id.has_value());
  const auto place = static_cast<size_t>(*id);
  if (place >= answers_.size()) answers_.resize(place + 1);
  answers_[place].emplace(
      Answer{.order = std::move(order), .sink = std::move(sink), .usage = usage, .scored = 1});
}

bool Batch::step(Instant now) {
  end_those_who_left(now);
  const StepPlan& plan = planner_.plan();
  if (plan.empty()) return false;
  const tensor::ConstMatrix logits = forward_.forward(slices_of(plan), kv_.data());
  MILL_CHECK(logits.rows == plan.logit_rows);
  planner_.commit();
  count(plan);
  ask(plan, logits);
  sampler_.run(draws_);
  for (size_t i = 0; i < draws_.size(); ++i) publish(draw_of_[i], draws_[i]);
  return true;
}

void Batch::end_those_who_left(Instant now) {
  left_.clear();
  const auto look = [&](SequenceId id) {
    if (answer(id).sink.cancelled()) left_.push_back(id);
  };
  std::for_each(planner_.running().begin(), planner_.running().end(), look);
  std::for_each(planner_.waiting().begin(), planner_.waiting().end(), look);
  for (const SequenceId id : left_) end(id, FinishReason::kCancelled);

  const auto late = planner_.expired(now);
  left_.assign(late.begin(), late.end());
  for (const SequenceId id : left_) end(id, FinishReason::kDeadline);
}

void Batch::end(SequenceId id, FinishReason reason, std::optional<Error> fault) {
  Answer& ended = answer(id);
  planner_.finish(id);
  endings_.emplace_back(
      std::move(ended.sink),
      work::Finished{.reason = reason, .usage = ended.usage, .fault = std::move(fault)});
  answers_[static_cast<size_t>(id)].reset();
}

void Batch::end_all(FinishReason reason) {
  left_.assign(planner_.running().begin(), planner_.running().end());
  left_.insert(left_.end(), planner_.waiting().begin(), planner_.waiting().end());
  for (const SequenceId id : left_) end(id, reason);
}

void Batch::deliver_endings() {
  for (auto& [sink, finished] : endings_) sink.finish(std::move(finished));
  endings_.clear();
}

std::span<const model::SequenceSlice> Batch::slices_of(const StepPlan& plan) {
  slices_.clear();
  for (const Slice& slice : plan.slices) {
    const scheduler::Sequence& sequence = planner_.sequence(slice.sequence);
    slices_.push_back(
        {.tokens = std::span(sequence.tokens)
                       .subspan(static_cast<size_t>(slice.first), static_cast<size_t>(slice.count)),
         .position = slice.first,
         .blocks = sequence.blocks,
         .logits_from = slice.count - slice.logit_rows});
  }
  return slices_;
}

void Batch::count(const StepPlan& plan) {
  ++totals_.steps;
  for (const Slice& slice : plan.slices) {
    Answer& of = answer(slice.sequence);
    const int64_t computed = std::min(slice.first + slice.count, of.usage.prompt_tokens);
    if (computed <= of.prompt_computed) continue;
    totals_.prompt_tokens += computed - of.prompt_computed;
    of.prompt_computed = computed;
  }
}

// One draw for each row of logits. The row of token r tells what follows: where the next token is
// already there, its likelihood is asked for; after the last one, a new token.
void Batch::ask(const StepPlan& plan, tensor::ConstMatrix logits) {
  draws_.clear();
  draw_of_.clear();
  for (const Slice& slice : plan.slices) {
    if (slice.logit_rows == 0) continue;
    const scheduler::Sequence& sequence = planner_.sequence(slice.sequence);
    const Answer& of = answer(slice.sequence);
    const auto size = static_cast<int64_t>(sequence.tokens.size());
    const auto prompt = static_cast<size_t>(sequence.prompt_tokens);
    const int64_t end = slice.first + slice.count;
    for (int64_t next = end - slice.logit_rows + 1; next <= end; ++next) {
      const float* row = logits.row(static_cast<int64_t>(draws_.size()));
      draws_.push_back(
          {.logits = {row, static_cast<size_t>(logits.cols)},
           .sampling = &of.order.sampling,
           .prompt = std::span(sequence.tokens).first(prompt),
           .answer =
               std::span(sequence.tokens)
                   .subspan(prompt, std::max<size_t>(static_cast<size_t>(next), prompt) - prompt),
           .position = static_cast<uint64_t>(of.usage.completion_tokens),
           .given = next < size ? sequence.tokens[static_cast<size_t>(next)] : kNoToken});
      draw_of_.push_back(slice.sequence);
    }
  }
}

void Batch::publish(SequenceId id, Draw& draw) {
  if (!answers_[static_cast<size_t>(id)])
    return;  // ended by a fault in an earlier row of this step
  if (draw.token == kNoToken) {
    end_faulty(id);
  } else if (draw.given != kNoToken) {
    publish_scored(id, draw);
  } else {
    publish_generated(id, draw);
  }
}

void Batch::publish_scored(SequenceId id, Draw& draw) {
  Answer& to = answer(id);
  to.sink.deliver({.token = draw.token,
                   .of_prompt = true,
                   .logprob = draw.logprob,
                   .top = std::move(draw.top)});
  ++to.scored;
  if (to.order.max_tokens == 0 && to.scored == to.usage.prompt_tokens) {
    end(id, FinishReason::kLength);
  }
}

void Batch::publish_generated(SequenceId id, Draw& draw) {
  Answer& to = answer(id);
  ++to.usage.completion_tokens;
  ++totals_.generated_tokens;
  const std::vector<TokenId>& stops = to.order.stop_tokens;
  if (std::find(stops.begin(), stops.end(), draw.token) != stops.end()) {
    end(id, FinishReason::kStop);
    return;
  }
  planner_.accept(id, draw.token);
  to.sink.deliver({.token = draw.token, .logprob = draw.logprob, .top = std::move(draw.top)});
  if (to.usage.completion_tokens == to.order.max_tokens) end(id, FinishReason::kLength);
}

void Batch::end_faulty(SequenceId id) {
  kv_.scrub(planner_.sequence(id).blocks);
  log_error("engine_fault")
      .add("request", answer(id).order.id)
      .add("what", "logits are not finite");
  end(id, FinishReason::kFault,
      Error{Code::kInternal, "the model computed a value that is not a number for this request"});
}

work::Load Batch::load() const {
  work::Load load = totals_;
  load.running = static_cast<int64_t>(planner_.running().size());
  load.waiting = static_cast<int64_t>(planner_.waiting().size());
  load.kv_blocks_total = planner_.pool().total();
  load.kv_blocks_free = planner_.pool().free();
  load.kv_bytes_total = static_cast<int64_t>(kv_.bytes());
  load.preemptions = planner_.preemptions();
  return load;
}

}  // namespace mill::engine
