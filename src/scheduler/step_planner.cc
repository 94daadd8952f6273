#include "scheduler/step_planner.h"

#include <algorithm>
#include <string>
#include <utility>

#include "base/check.h"

namespace mill::scheduler {

StepPlanner::StepPlanner(const PlannerLimits& limits) : limits_(limits), pool_(limits.blocks) {
  MILL_CHECK(limits.block_tokens >= 1 && limits.max_running >= 1 && limits.max_waiting >= 0);
  MILL_CHECK(limits.step_tokens >= limits.max_running && limits.prefill_tokens >= 1);
  MILL_CHECK(limits.logit_rows >= limits.max_running);
  running_.reserve(static_cast<size_t>(limits.max_running));
  plan_.slices.reserve(static_cast<size_t>(limits.max_running));
}

int64_t StepPlanner::blocks_for(int64_t tokens) const {
  return (tokens + limits_.block_tokens - 1) / limits_.block_tokens;
}

Result<SequenceId> StepPlanner::add(NewSequence call) {
  const auto prompt = static_cast<int64_t>(call.prompt.size());
  MILL_CHECK(!planned_);
  MILL_CHECK(prompt > 1 || (prompt == 1 && call.max_tokens > 0));
  if (prompt + call.max_tokens > capacity_tokens()) {
    return fail(Code::kTooLarge,
                "the sequence may grow to " + std::to_string(prompt + call.max_tokens) +
                    " tokens and the KV cache holds " + std::to_string(capacity_tokens()));
  }
  if (size() >= int64_t{limits_.max_running} + limits_.max_waiting) {
    return fail(Code::kOverloaded, "the waiting line is full, try again later");
  }
  if (vacant_.empty()) {
    vacant_.push_back(static_cast<SequenceId>(table_.size()));
    table_.emplace_back();
  }
  const SequenceId id = vacant_.back();
  vacant_.pop_back();
  Sequence& sequence = at(id);
  sequence.tokens = std::move(call.prompt);
  sequence.prompt_tokens = prompt;
  sequence.computed = 0;
  sequence.logits_from = call.score_prompt ? 0 : prompt - 1;
  sequence.generates = call.max_tokens > 0;
  sequence.arrival = arrivals_++;
  sequence.deadline = call.deadline;
  sequence.state = Sequence::State::kWaiting;
  waiting_.push_back(id);
  return id;
}

std::span<const SequenceId> StepPlanner::expired(Instant now) {
  expired_.clear();
  const auto look = [&](SequenceId id) {
    if (at(id).deadline <= now) expired_.push_back(id);
  };
  std::for_each(running_.begin(), running_.end(), look);
  std::for_each(waiting_.begin(), waiting_.end(), look);
  return expired_;
}

const StepPlan& StepPlanner::plan() {
  plan_.slices.clear();
  plan_.tokens = 0;
  plan_.logit_rows = 0;
  preempted_ = false;

  const auto decodes = [&](SequenceId id) { return at(id).goal() - at(id).computed == 1; };
  int64_t prefills = 0;
  for (size_t i = 0; i < running_.size(); ++i) {  // give() may shorten the line behind i
    if (decodes(running_[i])) {
      give(running_[i], 1, 1);
    } else {
      ++prefills;
    }
  }

  int64_t tokens = limits_.step_tokens - plan_.tokens;
  if (!plan_.empty()) tokens = std::min<int64_t>(tokens, limits_.prefill_tokens);
  const size_t before = running_.size();
  for (size_t i = 0; tokens > 0 && (i < running_.size() || admit_next()); ++i) {
    if (i < before && decodes(running_[i])) continue;
    // One row is kept for each of those behind, who may be about to end their prompts.
    prefills = std::max<int64_t>(prefills - 1, 0);
    const int64_t rows = limits_.logit_rows - plan_.logit_rows;
    tokens -= give(running_[i], tokens, rows > 1 ? std::max<int64_t>(rows - prefills, 1) : rows);
  }
  MILL_CHECK(!plan_.empty() || size() == 0);
  planned_ = !plan_.empty();
  return plan_;
}

// Plans up to `tokens` tokens and `rows` logit rows of a running sequence; the number of tokens
// that it got. 0 when there is no block for it and it is the youngest: then it waits where it is.
int64_t StepPlanner::give(SequenceId id, int64_t tokens, int64_t rows) {
  Sequence& sequence = at(id);
  const int64_t first = sequence.computed;
  const int64_t without_logits = std::max<int64_t>(sequence.logits_from - first, 0);
  int64_t count = std::min({sequence.goal() - first, tokens, without_logits + rows});
  if (count <= 0 || !make_room(id)) return 0;

  const auto held = static_cast<int64_t>(sequence.blocks.size());
  count = std::min(count, (held + pool_.free()) * limits_.block_tokens - first);
  const int64_t missing = std::max<int64_t>(blocks_for(first + count) - held, 0);
  pool_.acquire(static_cast<int32_t>(missing), sequence.blocks);

  const int64_t logit_rows = std::max<int64_t>(count - without_logits, 0);
  plan_.slices.push_back({id, first, count, logit_rows});
  plan_.tokens += count;
  plan_.logit_rows += logit_rows;
  return count;
}

// Sees to it that the next token of a sequence has a place: in a block it owns, in a free one, or
// in one of the youngest's. False: it is the youngest itself.
bool StepPlanner::make_room(SequenceId id) {
  const Sequence& sequence = at(id);
  if (blocks_for(sequence.computed + 1) <= static_cast<int64_t>(sequence.blocks.size()))
    return true;
  while (pool_.free() == 0) {
    if (running_.back() == id) return false;
    preempt_youngest();
  }
  return true;
}

void StepPlanner::preempt_youngest() {
  const SequenceId id = running_.back();
  running_.pop_back();
  Sequence& sequence = at(id);
  pool_.release(sequence.blocks);
  sequence.blocks.clear();
  sequence.computed = 0;
  sequence.state = Sequence::State::kWaiting;
  waiting_.push_front(id);

  const auto slice = std::find_if(plan_.slices.begin(), plan_.slices.end(),
                                  [&](const Slice& s) { return s.sequence == id; });
  if (slice != plan_.slices.end()) {
    plan_.tokens -= slice->count;
    plan_.logit_rows -= slice->logit_rows;
    plan_.slices.erase(slice);
  }
  preempted_ = true;
  ++preemptions_;
}

// Lets the head of those that wait run, if blocks are free for all the tokens that it and those who
// run have, and for one more each: so that it isn't preempted again at once. A sequence alone
// always fits.
bool StepPlanner::admit_next() {
  if (waiting_.empty() || preempted_) return false;
  if (running_.size() >= static_cast<size_t>(limits_.max_running)) return false;
  const SequenceId id = waiting_.front();
  const auto needs = [&](SequenceId s) {
    return blocks_for(static_cast<int64_t>(at(s).tokens.size()));
  };
  if (!running_.empty()) {
    int64_t wanted = needs(id) + 1;
    for (const SequenceId s : running_) {
      wanted += std::max<int64_t>(needs(s) - static_cast<int64_t>(at(s).blocks.size()), 0) + 1;
    }
    if (wanted > pool_.free()) return false;
  }
  waiting_.pop_front();
  at(id).state = Sequence::State::kRunning;
  running_.push_back(id);
  return true;
}

void StepPlanner::commit() {
  MILL_CHECK(planned_);
  planned_ = false;
  for (const Slice& slice : plan_.slices) {
    Sequence& sequence = at(slice.sequence);
    sequence.computed += slice.count;
    if (slice.logit_rows > 0) sequence.logits_from = sequence.computed;
  }
}

void StepPlanner::accept(SequenceId id, TokenId token) {
  Sequence& sequence = at(id);
  MILL_CHECK(sequence.state == Sequence::State::kRunning && sequence.generates);
  MILL_CHECK(sequence.computed == sequence.goal());
  sequence.tokens.push_back(token);
}

void StepPlanner::finish(SequenceId id) {
  MILL_CHECK(!planned_);
  Sequence& sequence = at(id);
  if (sequence.state == Sequence::State::kRunning) {
    running_.erase(std::find(running_.begin(), running_.end(), id));
  } else {
    MILL_CHECK(sequence.state == Sequence::State::kWaiting);
    waiting_.erase(std::find(waiting_.begin(), waiting_.end(), id));
  }
  pool_.release(sequence.blocks);
  sequence.blocks.clear();
  sequence.tokens = {};
  sequence.state = Sequence::State::kNone;
  vacant_.push_back(id);
}

const Sequence& StepPlanner::sequence(SequenceId id) const {
  MILL_CHECK(id >= 0 && static_cast<size_t>(id) < table_.size());
  MILL_CHECK(at(id).state != Sequence::State::kNone);
  return at(id);
}

Status StepPlanner::audit() const {
  const auto wrong = [](const char* what) { return fail(Code::kInternal, what); };
  if (running_.size() > static_cast<size_t>(limits_.max_running)) return wrong("too many run");
  if (running_.size() + waiting_.size() + vacant_.size() != table_.size()) {
    return wrong("a place of the table is lost or taken twice");
  }
  const auto idle = std::count_if(table_.begin(), table_.end(), [](const Sequence& s) {
    return s.state == Sequence::State::kNone;
  });
  if (static_cast<size_t>(idle) != vacant_.size()) return wrong("a vacant place is in use");

  uint64_t next = 0;  // the least arrival that the next in the line may have
  const auto in_order = [&](SequenceId id, Sequence::State state) {
    if (at(id).state != state || at(id).arrival < next) return false;
    next = at(id).arrival + 1;
    return true;
  };
  for (const SequenceId id : running_) {
    if (!in_order(id, Sequence::State::kRunning)) return wrong("those who run are out of order");
  }
  for (const SequenceId id : waiting_) {
    if (!in_order(id, Sequence::State::kWaiting)) return wrong("those who wait are out of order");
    if (!at(id).blocks.empty() || at(id).computed != 0) return wrong("one who waits owns blocks");
  }
  return audit_blocks();
}

Status StepPlanner::audit_blocks() const {
  const auto wrong = [](const char* what) { return fail(Code::kInternal, what); };
  if (!pool_.consistent()) return wrong("the free list and the owners disagree");
  std::vector<bool> seen(static_cast<size_t>(pool_.total()), false);
  int64_t owned = 0;
  for (const SequenceId id : running_) {
    const Sequence& sequence = at(id);
    for (const BlockId block : sequence.blocks) {
      const auto b = static_cast<size_t>(block);
      if (block < 0 || b >= seen.size() || seen[b]) return wrong("a block has two owners");
      if (pool_.owners(block) != 1) return wrong("a block in use counts as free");
      seen[b] = true;
      ++owned;
    }
    const auto held = static_cast<int64_t>(sequence.blocks.size());
    if (sequence.computed < 0 || sequence.computed > sequence.goal()) {
      return wrong("more is computed than there is");
    }
    if (!planned_ && held != blocks_for(sequence.computed)) {
      return wrong("a sequence owns more or fewer blocks than its tokens need");
    }
  }
  if (owned + pool_.free() != pool_.total()) return wrong("a block is lost");
  return {};
}

}  // namespace mill::scheduler
