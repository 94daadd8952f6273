// Who runs: the parts of StepPlanner that let sequences in and take their blocks back.
//
// A sequence is let in when there are blocks for all the tokens that it and those who run have, and
// for one more block each, so that it isn't preempted again at once; what it finds in the hands of
// others it needs no block for. A sequence alone always fits.
//
// Of windowed blocks a sequence has a claim on as many as its window and its next token lie in.
// Those that it shares with others don't count as its own: when it leaves them behind they aren't
// free.
#include <algorithm>

#include "base/check.h"
#include "scheduler/step_planner.h"

namespace mill::scheduler {

// Free blocks that nobody who runs has a claim on. Taking blocks for known tokens lowers the free
// and the claims alike, so this holds for the whole of a plan in which nobody is preempted; but for
// windowed ones beyond a claim, which acquire() takes off.
StepPlanner::Blocks StepPlanner::slack() const {
  Blocks slack{full_.free(), windowed_.free()};
  for (const SequenceId id : running_) {
    const Sequence& s = at(id);
    slack.full -= std::max<int64_t>(blocks_for(std::ssize(s.tokens)) - std::ssize(s.blocks), 0) + 1;
    if (has_windows()) slack.windowed -= window_claim(s);
  }
  return slack;
}

StepPlanner::Blocks& StepPlanner::known_slack() {
  if (!slack_known_) slack_ = slack();
  slack_known_ = true;
  return slack_;
}

// Windowed blocks that a sequence may still take, with nobody else's promised to it.
int64_t StepPlanner::window_claim(const Sequence& s) const {
  const int64_t all = std::min(blocks_for(std::ssize(s.tokens)) + 1 - s.lent, window_span());
  return std::max<int64_t>(all - window_own(s), 0);
}

// Windowed blocks that are free when it gives them back.
int64_t StepPlanner::window_own(const Sequence& s) const {
  return std::ssize(s.window_blocks) - std::max({s.slid, s.lent, behind_window(s.computed)});
}

// The most windowed blocks that a prompt may take in this plan: one, whatever the claims.
int64_t StepPlanner::window_within_claims(const Sequence& s) {
  return std::max<int64_t>(window_claim(s) + std::max<int64_t>(known_slack().windowed, 0), 1);
}

// Blocks that it takes out of the free ones when it is let in: all but what others hold already.
StepPlanner::Blocks StepPlanner::needs(const Sequence& s) const {
  const int64_t cached = cached_upto(s, 0);
  int64_t shared = 0;
  for (int64_t k = 0; k < cached; ++k) {
    const BlockId block = full_.index().find(s.chain[static_cast<size_t>(k)]);
    if (full_.pool().owners(block) > 0) ++shared;
  }
  const int64_t all = blocks_for(std::ssize(s.tokens)) + 1;
  if (!has_windows()) return {all - shared, 0};
  int64_t lent = cached;
  for (const int64_t seen = behind_window(cached * limits_.block_tokens); lent > seen; --lent) {
    const BlockId block = windowed_.index().find(s.chain[static_cast<size_t>(lent - 1)]);
    if (windowed_.pool().owners(block) > 0) break;
  }
  return {all - shared, std::min(all - lent, window_span())};
}

void StepPlanner::admit(SequenceId id) {
  save(id);
  waiting_.erase(place_of(id));
  at(id).state = Sequence::State::kRunning;
  const auto before = [&](SequenceId a, SequenceId b) { return place_of(a) < place_of(b); };
  running_.insert(std::upper_bound(running_.begin(), running_.end(), id, before), id);
}

// Lets those in who stand ahead of somebody who runs (a higher priority that came later), in the
// place of the last when it must be; but not before that is enough for them to fit.
void StepPlanner::admit_ahead() {
  while (!waiting_.empty() && !running_.empty() && *waiting_.begin() < place_of(running_.back())) {
    const SequenceId id = waiting_.begin()->id;
    const Blocks wanted = needs(at(id));
    Blocks room = slack();
    size_t stay = running_.size();  // so many of the first
    const auto fits = [&] {
      return stay == 0 || (stay < static_cast<size_t>(limits_.max_running) &&
                           wanted.full <= room.full && wanted.windowed <= room.windowed);
    };
    while (!fits() && *waiting_.begin() < place_of(running_[stay - 1])) {
      const Sequence& last = at(running_[--stay]);
      // Its blocks, and what it had a claim on.
      room.full += std::max(std::ssize(last.blocks), blocks_for(std::ssize(last.tokens))) + 1;
      if (has_windows()) room.windowed += window_own(last) + window_claim(last);
    }
    if (!fits()) return;
    while (running_.size() > stay) preempt_last();
    admit(id);
  }
}

// Lets the first of those who wait in behind those who run.
bool StepPlanner::admit_next() {
  if (waiting_.empty() || preempted_) return false;
  if (running_.size() >= static_cast<size_t>(limits_.max_running)) return false;
  const SequenceId id = waiting_.begin()->id;
  if (!running_.empty()) {
    if (*waiting_.begin() < place_of(running_.back())) return false;  // see admit_ahead
    Blocks& left = known_slack();
    const Blocks wanted = needs(at(id));
    if (wanted.full > left.full || wanted.windowed > left.windowed) return false;
    left.full -= wanted.full;
    left.windowed -= wanted.windowed;
  }
  admit(id);
  return true;
}

// The last of those who run waits again, with nothing computed. What it computed stays in the
// prefix cache until somebody needs the blocks.
void StepPlanner::preempt_last() {
  const SequenceId id = running_.back();
  save(id);
  running_.pop_back();
  Sequence& s = at(id);
  full_.release(s.blocks);
  windowed_.release(s.window_blocks);
  const auto saved =
      std::find_if(saved_.rbegin(), saved_.rend(), [&](const Saved& of) { return of.id == id; });
  saved->given_back.swap(s.blocks);
  saved->window_given_back.swap(s.window_blocks);
  s.computed = s.published = s.slid = s.lent = 0;
  s.state = Sequence::State::kWaiting;
  waiting_.insert(place_of(id));

  const auto slice = std::find_if(plan_.slices.begin(), plan_.slices.end(),
                                  [&](const Slice& of) { return of.sequence == id; });
  if (slice != plan_.slices.end()) {
    plan_.tokens -= slice->count;
    plan_.logit_rows -= slice->logit_rows;
    plan_.slices.erase(slice);
  }
  preempted_ = true;
  slack_known_ = false;
  ++totals_.preemptions;
}

}  // namespace mill::scheduler
