// What one tenant's answers leave of a step to those of another that has asked beyond its share.
#include <algorithm>
#include <utility>

#include "scheduler/step_planner.h"

namespace mill::scheduler {

void StepPlanner::find_due() {
  due_ = {};
  for (const SequenceId id : running_) {
    const Sequence& s = at(id);
    if (s.rank > now_) break;  // the line is in order of ranks
    if (!s.one_behind()) continue;
    due_.several = due_.several || (due_.any && due_.first != s.tenant);
    due_.first = due_.any ? due_.first : s.tenant;
    due_.any = true;
  }
}

// Whether its turn is still to come while another tenant's has.
bool StepPlanner::yields(const Sequence& s) const {
  return s.rank > now_ && due_.any && (due_.several || due_.first != s.tenant);
}

// Those who wait for their first token and whose turn has come.
size_t StepPlanner::prompts_due() const {
  size_t prompts = 0;
  for (const SequenceId id : running_) prompts += !at(id).one_behind() && !yields(at(id)) ? 1 : 0;
  auto open = static_cast<int64_t>(limits_.max_running) - std::ssize(running_);
  for (auto next = waiting_.begin(); open > 0 && next != waiting_.end(); ++next, --open) {
    if (!yields(at(next->id))) ++prompts;
  }
  return prompts;
}

// A token for those who yield, in turns, as long as there is time. None of them takes a block from
// anybody.
void StepPlanner::give_patient(Room& room) {
  std::sort(patient_.begin(), patient_.end(), [&](SequenceId a, SequenceId b) {
    return std::pair(at(a).turn, a) < std::pair(at(b).turn, b);
  });
  // What prompts have left of their time counts only as far as the step is not stretched by it.
  if (room.timed) {
    double limit = limits_.stretch * time_.seconds(shape_);
    if (limits_.itl_target > Duration::zero())
      limit = std::min(limit, to_seconds(limits_.itl_target));
    room.seconds = limit - time_.seconds(shape_of_plan());
  }
  bool first = true;
  for (const SequenceId id : patient_) {
    const Sequence& s = at(id);
    if (s.state != Sequence::State::kRunning) continue;  // preempted by a prompt ahead of it
    const bool has_place = blocks_for(s.computed + 1) <= std::ssize(s.blocks) || free_blocks() > 0;
    if (!has_place || plan_.tokens >= limits_.step_tokens) continue;
    if (room.timed && !first && time_.tokens_within(room.seconds, s.computed) < 1) break;
    if (give(id, 1, limits_.logit_rows - plan_.logit_rows) == 0) continue;
    first = false;
    spend_time(room, plan_.slices.back());
  }
  room.tokens = std::min<int64_t>(room.tokens, limits_.step_tokens - plan_.tokens);
}

}  // namespace mill::scheduler
