#include "sim/profile.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>
#include <span>

namespace mill::sim {
namespace {

constexpr double kMostSeconds = 3600;
constexpr double kMostRate = 1e12;
constexpr int64_t kMostTokens = 1 << 24;

// docs/performance.md, "Beside llama.cpp": tokens per second of a batch, as seconds per step.
Profile of_figures(double prefill_rate, int64_t context,
                   std::initializer_list<std::pair<int, double>> rates) {
  Profile profile{.prefill_rate = prefill_rate, .context = context};
  for (const auto& [batch, rate] : rates)
    profile.steps.push_back({static_cast<double>(batch), batch / rate});
  return profile;
}

std::optional<Profile> named(std::string_view name) {
  if (name == "instant") return Profile();
  if (name == "smollm2") {
    return of_figures(1796.7, 8192, {{1, 230.4}, {8, 1319.3}, {16, 1492.5}, {32, 1380.8}});
  }
  if (name == "qwen-coder") {
    return of_figures(677.3, 32768, {{1, 89.5}, {8, 394.5}, {16, 501.2}, {32, 495.3}});
  }
  return std::nullopt;
}

Error bad(std::string_view field, std::string_view what) {
  return {Code::kInvalid,
          "a simulated model's '" + std::string(field.substr(0, 40)) + "' " + std::string(what),
          "model"};
}

Result<double> number(std::string_view field, std::string_view text, double most) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool whole = error == std::errc() && end == text.data() + text.size();
  if (!whole || !(value >= 0 && value <= most)) {
    return fail(bad(field, "must be a number from 0 to " + std::to_string(most)));
  }
  return value;
}

Result<int64_t> count(std::string_view field, std::string_view text, int64_t least, int64_t most) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool whole = error == std::errc() && end == text.data() + text.size();
  if (!whole || value < least || value > most) {
    return fail(bad(field, "must be a whole number from " + std::to_string(least) + " to " +
                               std::to_string(most)));
  }
  return value;
}

Result<double> seconds(std::string_view field, std::string_view text) {
  constexpr std::pair<std::string_view, double> kUnits[] = {{"us", 1e-6}, {"ms", 1e-3}, {"s", 1}};
  for (const auto& [unit, worth] : kUnits) {
    if (!text.ends_with(unit)) continue;
    text.remove_suffix(unit.size());
    MILL_TRY(const double value, number(field, text, kMostSeconds / worth));
    return value * worth;
  }
  return fail(bad(field, "must be a time, such as 7ms, 200us or 1.5s"));
}

Result<Faults::Kind> usage_kind(std::string_view text) {
  if (text == "missing") return Faults::Kind::kMissing;
  if (text == "zero") return Faults::Kind::kZero;
  if (text == "negative") return Faults::Kind::kNegative;
  if (text == "huge") return Faults::Kind::kHuge;
  return fail(bad("usage", "must be missing, zero, negative or huge"));
}

// Of a step, as the flags give it: a straight line.
struct Line {
  std::optional<double> step, per_sequence;
};

Status set_fault(Faults& faults, Faults::Kind kind, std::string_view name) {
  if (faults.kind != Faults::Kind::kNone) return fail(bad(name, "is a second fault: give one"));
  faults.kind = kind;
  return {};
}

Status set_field(std::string_view name, std::string_view value, Profile& profile, Line& line) {
  constexpr std::pair<std::string_view, Faults::Kind> kTimed[] = {
      {"fault", Faults::Kind::kFault}, {"hang", Faults::Kind::kHang}, {"die", Faults::Kind::kDie}};
  for (const auto& [word, kind] : kTimed) {
    if (name != word) continue;
    MILL_TRY(profile.faults.after, count(name, value, 0, kMostTokens));
    return set_fault(profile.faults, kind, name);
  }
  if (name == "usage") {
    MILL_TRY(const Faults::Kind kind, usage_kind(value));
    return set_fault(profile.faults, kind, name);
  }
  if (name == "every") {
    MILL_TRY(profile.faults.every, count(name, value, 1, 1 << 30));
  } else if (name == "prefill") {
    MILL_TRY(profile.prefill_rate, number(name, value, kMostRate));
  } else if (name == "step") {
    MILL_TRY(line.step, seconds(name, value));
  } else if (name == "per_sequence") {
    MILL_TRY(line.per_sequence, seconds(name, value));
  } else if (name == "context") {
    MILL_TRY(profile.context, count(name, value, 2, kMostTokens));
  } else if (name == "answer") {
    MILL_TRY(profile.answer_tokens, count(name, value, 1, kMostTokens));
  } else if (name == "vocabulary") {
    if (value.empty()) return fail(bad(name, "must be the path of a model file"));
    profile.vocabulary = value;
  } else {
    return fail(bad(name,
                    "is not known: there are the names instant, smollm2 and qwen-coder, and "
                    "prefill, step, per_sequence, context, answer, vocabulary, fault, hang, die, "
                    "usage, every"));
  }
  return {};
}

}  // namespace

double Profile::seconds_of(int64_t prompt_tokens, int64_t generating) const {
  double time = prefill_rate > 0 ? static_cast<double>(prompt_tokens) / prefill_rate : 0;
  if (generating == 0 || steps.empty()) return time;
  const auto at = static_cast<double>(generating);
  if (steps.size() == 1) return time + steps[0].seconds;
  size_t right = 1;
  while (right + 1 < steps.size() && steps[right].sequences < at) ++right;
  const StepPoint& a = steps[right - 1];
  const StepPoint& b = steps[right];
  const double slope = (b.seconds - a.seconds) / (b.sequences - a.sequences);
  return time + std::max(0.0, a.seconds + slope * (at - a.sequences));
}

Result<Profile> parse_profile(std::string_view text) {
  Profile profile;
  Line line;
  bool first = true;
  while (!text.empty() || first) {
    const size_t comma = std::min(text.find(','), text.size());
    const std::string_view part = text.substr(0, comma);
    text.remove_prefix(std::min(comma + 1, text.size()));
    const size_t equals = part.find('=');
    if (equals != std::string_view::npos) {
      MILL_TRY_DO(set_field(part.substr(0, equals), part.substr(equals + 1), profile, line));
    } else {
      std::optional<Profile> known = first ? named(part) : std::nullopt;
      if (!known) return fail(bad(part, "is not the name of one, nor NAME=VALUE"));
      profile = std::move(*known);
    }
    first = false;
  }
  if (line.step || line.per_sequence) {
    const double step = line.step.value_or(0);
    profile.steps = {{0, step}, {1, step + line.per_sequence.value_or(0)}};
  }
  return profile;
}

}  // namespace mill::sim
