// StepPlanner::plan and its parts: tokens for those one behind, then for prompts, then for drafts.
#include <algorithm>
#include <limits>

#include "base/check.h"
#include "scheduler/step_planner.h"

namespace mill::scheduler {

const StepPlan& StepPlanner::plan(Instant now) {
  open_books();
  now_ = now;
  admit_ahead();
  give_decodes();
  Room room = room_for_prefills(now);
  give_prefills(room, false);
  if (due_.any) {
    give_patient(room);
    give_prefills(room, true);
  }
  if (room.timed && room.given > 0) last_prefill_ = room.given;
  give_drafts();
  MILL_CHECK(!plan_.empty() || size() == 0);
  planned_ = !plan_.empty();
  if (!planned_) {
    full_.keep();
    windowed_.keep();
  }
  shape_ = shape_of_plan();
  return plan_;
}

void StepPlanner::open_books() {
  MILL_CHECK(!planned_);
  plan_.slices.clear();
  plan_.scrub.clear();
  plan_.scrub_windowed.clear();
  plan_.tokens = plan_.logit_rows = 0;
  preempted_ = slack_known_ = false;
  claims_.clear();
  saved_.clear();
  adopted_.clear();
  ++plans_;
  running_before_ = running_;
  totals_before_ = totals_;
  full_.open();
  windowed_.open();
}

void StepPlanner::save(SequenceId id) {
  Sequence& s = at(id);
  if (s.saved_by == plans_) return;
  s.saved_by = plans_;
  saved_.push_back({.id = id,
                    .state = s.state,
                    .computed = s.computed,
                    .published = s.published,
                    .cached_tokens = s.cached_tokens,
                    .prompt_seen = s.prompt_seen,
                    .slid = s.slid,
                    .lent = s.lent,
                    .held = s.blocks.size(),
                    .given_back = {},
                    .window_given_back = {}});
}

void StepPlanner::give_decodes() {
  find_due();
  patient_.clear();
  for (size_t i = 0; i < running_.size(); ++i) {  // give() may shorten the line behind i
    const Sequence& s = at(running_[i]);
    MILL_CHECK(s.ahead == 0);
    if (!s.one_behind()) continue;
    yields(s) ? patient_.push_back(running_[i]) : void(give(running_[i], 1, 1));
  }
  decodes_ = plan_.slices.size();
  shape_ = shape_of_plan();
}

StepShape StepPlanner::shape_of_plan() const {
  StepShape shape;
  for (const Slice& slice : plan_.slices) {
    const bool of_prompt = slice.first < at(slice.sequence).prompt_tokens;
    shape.add(slice.first, slice.count, slice.logit_rows, of_prompt);
  }
  return shape;
}

// How far the second half of the time to the first token has gone for the first who wait for it.
double StepPlanner::urgency(Instant now) const {
  if (limits_.ttft_target <= Duration::zero()) return 0;
  Instant since = now;
  const auto look = [&](SequenceId id) {
    const Sequence& s = at(id);
    if (static_cast<int64_t>(s.tokens.size()) == s.prompt_tokens)
      since = std::min(since, s.arrived);
  };
  const auto first = std::find_if(running_.begin(), running_.end(),
                                  [&](SequenceId id) { return !at(id).one_behind(); });
  if (first != running_.end()) look(*first);
  if (!waiting_.empty()) look(waiting_.begin()->id);
  const double gone = to_seconds(now - since) / to_seconds(limits_.ttft_target);
  return std::clamp(2 * gone - 1, 0.0, 1.0);
}

StepPlanner::Room StepPlanner::room_for_prefills(Instant now) const {
  Room room{.tokens = limits_.step_tokens - plan_.tokens};
  room.behind = std::count_if(running_.begin(), running_.end(),
                              [&](SequenceId id) { return !at(id).one_behind(); });
  if (plan_.empty()) return room;
  room.tokens = std::min<int64_t>(room.tokens, limits_.prefill_tokens);
  if (!time_.known()) return room;
  const double without = time_.seconds(shape_);
  const bool target = limits_.itl_target > Duration::zero();
  // Who waits for the first token counts as much as who waits for the next.
  const double parts = static_cast<double>(prompts_due()) / static_cast<double>(decodes_);
  const double limit =
      target ? to_seconds(limits_.itl_target) : (limits_.stretch + parts) * without;
  room.timed = true;
  room.tokens =
      std::min(room.tokens, std::max<int64_t>(2 * last_prefill_, PlannerLimits::kFirstPrefill));
  // What a step takes for any of a prompt is worth twice that time for its tokens, within limits.
  const double any = shape_.prompts > 0 ? 0 : time_.prompt_seconds();
  room.seconds = limit * (1 + urgency(now)) - without - any;
  if (!target) {
    const double worth = std::min(2 * any, limits_.stretch * without - any);
    room.seconds = std::max(room.seconds, worth);
  }
  room.least = std::min<int64_t>(room.tokens, limits_.least_prefill);
  return room;
}

int64_t StepPlanner::tokens_of(const Room& room, const Sequence& s) const {
  if (!room.timed) return room.tokens;
  return std::min(room.tokens, std::max(room.least, time_.tokens_within(room.seconds, s.computed)));
}

void StepPlanner::spend(Room& room, const Slice& slice) const {
  room.tokens -= slice.count;
  room.given += slice.count;
  room.least = std::max<int64_t>(room.least - slice.count, 0);
  spend_time(room, slice);
}

void StepPlanner::spend_time(Room& room, const Slice& slice) const {
  if (!room.timed) return;
  StepShape shape;
  shape.add(slice.first, slice.count, slice.logit_rows);
  room.seconds -= time_.seconds(shape) - time_.seconds({});
}

// Prompts of those who yield (`patient`), or of the others.
void StepPlanner::give_prefills(Room& room, bool patient) {
  const size_t before = running_.size();
  const auto comes = [&] {
    return !waiting_.empty() && yields(at(waiting_.begin()->id)) == patient && admit_next();
  };
  for (size_t i = 0; room.tokens > 0 && (i < running_.size() || comes()); ++i) {
    const SequenceId id = running_[i];
    if (i < before && (at(id).one_behind() || yields(at(id)) != patient)) continue;
    adopt(id);
    // One row is kept for each of those behind, who may be about to end their prompts.
    room.behind = std::max<int64_t>(room.behind - 1, 0);
    if (awaits_another(at(id))) continue;
    const int64_t tokens = tokens_of(room, at(id));
    if (tokens <= 0) break;
    const int64_t rows = limits_.logit_rows - plan_.logit_rows;
    const int64_t given =
        give(id, tokens, rows > 1 ? std::max<int64_t>(rows - room.behind, 1) : rows);
    claim(at(id));
    if (given > 0) spend(room, plan_.slices.back());
  }
}

// Plans up to `tokens` tokens and `rows` logit rows of a running sequence; the number of tokens
// that it got. 0 when there is no block for it and it is the last: then it waits where it is.
int64_t StepPlanner::give(SequenceId id, int64_t tokens, int64_t rows) {
  Sequence& s = at(id);
  const int64_t first = s.computed;
  const int64_t without_logits = std::max<int64_t>(s.logits_from - first, 0);
  int64_t count = std::min({s.goal() - first, tokens, without_logits + rows});
  if (count <= 0 || !make_room(id)) return 0;

  int64_t room = free_blocks();
  if (has_windows() && count > 1) room = std::min(room, window_within_claims(s));
  count = std::min(count, (std::ssize(s.blocks) + room) * limits_.block_tokens - first);
  acquire(s, first + count);

  const int64_t logit_rows = std::max<int64_t>(count - without_logits, 0);
  plan_.slices.push_back(
      {.sequence = id, .first = first, .count = count, .logit_rows = logit_rows});
  plan_.tokens += count;
  plan_.logit_rows += logit_rows;
  return count;
}

// Sees to it that the next token of a sequence has a place: in a block it owns, in a free one, or
// in one that the last of the line gives back. False: it is the last itself.
bool StepPlanner::make_room(SequenceId id) {
  const Sequence& s = at(id);
  if (blocks_for(s.computed + 1) <= static_cast<int64_t>(s.blocks.size())) return true;
  while (free_blocks() == 0) {
    if (running_.back() == id) return false;
    preempt_last();
  }
  return true;
}

void StepPlanner::acquire(Sequence& s, int64_t upto_tokens) {
  int64_t missing = blocks_for(upto_tokens) - static_cast<int64_t>(s.blocks.size());
  if (missing <= 0) return;
  save(static_cast<SequenceId>(&s - table_.data()));
  if (has_windows() && slack_known_) {  // what goes beyond its claim
    slack_.windowed -= std::max<int64_t>(missing - window_claim(s), 0);
  }
  for (; missing > 0; --missing) {
    s.blocks.push_back(full_.take(plan_.scrub));
    if (has_windows()) s.window_blocks.push_back(windowed_.take(plan_.scrub_windowed));
  }
}

bool StepPlanner::adoptable(const Sequence& s, int64_t k) const {
  return k < static_cast<int64_t>(s.chain.size()) &&
         (k + 1) * limits_.block_tokens <= s.logits_from;
}

// How far a sequence that has its first `from` blocks computed can get by the prefix cache, in
// blocks: up to there all full ones are there, and the windowed ones that the token behind sees.
int64_t StepPlanner::cached_upto(const Sequence& s, int64_t from) const {
  int64_t upto = from;
  int64_t unbroken = s.slid;  // from this block on the windowed ones are there
  for (int64_t k = from; adoptable(s, k); ++k) {
    const Hash128& name = s.chain[static_cast<size_t>(k)];
    if (full_.index().find(name) == kNoBlock) break;
    if (has_windows() && windowed_.index().find(name) == kNoBlock) {
      if (from > 0) break;  // only who begins looks further, which takes time
      unbroken = k + 1;
    }
    if (!has_windows() || unbroken <= behind_window((k + 1) * limits_.block_tokens)) upto = k + 1;
  }
  return upto;
}

// Takes over what the prefix cache has of a sequence's next blocks.
void StepPlanner::adopt(SequenceId id) {
  Sequence& s = at(id);
  if (s.computed % limits_.block_tokens != 0) return;
  const int64_t from = s.computed / limits_.block_tokens;
  const int64_t upto = cached_upto(s, from);
  if (upto == from) return;
  save(id);
  adopted_.push_back(id);
  const int64_t seen_from = behind_window(upto * limits_.block_tokens);
  for (int64_t k = from; k < upto; ++k) {
    const Hash128& name = s.chain[static_cast<size_t>(k)];
    s.blocks.push_back(full_.index().find(name));
    full_.share(s.blocks.back());
    if (!has_windows()) continue;
    s.window_blocks.push_back(k < seen_from ? kNoBlock : windowed_.index().find(name));
    if (k < seen_from) continue;
    if (windowed_.pool().owners(s.window_blocks.back()) > 0) s.lent = k + 1;
    windowed_.share(s.window_blocks.back());
  }
  s.computed = upto * limits_.block_tokens;
  s.published = upto;
  const int64_t fresh = std::max<int64_t>(std::min(s.computed, s.prompt_tokens) - s.prompt_seen, 0);
  s.prompt_seen += fresh;
  s.cached_tokens += fresh;
  totals_.cached_tokens += fresh;
}

// Whether a prompt ahead of this one is filling the very block that this one needs next.
bool StepPlanner::awaits_another(const Sequence& s) const {
  const int64_t k = s.computed / limits_.block_tokens;
  if (s.computed % limits_.block_tokens != 0 || !adoptable(s, k)) return false;
  return std::find(claims_.begin(), claims_.end(), s.chain[static_cast<size_t>(k)]) !=
         claims_.end();
}

void StepPlanner::claim(const Sequence& s) {
  const auto k = static_cast<size_t>(s.computed / limits_.block_tokens);
  // One that wants logits all along is slowed down by their number: nobody shall wait for it.
  if (k < s.chain.size() && s.logits_from > s.computed) claims_.push_back(s.chain[k]);
}

// Time that is left for drafts: what a prompt would get. One alone makes nobody wait but itself.
double StepPlanner::seconds_for_drafts() const {
  const bool target = limits_.itl_target > Duration::zero();
  if (!time_.known() || (!target && plan_.slices.size() == 1)) {
    return std::numeric_limits<double>::infinity();
  }
  const double limit =
      target ? to_seconds(limits_.itl_target) : limits_.stretch * time_.seconds(shape_);
  return std::max(limit - time_.seconds(shape_of_plan()), 0.0);
}

// Drafts that a slice has, for the tokens as they are now.
int64_t StepPlanner::drafts_for(const Slice& slice) const {
  const Sequence& s = at(slice.sequence);
  if (slice.count != 1 || slice.logit_rows != 1 || !s.generates) return 0;
  if (s.drafts.empty() || s.drafted_at != std::ssize(s.tokens)) return 0;
  return std::ssize(s.drafts) - 1;
}

void StepPlanner::give_drafts() {
  const auto asks = [&](const Slice& slice) { return drafts_for(slice) > 0; };
  auto asking = std::count_if(plan_.slices.begin(), plan_.slices.end(), asks);
  if (asking == 0) return;
  double seconds = seconds_for_drafts();
  for (Slice& slice : plan_.slices) {
    if (!asks(slice)) continue;
    Sequence& s = at(slice.sequence);
    StepShape one;
    one.add(slice.first, 1, 1);
    const double each = time_.seconds(one) - time_.seconds({});
    const int64_t left =
        std::min(limits_.step_tokens - plan_.tokens, limits_.logit_rows - plan_.logit_rows);
    const int64_t room = (std::ssize(s.blocks) + free_blocks()) * limits_.block_tokens;
    // As much as the others behind it, at least.
    int64_t drafts =
        std::min({drafts_for(slice), (left + asking - 1) / asking, room - slice.first - 1});
    const double share = seconds / static_cast<double>(asking--);
    if (each * static_cast<double>(drafts) > share) drafts = static_cast<int64_t>(share / each);
    if (drafts <= 0) continue;
    seconds -= each * static_cast<double>(drafts);
    acquire(s, slice.first + 1 + drafts);
    slice.drafts = drafts;
    slice.count += drafts;
    slice.logit_rows += drafts;
    plan_.tokens += drafts;
    plan_.logit_rows += drafts;
  }
}

}  // namespace mill::scheduler
