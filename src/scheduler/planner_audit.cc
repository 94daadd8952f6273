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
  for (const SequenceId id : running_) MILL_TRY_DO(audit_sequence(at(id)));
  MILL_TRY_DO(audit_blocks(full_, &Sequence::blocks));
  MILL_TRY_DO(audit_blocks(windowed_, &Sequence::window_blocks));
  for (BlockId block = 0; block < full_.pool().total(); ++block) {
    if (full_.tainted(block) && full_.index().holds(block)) {
      return wrong("a tainted block is in the prefix index");
    }
  }
  return {};
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
    if (!s.blocks.empty() || !s.window_blocks.empty() || s.computed != 0) {
      return wrong("one who waits owns blocks");
    }
  }
  return {};
}

Status StepPlanner::audit_sequence(const Sequence& s) const {
  const auto held = static_cast<int64_t>(s.blocks.size());
  if (s.computed < 0 || s.computed > s.goal()) return wrong("more is computed than there is");
  if (!planned_ && held != blocks_for(s.computed + s.ahead)) {
    return wrong("a sequence owns more or fewer blocks than its tokens need");
  }
  if (limits_.prefix_cache && !planned_ && s.published != s.computed / limits_.block_tokens) {
    return wrong("a full block was not offered to the prefix index");
  }
  return audit_windows(s);
}

Status StepPlanner::audit_windows(const Sequence& s) const {
  if (!has_windows()) {
    return s.window_blocks.empty() ? Status{} : wrong("windowed blocks and no window");
  }
  if (s.window_blocks.size() != s.blocks.size()) return wrong("the two lists of blocks differ");
  // While a plan waits for its commit, what is behind the window may still be there.
  const int64_t behind = behind_window(s.computed);
  if (!planned_ && (s.slid < behind || s.slid > behind_window(s.computed + 1))) {
    return wrong("a sequence keeps what is behind its window, or gave back what is not");
  }
  for (int64_t k = 0; k < std::ssize(s.window_blocks); ++k) {
    const bool there = s.window_blocks[static_cast<size_t>(k)] != kNoBlock;
    if (k < s.slid && there) return wrong("a block behind the window is still owned");
    if (k >= (planned_ ? std::max(s.slid, behind) : s.slid) && !there) {
      return wrong("a block of the window is not there");
    }
  }
  return {};
}

// The blocks of one kind: counts the owners, who must all have the same tokens there.
Status StepPlanner::audit_blocks(const KvBooks& books, std::vector<BlockId> Sequence::*list) const {
  const auto total = static_cast<size_t>(books.pool().total());
  std::vector<int32_t> owners(total, 0);
  std::vector<std::pair<SequenceId, int64_t>> first_owner(total, {-1, -1});  // and its place there
  for (const SequenceId id : running_) {
    const Sequence& s = at(id);
    for (int64_t k = 0; k < std::ssize(s.*list); ++k) {
      const BlockId block = (s.*list)[static_cast<size_t>(k)];
      if (block == kNoBlock && list == &Sequence::window_blocks) continue;  // see audit_windows
      if (block < 0 || block >= books.pool().total()) return wrong("a block that does not exist");
      const auto place = static_cast<size_t>(k);
      auto& [who, where] = first_owner[static_cast<size_t>(block)];
      if (++owners[static_cast<size_t>(block)] == 1) {
        who = id;
        where = k;
        if (books.index().holds(block) &&
            (place >= s.chain.size() || books.index().name_of(block) != s.chain[place])) {
          return wrong("a block has the name of other tokens");
        }
        continue;
      }
      if (where != k || place >= s.chain.size() || place >= at(who).chain.size() ||
          at(who).chain[place] != s.chain[place]) {
        return wrong("two sequences share a block and not its tokens");
      }
      if (k >= s.computed / limits_.block_tokens) {
        return wrong("a block that is still written to is shared");
      }
    }
  }
  return books.audit(owners);
}

}  // namespace mill::scheduler
