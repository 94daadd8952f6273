// Ends an answer at the first of some strings, and never lets the first bytes of one leak to the reader.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace mill::text {

class StopStrings {
 public:
  explicit StopStrings(std::vector<std::string> stops) : stops_(std::move(stops)) {}

  struct Step {
    std::string text;      // safe to show: no stop string starts in it
    bool stopped = false;  // a stop string was completed; nothing more will come
  };
  // The earliest-ending stop wins; of those, the longest. Its own text is not shown.
  Step push(std::string_view text);
  // The held-back rest of an answer that ended without a stop string.
  std::string finish();

 private:
  std::vector<std::string> stops_;
  std::string held_;
};

}  // namespace mill::text
