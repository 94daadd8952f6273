#include "engine/batch.h"

#include <algorithm>

#include "base/check.h"
#include "base/log.h"
#include "work/busy_time.h"

namespace mill::engine {

using scheduler::SequenceId;
using scheduler::Slice;
using scheduler::StepPlan;
using work::FinishReason;

namespace {

constexpr int64_t kMostDrafts = 32;  // of one answer in one step

bool penalizes(const work::Sampling& sampling) {
  return sampling.presence_penalty != 0 || sampling.frequency_penalty != 0 ||
         sampling.repetition_penalty != 1;
}

}  // namespace

Batch::Batch(Forward& forward, KvStore kv, tensor::ThreadPool& pool,
             const scheduler::PlannerLimits& limits, DrafterFactory drafters)
    : forward_(forward),
      kv_(std::move(kv)),
      sampler_(pool),
      planner_(limits),
      drafters_(std::move(drafters)) {
  MILL_CHECK(limits.blocks == kv_.sizes().blocks && limits.block_tokens == tensor::kBlockTokens);
  MILL_CHECK(limits.window_blocks == kv_.sizes().window_blocks);
  MILL_CHECK(limits.window == forward.window());
  MILL_CHECK(limits.answers_apart == forward.prompts_apart());
  MILL_CHECK(limits.step_tokens <= forward.limits().batch_tokens);
  MILL_CHECK(limits.logit_rows <= forward.limits().logit_rows);
}

Batch::Answer& Batch::answer(SequenceId id) {
  std::optional<Answer>& found = answers_[static_cast<size_t>(id)];
  MILL_CHECK(found.has_value());
  return *found;
}

void Batch::take(work::Order order, work::TokenSink sink, Instant now) {
  const auto prompt = static_cast<int64_t>(order.prompt.size());
  const work::Usage usage{.prompt_tokens = prompt};
  if (order.score_prompt) sink.deliver({.token = order.prompt.front(), .of_prompt = true});
  const bool scores = order.score_prompt && prompt > 1;
  if (order.max_tokens == 0 && !scores) {  // nothing is to be computed
    endings_.emplace_back(std::move(sink),
                          work::Finished{.reason = FinishReason::kLength, .usage = usage});
    ++ended_;
    return;
  }
  const auto id = planner_.add({.prompt = std::move(order.prompt),
                                .max_tokens = order.max_tokens,
                                .score_prompt = scores,
                                .deadline = order.deadline,
                                .priority = order.priority,
                                .yield = order.yield,
                                .tenant = order.tenant,
                                .salt = order.cache_salt},
                               now);
  MILL_CHECK(id.has_value());
  const auto place = static_cast<size_t>(*id);
  if (place >= answers_.size()) answers_.resize(place + 1);
  owed_ += prompt + order.max_tokens;
  const bool speculates = order.speculate && order.max_tokens > 1 && drafters_;
  answers_[place].emplace(Answer{.order = std::move(order),
                                 .sink = std::move(sink),
                                 .usage = usage,
                                 .drafter = speculates ? drafters_() : nullptr,
                                 .scored = 1});
}

bool Batch::step(Instant now) {
  drop_shares();
  end_those_who_left(now);
  propose_drafts();
  const StepPlan& plan = planner_.plan(now);
  if (plan.empty()) return false;
  kv_.scrub(plan.scrub);
  kv_.scrub_windowed(plan.scrub_windowed);
  const tensor::ConstMatrix logits = forward_.forward(slices_of(plan), kv_.memory());
  MILL_CHECK(logits.rows == plan.logit_rows);
  note_shares(plan);
  planner_.commit();
  ++totals_.steps;
  ask(plan, logits);
  sampler_.run(draws_);
  // Rows behind a guess that was wrong, or behind the end of an answer, say nothing.
  SequenceId done = -1;
  for (size_t i = 0; i < draws_.size(); ++i) {
    if (draw_of_[i] != done && !publish(draw_of_[i], draws_[i])) done = draw_of_[i];
  }
  return true;
}

void Batch::propose_drafts() {
  if (!drafters_) return;
  const auto running = static_cast<int64_t>(planner_.running().size());
  const int64_t rows = planner_.limits().logit_rows - running;
  if (rows <= 0) return;
  for (const SequenceId id : planner_.running()) {
    Answer& of = answer(id);
    if (!of.drafter || !planner_.may_draft(id)) continue;
    const int64_t left = of.order.max_tokens - of.usage.completion_tokens;
    const int64_t most = std::min({kMostDrafts, rows, left - 1});  // the last row gives one more
    if (most <= 0) continue;
    drafts_.clear();
    of.drafter->propose(planner_.sequence(id).tokens, most, drafts_);
    MILL_CHECK(static_cast<int64_t>(drafts_.size()) <= most);
    if (!drafts_.empty()) planner_.draft(id, drafts_);
  }
}

void Batch::end_those_who_left(Instant now) {
  left_.clear();
  const auto look = [&](SequenceId id) {
    if (answer(id).sink.cancelled()) left_.push_back(id);
  };
  std::for_each(planner_.running().begin(), planner_.running().end(), look);
  for (const auto& place : planner_.waiting()) look(place.id);
  for (const SequenceId id : left_) end(id, FinishReason::kCancelled);

  const auto late = planner_.expired(now);
  left_.assign(late.begin(), late.end());
  for (const SequenceId id : left_) end(id, FinishReason::kDeadline);
}

void Batch::end(SequenceId id, FinishReason reason, std::optional<Error> fault) {
  Answer& ended = answer(id);
  settle_drafts(ended);
  ended.usage.cached_tokens = planner_.sequence(id).cached_tokens;
  owed_ -= ended.usage.prompt_tokens + ended.order.max_tokens;
  ++ended_;
  planner_.finish(id);
  if (ended.share) shares_[*ended.share].ending = endings_.size();
  endings_.emplace_back(
      std::move(ended.sink),
      work::Finished{.reason = reason, .usage = ended.usage, .fault = std::move(fault)});
  answers_[static_cast<size_t>(id)].reset();
}

void Batch::end_all(FinishReason reason) {
  left_.assign(planner_.running().begin(), planner_.running().end());
  for (const auto& place : planner_.waiting()) left_.push_back(place.id);
  for (const SequenceId id : left_) end(id, reason);
}

// What is computed again after its blocks were taken away is not the answer's.
void Batch::note_shares(const StepPlan& plan) {
  step_tokens_ = plan.tokens;
  for (const Slice& slice : plan.slices) {
    Answer& of = answer(slice.sequence);
    const int64_t end = slice.first + slice.count;
    const int64_t again = std::clamp<int64_t>(of.reached - slice.first, 0, slice.count);
    of.reached = std::max(of.reached, end - slice.drafts);
    of.share = shares_.size();
    shares_.push_back({.id = slice.sequence, .tokens = slice.count - again, .ending = {}});
  }
}

void Batch::drop_shares() {
  for (const Share& share : shares_)
    if (!share.ending) answer(share.id).share.reset();
  shares_.clear();
}

Duration Batch::measured(Duration took) {
  planner_.measured(took);
  work::TimeShares parts(std::max(took, Duration::zero()), step_tokens_);
  for (const Share& share : shares_) {
    work::Usage& usage =
        share.ending ? endings_[*share.ending].second.usage : answer(share.id).usage;
    usage.busy += parts.next(share.tokens);
  }
  drop_shares();
  return parts.left();
}

void Batch::deliver_endings() {
  drop_shares();
  for (auto& [sink, finished] : endings_) sink.finish(std::move(finished));
  endings_.clear();
}

std::span<const model::SequenceSlice> Batch::slices_of(const StepPlan& plan) {
  slices_.clear();
  for (const Slice& slice : plan.slices) {
    const scheduler::Sequence& sequence = planner_.sequence(slice.sequence);
    slices_.push_back({.tokens = planner_.tokens(slice),
                       .position = slice.first,
                       .prompt_tokens = sequence.prompt_tokens,
                       .blocks = sequence.blocks,
                       .window_blocks = sequence.window_blocks,
                       .logits_from = slice.count - slice.logit_rows});
  }
  return slices_;
}

void Batch::ask(const StepPlan& plan, tensor::ConstMatrix logits) {
  draws_.clear();
  draw_of_.clear();
  if (spare_.size() < plan.slices.size()) spare_.resize(plan.slices.size());
  for (size_t i = 0; i < plan.slices.size(); ++i) ask_slice(plan.slices[i], spare_[i], logits);
}

// One draw for each row of logits. The row of token r tells what follows: where the next token is
// already there, its likelihood is asked for; after the last one, a new token; and after drafts,
// the tokens behind that, as if the drafts were right.
void Batch::ask_slice(const Slice& slice, std::vector<TokenId>& spare, tensor::ConstMatrix logits) {
  const scheduler::Sequence& sequence = planner_.sequence(slice.sequence);
  Answer& of = answer(slice.sequence);
  of.drafts = slice.drafts;
  const auto prompt = static_cast<size_t>(sequence.prompt_tokens);
  const auto size = static_cast<int64_t>(sequence.tokens.size());
  std::span<const TokenId> tokens = sequence.tokens;
  if (slice.drafts > 0 && penalizes(of.order.sampling)) {
    spare = sequence.tokens;
    spare.insert(spare.end(), sequence.drafts.begin() + 1, sequence.drafts.end());
    tokens = spare;
  }
  const int64_t end = slice.first + slice.count;
  for (int64_t next = end - slice.logit_rows + 1; next <= end; ++next) {
    const float* row = logits.row(static_cast<int64_t>(draws_.size()));
    const auto before = std::clamp(static_cast<size_t>(next), prompt, tokens.size()) - prompt;
    const int64_t ahead = std::max<int64_t>(next - size, 0);
    draws_.push_back(
        {.logits = {row, static_cast<size_t>(logits.cols)},
         .sampling = &of.order.sampling,
         .prompt = tokens.first(prompt),
         .answer = tokens.subspan(prompt, before),
         .position = static_cast<uint64_t>(of.usage.completion_tokens + ahead),
         .given = next < size ? sequence.tokens[static_cast<size_t>(next)] : kNoToken});
    draw_of_.push_back(slice.sequence);
  }
}

// Whether the next row of the same answer counts.
bool Batch::publish(SequenceId id, Draw& draw) {
  if (draw.token == kNoToken) {
    fault(id);
    return false;
  }
  return draw.given != kNoToken ? publish_scored(id, draw) : publish_generated(id, draw);
}

bool Batch::publish_scored(SequenceId id, Draw& draw) {
  Answer& to = answer(id);
  to.sink.deliver({.token = draw.token,
                   .of_prompt = true,
                   .logprob = draw.logprob,
                   .top = std::move(draw.top)});
  ++to.scored;
  if (to.order.max_tokens > 0 || to.scored < to.usage.prompt_tokens) return true;
  end(id, FinishReason::kLength);
  return false;
}

bool Batch::publish_generated(SequenceId id, Draw& draw) {
  Answer& to = answer(id);
  ++to.usage.completion_tokens;
  ++totals_.generated_tokens;
  if (planner_.drafted(id, draw.token)) ++to.right;
  const std::vector<TokenId>& stops = to.order.stop_tokens;
  if (std::find(stops.begin(), stops.end(), draw.token) != stops.end()) {
    end(id, FinishReason::kStop);
    return false;
  }
  const bool more = planner_.accept(id, draw.token);
  to.sink.deliver({.token = draw.token, .logprob = draw.logprob, .top = std::move(draw.top)});
  if (to.usage.completion_tokens == to.order.max_tokens) {
    end(id, FinishReason::kLength);
    return false;
  }
  if (!more) settle_drafts(to);
  return more;
}

void Batch::settle_drafts(Answer& of) {
  if (of.drafts == 0) return;
  const int64_t wrong = of.drafts - of.right;
  of.usage.accepted_drafts += of.right;
  of.usage.rejected_drafts += wrong;
  totals_.accepted_drafts += of.right;
  totals_.rejected_drafts += wrong;
  of.reached += of.right;
  if (of.drafter) of.drafter->learn(of.drafts, of.right);
  of.drafts = of.right = 0;
}

// A row of logits is not finite. With drafts behind it they may be the cause (a kernel that
// multiplies masked values by zero): then the row is computed again without any, and this answer
// goes on without speculation.
void Batch::fault(SequenceId id) {
  Answer& of = answer(id);
  if (of.drafts > 0) {
    settle_drafts(of);
    of.drafter.reset();
    planner_.retract(id);
    return;
  }
  planner_.taint(id);
  log_error("engine_fault").add("request", of.order.id).add("what", "logits are not finite");
  end(id, FinishReason::kFault,
      Error{Code::kInternal, "the model computed a value that is not a number for this request"});
}

work::Load Batch::load() const {
  work::Load load = totals_;
  load.running = static_cast<int64_t>(planner_.running().size());
  load.waiting = static_cast<int64_t>(planner_.waiting().size());
  const scheduler::BlockPool& pool = planner_.pool();
  const scheduler::BlockPool& windowed = planner_.window_pool();
  load.kv_blocks_total = pool.total();
  load.kv_blocks_free = pool.free();
  load.kv_window_blocks_total = windowed.total();
  load.kv_window_blocks_free = windowed.free();
  load.kv_bytes_total = static_cast<int64_t>(kv_.bytes());
  load.kv_bytes_owned = static_cast<int64_t>(
      kv_.bytes_of(pool.total() - pool.free(), windowed.total() - windowed.free()));
  load.prompt_tokens = planner_.totals().prompt_tokens;
  load.preemptions = planner_.totals().preemptions;
  load.cached_tokens = planner_.totals().cached_tokens;
  load.cached_blocks = pool.cached();
  return load;
}

}  // namespace mill::engine
