// StepPlanner::audit: whether all the books agree.
#include <algorithm>
#include <optional>

#include "scheduler/step_planner.h"

namespace mill::scheduler {
namespace {

tl::unexpected<Error> wrong(const char* what) {
  return fail(Code::kInternal, what);
}

}  // namespace

Status StepPlanner::audit() const {
  MILL_TRY_DO(audit_line());
  return audit_blocks();
}

Status StepPlanner::audit_line() const {
  if (running_.size() > static_cast<size_t>(limits_.max_running)) return wrong("too many run");
  if (running_.size() + waiting_.size() + vacant_.size() != table_.size()) {
    return wrong("a place of the table is lost or taken twice");
  }
  int64_t idle = 0;
  size_t timed = 0;
  for (const Sequence& s : table_) {
    idle += s.state == Sequence::State::kNone ? 1 : 0;
    timed += s.deadline != kNever ? 1 : 0;
  }
  if (static_cast<size_t>(idle) != vacant_.size()) return wrong("a vacant place is in use");
  if (timed != deadlines_.size()) return wrong("a deadline is lost");
  for (const auto& [deadline, id] : deadlines_) {
    if (at(id).deadline != deadline) return wrong("a deadline is somebody else's");
  }
  std::optional<Place> last;
  for (const SequenceId id : running_) {
    if (at(id).state != Sequence::State::kRunning) return wrong("one who runs does not know");
    if (last && !(*last < place_of(id))) return wrong("those who run are out of order");
    last = place_of(id);
  }
  for (const Place& place : waiting_) {
    const Sequence& s = at(place.id);
    if (s.state != Sequence::State::kWaiting) return wrong("one who waits does not know");
    if (place.rank != s.rank || place.arrival != s.arrival)
      return wrong("a place in the line lies");
    if (!s.blocks.empty() || s.computed != 0) return wrong("one who waits owns blocks");
  }
  return {};
}

// Counts the blocks of one who runs into `owners`; `first_owner` says who had a block first, and
// at which place.
Status StepPlanner::audit_sequence(SequenceId id,
                                   std::vector<std::pair<SequenceId, int64_t>>& first_owner,
                                   std::vector<int32_t>& owners) const {
  const Sequence& s = at(id);
  for (size_t k = 0; k < s.blocks.size(); ++k) {
    const BlockId block = s.blocks[k];
    if (block < 0 || block >= pool_.total()) return wrong("a block that does not exist is owned");
    auto& [who, where] = first_owner[static_cast<size_t>(block)];
    if (++owners[static_cast<size_t>(block)] == 1) {
      who = id;
      where = static_cast<int64_t>(k);
      if (index_.holds(block) && (k >= s.chain.size() || index_.name_of(block) != s.chain[k])) {
        return wrong("a block has the name of other tokens");
      }
      continue;
    }
    if (where != static_cast<int64_t>(k) || k >= s.chain.size() || k >= at(who).chain.size() ||
        at(who).chain[k] != s.chain[k]) {
      return wrong("two sequences share a block and not its tokens");
    }
    if (static_cast<int64_t>(k) >= s.computed / limits_.block_tokens) {
      return wrong("a block that is still written to is shared");
    }
  }
  const auto held = static_cast<int64_t>(s.blocks.size());
  if (s.computed < 0 || s.computed > s.goal()) return wrong("more is computed than there is");
  if (!planned_ && held != blocks_for(s.computed + s.ahead)) {
    return wrong("a sequence owns more or fewer blocks than its tokens need");
  }
  if (limits_.prefix_cache && !planned_ && s.published != s.computed / limits_.block_tokens) {
    return wrong("a full block was not offered to the prefix index");
  }
  return {};
}

Status StepPlanner::audit_blocks() const {
  if (!pool_.consistent()) return wrong("the free line and the owners disagree");
  if (!index_.consistent()) return wrong("the prefix index does not find what it holds");
  const auto total = static_cast<size_t>(pool_.total());
  std::vector<int32_t> owners(total, 0);
  std::vector<std::pair<SequenceId, int64_t>> first_owner(total, {-1, -1});
  for (const SequenceId id : running_) MILL_TRY_DO(audit_sequence(id, first_owner, owners));
  for (size_t b = 0; b < total; ++b) {
    const auto block = static_cast<BlockId>(b);
    if (owners[b] != pool_.owners(block)) return wrong("a block is owned by more or fewer");
    if (pool_.holds_prefix(block) != index_.holds(block)) {
      return wrong("the pool and the prefix index disagree on a block");
    }
    if (tainted_[b] && index_.holds(block)) return wrong("a tainted block is in the prefix index");
  }
  return {};
}

}  // namespace mill::scheduler
