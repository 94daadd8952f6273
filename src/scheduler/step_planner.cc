#include "scheduler/step_planner.h"

#include <algorithm>
#include <string>
#include <utility>

#include "base/check.h"

namespace mill::scheduler {
namespace {

constexpr int64_t kLevels = 1000000;  // of priority, either way

// The most windowed blocks that a sequence owns between steps, with the one of its next token.
int64_t window_blocks_of_one(const PlannerLimits& limits) {
  return (limits.window + limits.block_tokens - 1) / limits.block_tokens + 1;
}

}  // namespace

int64_t capacity_tokens(const PlannerLimits& limits) {
  const bool slides = limits.window == 0 || limits.window_blocks >= window_blocks_of_one(limits);
  const int64_t blocks = slides ? limits.blocks : std::min(limits.blocks, limits.window_blocks);
  return blocks * limits.block_tokens;
}

StepPlanner::StepPlanner(const PlannerLimits& limits)
    : limits_(limits),
      full_(limits.blocks, limits.cache_key),
      windowed_(limits.window_blocks, limits.cache_key) {
  MILL_CHECK(limits.block_tokens >= 1 && limits.max_running >= 1 && limits.max_waiting >= 0);
  MILL_CHECK(limits.step_tokens >= limits.max_running && limits.prefill_tokens >= 1);
  MILL_CHECK(limits.logit_rows >= limits.max_running);
  MILL_CHECK(limits.stretch >= 1 && limits.least_prefill >= 1);
  MILL_CHECK(limits.window >= 0 && (limits.window > 0) == (limits.window_blocks > 0));
  MILL_CHECK(limits.itl_target >= Duration::zero() && limits.ttft_target >= Duration::zero());
  running_.reserve(static_cast<size_t>(limits.max_running));
  running_before_.reserve(static_cast<size_t>(limits.max_running));
  plan_.slices.reserve(static_cast<size_t>(limits.max_running));
}

int64_t StepPlanner::blocks_for(int64_t tokens) const {
  return (tokens + limits_.block_tokens - 1) / limits_.block_tokens;
}

int64_t StepPlanner::window_span() const {
  return window_blocks_of_one(limits_);
}

// So many leading windowed blocks are seen by no token from `computed` on, nor by the one before
// it, which may be computed again (retract).
int64_t StepPlanner::behind_window(int64_t computed) const {
  return std::max<int64_t>(computed - limits_.window, 0) / limits_.block_tokens;
}

int64_t StepPlanner::free_blocks() const {
  return has_windows() ? std::min(full_.free(), windowed_.free()) : full_.free();
}

std::span<const TokenId> StepPlanner::block_of(const Sequence& sequence, int64_t k) const {
  const auto size = static_cast<size_t>(limits_.block_tokens);
  return std::span(sequence.tokens).subspan(static_cast<size_t>(k) * size, size);
}

// Adds the name of the next full block to the chain.
void StepPlanner::name_next(Sequence& s) const {
  const auto k = static_cast<int64_t>(s.chain.size());
  Hash128 parent = k == 0 ? s.root : s.chain.back();
  const int64_t of_prompt = s.prompt_tokens - k * limits_.block_tokens;
  if (limits_.answers_apart && of_prompt >= 0 && of_prompt < limits_.block_tokens) {
    parent = full_.index().answer_behind(parent, of_prompt);
  }
  s.chain.push_back(full_.index().next(parent, block_of(s, k)));
}

Result<SequenceId> StepPlanner::add(NewSequence call, Instant now) {
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
  Sequence& s = at(id);
  s.tokens = std::move(call.prompt);
  s.prompt_tokens = prompt;
  s.logits_from = call.score_prompt ? 0 : prompt - 1;
  s.generates = call.max_tokens > 0;
  s.arrival = arrivals_++;
  s.arrived = now;
  s.rank = now - std::clamp<int64_t>(call.priority, -kLevels, kLevels) * limits_.priority_worth +
           std::clamp(call.yield, -work::kLongestHeadStart, work::kLongestYield);
  s.tenant = call.tenant;
  s.deadline = call.deadline;
  s.state = Sequence::State::kWaiting;
  waiting_.insert(place_of(id));
  if (s.deadline != kNever) deadlines_.emplace(s.deadline, id);
  if (limits_.prefix_cache) {
    s.root = full_.index().root(limits_.model, call.salt);
    for (int64_t k = 0; k < prompt / limits_.block_tokens; ++k) name_next(s);
    const int64_t found = cached_upto(s, 0);
    const int64_t seen = behind_window(found * limits_.block_tokens);
    for (int64_t k = found; k-- > 0;) {
      const Hash128& name = s.chain[static_cast<size_t>(k)];
      full_.touch(full_.index().find(name));
      if (has_windows() && k >= seen) windowed_.touch(windowed_.index().find(name));
    }
  }
  return id;
}

std::span<const SequenceId> StepPlanner::expired(Instant now) {
  expired_.clear();
  for (const auto& [deadline, id] : deadlines_) {
    if (deadline > now) break;
    expired_.push_back(id);
  }
  return expired_;
}

bool StepPlanner::may_draft(SequenceId id) const {
  const Sequence& s = sequence(id);
  return s.state == Sequence::State::kRunning && s.generates && s.one_behind();
}

void StepPlanner::draft(SequenceId id, std::span<const TokenId> tokens) {
  MILL_CHECK(!planned_ && may_draft(id));
  Sequence& s = at(id);
  s.drafts.assign(1, s.tokens.back());
  s.drafts.insert(s.drafts.end(), tokens.begin(), tokens.end());
  s.drafted_at = static_cast<int64_t>(s.tokens.size());
}

std::span<const TokenId> StepPlanner::tokens(const Slice& slice) const {
  const Sequence& s = sequence(slice.sequence);
  const auto count = static_cast<size_t>(slice.count);
  if (slice.drafts > 0) return std::span(s.drafts).first(count);
  return std::span(s.tokens).subspan(static_cast<size_t>(slice.first), count);
}

void StepPlanner::commit() {
  MILL_CHECK(planned_);
  planned_ = false;
  full_.keep();
  windowed_.keep();
  full_.scrubbed(plan_.scrub);
  windowed_.scrubbed(plan_.scrub_windowed);
  for (const Slice& slice : plan_.slices) {
    Sequence& s = at(slice.sequence);
    s.turn = ++turns_;
    s.computed += slice.count - slice.drafts;
    s.ahead = s.taken = slice.drafts;
    if (slice.logit_rows > 0) s.logits_from = s.computed;
    const int64_t seen = std::min(s.computed, s.prompt_tokens);
    totals_.prompt_tokens += std::max<int64_t>(seen - s.prompt_seen, 0);
    s.prompt_seen = std::max(s.prompt_seen, seen);
    publish(s);
    slide(s);
  }
  for (const SequenceId id : adopted_) slide(at(id));
}

void StepPlanner::measured(Duration took) {
  time_.learn(shape_, to_seconds(took));
}

void StepPlanner::abort() {
  MILL_CHECK(planned_);
  planned_ = false;
  full_.undo();
  windowed_.undo();
  for (Saved& saved : saved_) {
    Sequence& s = at(saved.id);
    if (s.state != saved.state) {
      if (saved.state == Sequence::State::kWaiting) {
        waiting_.insert(place_of(saved.id));
      } else {
        waiting_.erase(place_of(saved.id));
      }
      s.state = saved.state;
    }
    if (!saved.given_back.empty()) s.blocks = std::move(saved.given_back);
    if (!saved.window_given_back.empty()) s.window_blocks = std::move(saved.window_given_back);
    s.blocks.resize(saved.held);
    if (has_windows()) s.window_blocks.resize(saved.held);
    s.slid = saved.slid;
    s.lent = saved.lent;
    s.computed = saved.computed;
    s.published = saved.published;
    s.cached_tokens = saved.cached_tokens;
    s.prompt_seen = saved.prompt_seen;
  }
  std::swap(running_, running_before_);
  totals_ = totals_before_;
}

// Enters the blocks that have become full in the index.
void StepPlanner::publish(Sequence& s) {
  if (!limits_.prefix_cache) return;
  for (; (s.published + 1) * limits_.block_tokens <= s.computed; ++s.published) {
    const auto k = static_cast<size_t>(s.published);
    if (s.chain.size() == k) name_next(s);
    full_.publish(s.chain[k], s.blocks[k]);
    if (has_windows()) windowed_.publish(s.chain[k], s.window_blocks[k]);
  }
}

// Releases the windowed blocks that no token to come sees. While no logits came of a prompt nobody
// knows whether what they hold are numbers.
void StepPlanner::slide(Sequence& s) {
  if (!has_windows()) return;
  const bool unproven = std::ssize(s.tokens) == s.prompt_tokens;
  const int64_t upto = std::min(behind_window(s.computed), std::ssize(s.window_blocks));
  for (; s.slid < upto; ++s.slid) {
    BlockId& block = s.window_blocks[static_cast<size_t>(s.slid)];
    if (block == kNoBlock) continue;
    if (unproven) windowed_.scrub_later(block);
    windowed_.release(block);
    block = kNoBlock;
  }
}

bool StepPlanner::drafted(SequenceId id, TokenId token) const {
  const Sequence& s = at(id);
  return s.ahead > 0 && token == s.drafts[static_cast<size_t>(1 + s.taken - s.ahead)];
}

bool StepPlanner::accept(SequenceId id, TokenId token) {
  Sequence& s = at(id);
  MILL_CHECK(!planned_ && s.state == Sequence::State::kRunning && s.generates);
  MILL_CHECK(s.computed == s.goal());
  const bool right = drafted(id, token);
  s.tokens.push_back(token);
  if (!right) {
    drop_drafts(s);
    return false;
  }
  --s.ahead;
  s.logits_from = ++s.computed;
  publish(s);
  slide(s);
  return true;
}

// What was computed of drafts behind `computed` goes, and the blocks that only it needs.
void StepPlanner::drop_drafts(Sequence& s) {
  s.ahead = s.taken = 0;
  s.drafts.clear();
  const auto held = static_cast<size_t>(blocks_for(s.computed));
  full_.release(std::span(s.blocks).subspan(std::min(held, s.blocks.size())));
  s.blocks.resize(held);
  if (!has_windows()) return;
  windowed_.release(std::span(s.window_blocks).subspan(std::min(held, s.window_blocks.size())));
  s.window_blocks.resize(held);
}

void StepPlanner::retract(SequenceId id) {
  Sequence& s = at(id);
  MILL_CHECK(!planned_ && s.state == Sequence::State::kRunning && s.generates);
  MILL_CHECK(s.computed == s.goal() && s.computed > 0);
  s.logits_from = --s.computed;
  if (s.published * limits_.block_tokens > s.computed) {
    const auto k = static_cast<size_t>(--s.published);
    full_.unpublish(s.blocks[k]);
    if (has_windows()) windowed_.unpublish(s.window_blocks[k]);
  }
  drop_drafts(s);
}

void StepPlanner::taint(SequenceId id) {
  MILL_CHECK(!planned_);
  const Sequence& s = sequence(id);
  for (const BlockId block : s.blocks) {
    full_.unpublish(block);
    full_.scrub_later(block);
  }
  for (size_t k = 0; k < s.window_blocks.size(); ++k) {
    BlockId block = s.window_blocks[k];
    // One that it has left behind may still be found, by its name.
    if (block == kNoBlock && k < s.chain.size()) block = windowed_.index().find(s.chain[k]);
    if (block == kNoBlock) continue;
    windowed_.unpublish(block);
    windowed_.scrub_later(block);
  }
}

void StepPlanner::finish(SequenceId id) {
  MILL_CHECK(!planned_);
  Sequence& s = at(id);
  if (s.state == Sequence::State::kRunning) {
    running_.erase(std::find(running_.begin(), running_.end(), id));
  } else {
    MILL_CHECK(s.state == Sequence::State::kWaiting);
    waiting_.erase(place_of(id));
  }
  if (s.deadline != kNever) deadlines_.erase({s.deadline, id});
  full_.release(s.blocks);
  windowed_.release(s.window_blocks);
  s = {};
  vacant_.push_back(id);
}

const Sequence& StepPlanner::sequence(SequenceId id) const {
  MILL_CHECK(id >= 0 && static_cast<size_t>(id) < table_.size());
  MILL_CHECK(at(id).state != Sequence::State::kNone);
  return at(id);
}

}  // namespace mill::scheduler
