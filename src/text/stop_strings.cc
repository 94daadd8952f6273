#include "text/stop_strings.h"

namespace mill::text {

StopStrings::StopStrings(std::vector<std::string> stops) : matcher_(stops) {}

StopStrings::Step StopStrings::push(std::string_view text) {
  if (stopped_) return {.stopped = true};
  if (matcher_.empty()) return {.text = std::string(text)};
  for (size_t i = 0; i < text.size(); ++i) {
    state_ = matcher_.step(state_, static_cast<unsigned char>(text[i]));
    const ByteMatcher::State stop = matcher_.longest_here(state_);
    if (stop == ByteMatcher::kNone) continue;
    held_.append(text.substr(0, i + 1));
    stopped_ = true;
    return {.text = take(held_.size() - shown_ - matcher_.depth(stop)), .stopped = true};
  }
  held_.append(text);
  return {.text = take(held_.size() - shown_ - matcher_.depth(state_))};
}

std::string StopStrings::finish() {
  if (stopped_) return {};
  state_ = ByteMatcher::kStart;
  return take(held_.size() - shown_);
}

std::string StopStrings::take(size_t bytes) {
  std::string out = held_.substr(shown_, bytes);
  shown_ += bytes;
  if (shown_ * 2 >= held_.size()) {  // moves each byte at most once for each byte shown
    held_.erase(0, shown_);
    shown_ = 0;
  }
  return out;
}

}  // namespace mill::text
