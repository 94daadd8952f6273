#include "load/lengths.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <numbers>
#include <vector>

namespace mill::load {
namespace {

constexpr int32_t kMost = 1 << 24;

std::vector<std::string_view> split(std::string_view text, char at) {
  std::vector<std::string_view> parts;
  for (;;) {
    const size_t end = text.find(at);
    parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

template <class T>
bool read(std::string_view text, T low, T high, T& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() && value >= low && value <= high;
}

bool read_into(std::string_view text, Lengths& lengths) {
  const std::vector<std::string_view> parts = split(text, ':');
  if (parts.front() == "lognormal") {
    lengths.kind = Lengths::Kind::kLognormal;
    if (parts.size() < 3 || parts.size() > 4) return false;
    if (!read(parts[1], 1, kMost, lengths.low) || !read(parts[2], 0.0, 10.0, lengths.sigma)) {
      return false;
    }
    lengths.high = static_cast<int32_t>(std::min<int64_t>(int64_t{16} * lengths.low, kMost));
    return parts.size() == 3 || read(parts[3], lengths.low, kMost, lengths.high);
  }
  if (parts.size() > 2 || !read(parts[0], 1, kMost, lengths.low)) return false;
  lengths.high = lengths.low;
  if (parts.size() == 1) return true;
  lengths.kind = Lengths::Kind::kUniform;
  return read(parts[1], lengths.low, kMost, lengths.high);
}

}  // namespace

Result<Lengths> parse_lengths(std::string_view text, std::string_view name) {
  Lengths lengths;
  if (!read_into(text, lengths)) {
    return fail(Code::kInvalid,
                fmt::format("{} must be a number of tokens, LOW:HIGH, or "
                            "lognormal:MEDIAN:SIGMA[:MOST], not '{}'",
                            name, text.substr(0, 100)),
                std::string(name));
  }
  return lengths;
}

int32_t draw(const Lengths& lengths, double a, double b) {
  switch (lengths.kind) {
    case Lengths::Kind::kFixed:
      return lengths.low;
    case Lengths::Kind::kUniform:
      return lengths.low + static_cast<int32_t>(a * (1.0 + lengths.high - lengths.low));
    case Lengths::Kind::kLognormal: {
      // Box and Muller; 1 - a is in (0, 1].
      const double normal = std::sqrt(-2 * std::log(1 - a)) * std::cos(2 * std::numbers::pi * b);
      const double length = lengths.low * std::exp(lengths.sigma * normal);
      return static_cast<int32_t>(std::clamp<double>(std::round(length), 1, lengths.high));
    }
  }
  return lengths.low;
}

std::string describe(const Lengths& lengths) {
  switch (lengths.kind) {
    case Lengths::Kind::kUniform:
      return fmt::format("{} to {}", lengths.low, lengths.high);
    case Lengths::Kind::kLognormal:
      return fmt::format("median {}, sigma {:.2f}, at most {}", lengths.low, lengths.sigma,
                         lengths.high);
    case Lengths::Kind::kFixed:
      break;
  }
  return std::to_string(lengths.low);
}

}  // namespace mill::load
