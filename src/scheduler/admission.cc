// Who runs: the parts of StepPlanner that let sequences in and take their blocks back.
//
// A sequence is let in when there are blocks for all the tokens that it and those who run have, and
// for one more block each, so that it isn't preempted again at once; what it finds in the hands of
// others it needs no block for. A sequence alone always fits.
#include <algorithm>

#include "base/check.h"
#include "scheduler/step_planner.h"

namespace mill::scheduler {

// Free blocks that nobody who runs has a claim on. Taking blocks for known tokens lowers the free
// and the claims alike, so this holds for the whole of a plan in which nobody is preempted.
int64_t StepPlanner::slack() const {
  int64_t slack = pool_.free();
  for (const SequenceId id : running_) {
    const Sequence& s = at(id);
    const int64_t wanted = blocks_for(static_cast<int64_t>(s.tokens.size()));
    slack -= std::max<int64_t>(wanted - static_cast<int64_t>(s.blocks.size()), 0) + 1;
  }
  return slack;
}

// Blocks that it takes out of the free ones when it is let in: all but what others hold already.
int64_t StepPlanner::needs(const Sequence& s) const {
  int64_t shared = 0;
  for (int64_t k = 0; adoptable(s, k); ++k) {
    const BlockId block = index_.find(s.chain[static_cast<size_t>(k)]);
    if (block == kNoBlock) break;
    if (pool_.owners(block) > 0) ++shared;
  }
  return blocks_for(static_cast<int64_t>(s.tokens.size())) - shared + 1;
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
    const int64_t wanted = needs(at(id));
    int64_t room = slack();
    size_t stay = running_.size();  // so many of the first
    const auto fits = [&] {
      return stay == 0 || (stay < static_cast<size_t>(limits_.max_running) && wanted <= room);
    };
    while (!fits() && *waiting_.begin() < place_of(running_[stay - 1])) {
      const Sequence& last = at(running_[--stay]);
      const auto held = static_cast<int64_t>(last.blocks.size());
      // Its blocks, and what it had a claim on.
      room += std::max(held, blocks_for(static_cast<int64_t>(last.tokens.size()))) + 1;
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
    if (!slack_known_) {
      slack_ = slack();
      slack_known_ = true;
    }
    const int64_t wanted = needs(at(id));
    if (wanted > slack_) return false;
    slack_ -= wanted;
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
  pool_.release(s.blocks);
  const auto saved =
      std::find_if(saved_.rbegin(), saved_.rend(), [&](const Saved& of) { return of.id == id; });
  saved->given_back.swap(s.blocks);
  s.computed = 0;
  s.published = 0;
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
  ++totals_.preemptions;
}

}  // namespace mill::scheduler
