// How long prompts and answers are: a distribution that people type in one word.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace mill::load {

struct Lengths {
  enum class Kind { kFixed, kUniform, kLognormal };
  Kind kind = Kind::kFixed;
  int32_t low = 1;   // the length itself, when fixed; the median, when lognormal
  int32_t high = 1;  // the largest; for a lognormal length, where it is cut
  double sigma = 0;  // of the logarithm, when lognormal
};

// "128", "64:256" (uniform, both ends in), "lognormal:512:0.8" (median and sigma, cut at 16 times
// the median) or "lognormal:512:0.8:4096" (cut at the last). Fails with kInvalid; `name` begins the
// sentence.
Result<Lengths> parse_lengths(std::string_view text, std::string_view name);

// The length for two independent draws from [0, 1). At least 1, at most `high`.
int32_t draw(const Lengths& lengths, double a, double b);

// "128", "64 to 256", "median 512, sigma 0.80, at most 4096"
std::string describe(const Lengths& lengths);

}  // namespace mill::load
