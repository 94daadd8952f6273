#include "work/event.h"

namespace mill::work {

std::string_view name(FinishReason reason) {
  switch (reason) {
    case FinishReason::kStop: return "stop";
    case FinishReason::kLength: return "length";
    case FinishReason::kCancelled: return "cancelled";
    case FinishReason::kDeadline: return "deadline";
    case FinishReason::kFault: return "fault";
  }
  return "fault";
}

}  // namespace mill::work
