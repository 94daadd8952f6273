#include "text/stop_strings.h"

#include <gtest/gtest.h>

#include <random>

namespace mill::text {
namespace {

struct Seen {
  std::string text;
  bool stopped = false;
};

// The definition: the first place where some stop ends; of the stops that end there, the longest is
// cut off.
Seen by_definition(const std::vector<std::string>& stops, const std::string& text) {
  for (size_t end = 1; end <= text.size(); ++end) {
    size_t longest = 0;
    for (const std::string& stop : stops)
      if (!stop.empty() && stop.size() <= end &&
          text.compare(end - stop.size(), stop.size(), stop) == 0)
        longest = std::max(longest, stop.size());
    if (longest > 0) return {text.substr(0, end - longest), true};
  }
  return {text, false};
}

TEST(StopStrings, HoldsBackWhatMayBeAStop) {
  StopStrings stops({"END", "ENOUGH"});
  EXPECT_EQ(stops.push("the E").text, "the ");
  EXPECT_EQ(stops.push("N").text, "");
  EXPECT_EQ(stops.push("V").text, "ENV");
  EXPECT_EQ(stops.push(" EN").text, " ");
  EXPECT_EQ(stops.finish(), "EN");
}

TEST(StopStrings, TheEarliestEndWinsThenTheLongest) {
  StopStrings stops({"bcd", "c", "abc"});
  const StopStrings::Step step = stops.push("xabcd");
  EXPECT_TRUE(step.stopped);
  EXPECT_EQ(step.text, "x");
  EXPECT_EQ(stops.finish(), "");
  EXPECT_EQ(stops.push("more").text, "");
  EXPECT_TRUE(stops.push("more").stopped);
}

TEST(StopStrings, NoStopsAndEmptyStopsPassEverything) {
  for (const auto& none : {std::vector<std::string>{}, std::vector<std::string>{""}}) {
    StopStrings stops(none);
    EXPECT_EQ(stops.push("all of it").text, "all of it");
    EXPECT_EQ(stops.finish(), "");
  }
}

TEST(StopStrings, RandomTextInRandomPartsFollowsTheDefinition) {
  for (uint32_t seed = 0; seed < 3000; ++seed) {
    std::mt19937 random(seed);
    const auto below = [&](uint32_t n) { return random() % n; };
    const auto word = [&](size_t longest) {
      std::string out;
      for (size_t n = below(longest) + 1; n > 0; --n)
        out.push_back(static_cast<char>('a' + below(2 + seed % 2)));
      return out;
    };
    std::vector<std::string> stops;
    for (size_t n = below(4) + 1; n > 0; --n) stops.push_back(word(6));
    const std::string text = word(60);
    const Seen expected = by_definition(stops, text);

    StopStrings machine(stops);
    Seen got;
    for (size_t at = 0; at < text.size() && !got.stopped;) {
      const size_t part = std::min<size_t>(below(5), text.size() - at);
      const StopStrings::Step step = machine.push(std::string_view(text).substr(at, part));
      got.text += step.text;
      got.stopped = step.stopped;
      at += part;
      // What was shown is never taken back: it begins the final text.
      ASSERT_TRUE(expected.text.starts_with(got.text)) << "seed " << seed;
    }
    got.text += machine.finish();
    ASSERT_EQ(got.text, expected.text) << "seed " << seed;
    ASSERT_EQ(got.stopped, expected.stopped) << "seed " << seed;
  }
}

}  // namespace
}  // namespace mill::text
