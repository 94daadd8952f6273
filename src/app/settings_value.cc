// Text to value and back: the part of settings.h that knows units.
#include <fmt/format.h>
#include <pwd.h>
#include <unistd.h>

#include <charconv>
#include <cmath>
#include <optional>

#include "app/settings.h"
#include "base/check.h"

namespace mill::app {
namespace {

struct Unit {
  std::string_view name;
  double factor;
};
constexpr Unit kByteUnits[] = {
    {"", 1},         {"B", 1},      {"KiB", 1024.0},  {"MiB", 1048576.0}, {"GiB", 0x1p30},
    {"TiB", 0x1p40}, {"K", 1024.0}, {"M", 1048576.0}, {"G", 0x1p30},      {"T", 0x1p40},
    {"kB", 1e3},     {"KB", 1e3},   {"MB", 1e6},      {"GB", 1e9},        {"TB", 1e12}};
constexpr Unit kTimeUnits[] = {{"ms", 1e-3}, {"s", 1},    {"m", 60},
                               {"min", 60},  {"h", 3600}, {"d", 86400}};

template <class Number>
std::optional<Number> whole_text(std::string_view text) {
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// "1.5GiB" by a table of units; nothing when the text is no number with one of these units.
template <size_t N>
std::optional<double> measured(std::string_view text, const Unit (&units)[N]) {
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || !std::isfinite(number)) return std::nullopt;
  std::string_view unit = text.substr(static_cast<size_t>(end - text.data()));
  while (!unit.empty() && unit.front() == ' ') unit.remove_prefix(1);
  for (const Unit& known : units) {
    if (known.name == unit) return number * known.factor;
  }
  return std::nullopt;
}

std::string bytes_text(double bytes) {
  for (const auto& [name, factor] :
       {Unit{"TiB", 0x1p40}, Unit{"GiB", 0x1p30}, Unit{"MiB", 0x1p20}, Unit{"KiB", 0x1p10}}) {
    if (bytes >= factor && std::fmod(bytes, factor) == 0)
      return fmt::format("{} {}", bytes / factor, name);
  }
  return fmt::format("{}", static_cast<int64_t>(bytes));
}

std::string seconds_text(double seconds) {
  if (seconds != 0 && seconds < 1) return fmt::format("{}ms", seconds * 1e3);
  return fmt::format("{}s", seconds);
}

// What a right value would be, to end the sentence "X must be …".
std::string wanted(const Setting& s) {
  switch (s.kind) {
    case Kind::kSwitch:
      return "true or false";
    case Kind::kInteger:
      return fmt::format("a whole number from {} to {}", int64_t(s.low), int64_t(s.high));
    case Kind::kIntegers:
      return fmt::format("whole numbers from {} to {}, with commas between", int64_t(s.low),
                         int64_t(s.high));
    case Kind::kReal:
      return fmt::format("a number from {} to {}", s.low, s.high);
    case Kind::kBytes:
      return fmt::format("a size from {} to {}, like 512MiB", bytes_text(s.low),
                         bytes_text(s.high));
    case Kind::kDuration:
      return fmt::format("a time from {} to {}, like 500ms, 30s or 2m", seconds_text(s.low),
                         seconds_text(s.high));
    case Kind::kChoice: {
      std::string words(s.choices);
      for (size_t at = 0; (at = words.find('|', at)) != std::string::npos; at += 2)
        words.replace(at, 1, ", ");
      return "one of " + words;
    }
    default:
      return "text";
  }
}

std::vector<std::string> split_commas(std::string_view text) {
  std::vector<std::string> parts;
  size_t begin = 0;
  while (begin <= text.size()) {
    const size_t comma = std::min(text.find(',', begin), text.size());
    std::string_view part = text.substr(begin, comma - begin);
    while (!part.empty() && part.front() == ' ') part.remove_prefix(1);
    while (!part.empty() && part.back() == ' ') part.remove_suffix(1);
    if (!part.empty()) parts.emplace_back(part);
    begin = comma + 1;
  }
  return parts;
}

std::optional<bool> switch_of(std::string_view text) {
  if (text == "true" || text == "on" || text == "yes" || text == "1") return true;
  if (text == "false" || text == "off" || text == "no" || text == "0") return false;
  return std::nullopt;
}

bool is_choice(std::string_view choices, std::string_view text) {
  while (!choices.empty()) {
    const size_t bar = std::min(choices.find('|'), choices.size());
    if (choices.substr(0, bar) == text) return true;
    choices.remove_prefix(std::min(bar + 1, choices.size()));
  }
  return false;
}

std::optional<int64_t> integer_of(const Setting& s, std::string_view text) {
  const auto value = whole_text<int64_t>(text);
  if (!value || static_cast<double>(*value) < s.low || static_cast<double>(*value) > s.high)
    return std::nullopt;
  return value;
}

std::optional<double> in_range(const Setting& s, std::optional<double> value) {
  if (!value || !(*value >= s.low && *value <= s.high)) return std::nullopt;
  return value;
}

std::optional<Value> scalar_of(const Setting& s, const std::string& text,
                               const Environment& environment) {
  switch (s.kind) {
    case Kind::kSwitch:
      if (const auto value = switch_of(text)) return *value;
      return std::nullopt;
    case Kind::kInteger:
      if (const auto value = integer_of(s, text)) return *value;
      return std::nullopt;
    case Kind::kReal:
      if (const auto value = in_range(s, whole_text<double>(text))) return *value;
      return std::nullopt;
    case Kind::kBytes:
      if (const auto value = in_range(s, measured(text, kByteUnits)))
        return static_cast<int64_t>(*value);
      return std::nullopt;
    case Kind::kDuration:
      if (const auto value = in_range(s, measured(text, kTimeUnits)))
        return std::llround(*value * 1e9);
      return std::nullopt;
    case Kind::kChoice:
      if (is_choice(s.choices, text)) return text;
      return std::nullopt;
    case Kind::kPath:
      return expand_path(text, environment);
    default:
      return text;
  }
}

std::string home_folder(const Environment& environment) {
  const auto home = environment.find("HOME");
  if (home != environment.end() && !home->second.empty()) return home->second;
  const passwd* user = ::getpwuid(::getuid());
  return user != nullptr && user->pw_dir != nullptr ? user->pw_dir : "/";
}

std::string xdg_folder(const Environment& environment, const char* variable,
                       const char* otherwise) {
  const auto set = environment.find(variable);
  const bool usable =
      set != environment.end() && !set->second.empty() && set->second.front() == '/';
  return (usable ? set->second : home_folder(environment) + otherwise) + "/tokenmill";
}

}  // namespace

Result<Value> parse_value(const Setting& setting, const std::vector<std::string>& texts,
                          std::string_view subject, const Environment& environment) {
  if (setting.kind == Kind::kTexts) return Value(texts);
  if (setting.kind == Kind::kIntegers) {
    std::vector<int64_t> numbers;
    for (const std::string& text : texts) {
      for (const std::string& part : split_commas(text)) {
        const auto number = integer_of(setting, part);
        if (!number) {
          return fail(Code::kInvalid,
                      fmt::format("{} must be {}, not '{}'", subject, wanted(setting), part),
                      std::string(setting.name));
        }
        numbers.push_back(*number);
      }
    }
    return Value(std::move(numbers));
  }
  MILL_CHECK(!texts.empty());
  const std::string& text = texts.back();  // a flag given twice: the last one counts
  std::optional<Value> value = scalar_of(setting, text, environment);
  if (!value) {
    constexpr size_t kShown = 60;
    const std::string shown = text.size() <= kShown ? text : text.substr(0, kShown) + "…";
    return fail(Code::kInvalid,
                fmt::format("{} must be {}, not '{}'", subject, wanted(setting), shown),
                std::string(setting.name));
  }
  return *std::move(value);
}

std::string render(const Setting& setting, const Value& value) {
  switch (setting.kind) {
    case Kind::kSwitch:
      return std::get<bool>(value) ? "true" : "false";
    case Kind::kInteger:
      return std::to_string(std::get<int64_t>(value));
    case Kind::kReal:
      return fmt::format("{}", std::get<double>(value));
    case Kind::kBytes:
      return bytes_text(static_cast<double>(std::get<int64_t>(value)));
    case Kind::kDuration:
      return seconds_text(static_cast<double>(std::get<int64_t>(value)) / 1e9);
    case Kind::kSecret:
      return std::get<std::string>(value).empty() ? "(none)" : "(set)";
    case Kind::kTexts: {
      const auto& texts = std::get<std::vector<std::string>>(value);
      return texts.empty() ? "(none)" : fmt::format("{}", fmt::join(texts, ", "));
    }
    case Kind::kIntegers: {
      const auto& numbers = std::get<std::vector<int64_t>>(value);
      return numbers.empty() ? "(none)" : fmt::format("{}", fmt::join(numbers, ", "));
    }
    default: {
      const std::string& text = std::get<std::string>(value);
      return text.empty() ? "(none)" : text;
    }
  }
}

std::string expand_path(std::string_view path, const Environment& environment) {
  const auto under = [&](std::string_view prefix) {
    return path.substr(0, prefix.size()) == prefix;
  };
  if (path == "~" || under("~/")) return home_folder(environment) + std::string(path.substr(1));
  if (under("$DATA/")) {
    return xdg_folder(environment, "XDG_DATA_HOME", "/.local/share") + std::string(path.substr(5));
  }
  if (under("$CONFIG/")) {
    return xdg_folder(environment, "XDG_CONFIG_HOME", "/.config") + std::string(path.substr(7));
  }
  return std::string(path);
}

}  // namespace mill::app
