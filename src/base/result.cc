#include "base/result.h"

namespace mill {

std::string_view name(Code code) {
  switch (code) {
    case Code::kInvalid: return "invalid";
    case Code::kNotFound: return "not_found";
    case Code::kUnsupported: return "unsupported";
    case Code::kTooLarge: return "too_large";
    case Code::kCorrupt: return "corrupt";
    case Code::kPermission: return "permission";
    case Code::kIo: return "io";
    case Code::kOverloaded: return "overloaded";
    case Code::kDeadline: return "deadline";
    case Code::kCancelled: return "cancelled";
    case Code::kInternal: return "internal";
  }
  return "internal";
}

}  // namespace mill
