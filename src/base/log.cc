#include "base/log.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>

namespace mill {
namespace {

std::atomic<LogLevel> g_level{LogLevel::kInfo};

std::string_view name(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug: return "debug";
    case LogLevel::kInfo: return "info";
    case LogLevel::kWarn: return "warn";
    case LogLevel::kError: return "error";
  }
  return "error";
}

// Bytes of the valid UTF-8 sequence that starts `text`, or 0 when there is none (Unicode 15, table 3-7).
size_t utf8_length(std::string_view text) {
  const auto byte = [&](size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u; };
  const auto tail = [&](size_t i) { return (byte(i) & 0xC0) == 0x80; };
  const unsigned lead = byte(0);
  if (lead < 0x80) return 1;
  if (lead >= 0xC2 && lead <= 0xDF) return tail(1) ? 2 : 0;
  if (lead >= 0xE0 && lead <= 0xEF) {
    const bool overlong = lead == 0xE0 && byte(1) < 0xA0;
    const bool surrogate = lead == 0xED && byte(1) > 0x9F;
    return tail(1) && tail(2) && !overlong && !surrogate ? 3 : 0;
  }
  if (lead >= 0xF0 && lead <= 0xF4) {
    const bool overlong = lead == 0xF0 && byte(1) < 0x90;
    const bool beyond = lead == 0xF4 && byte(1) > 0x8F;
    return tail(1) && tail(2) && tail(3) && !overlong && !beyond ? 4 : 0;
  }
  return 0;
}

// Stands for itself within a JSON string.
bool is_plain(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte >= 0x20 && byte < 0x7F && c != '"' && c != '\\';
}

}  // namespace

void set_log_level(LogLevel level) { g_level = level; }

void append_json_string(std::string& out, std::string_view text) {
  out += '"';
  while (!text.empty()) {
    const auto plain = std::find_if_not(text.begin(), text.end(), is_plain);
    out.append(text.begin(), plain);
    text.remove_prefix(static_cast<size_t>(plain - text.begin()));
    if (text.empty()) break;
    const size_t length = utf8_length(text);
    const char c = text.front();
    if (length == 0) {
      out += "\xEF\xBF\xBD";
      text.remove_prefix(1);
      continue;
    }
    if (length > 1) {
      out.append(text.substr(0, length));
    } else if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\r') {
      out += "\\r";
    } else if (c == '\t') {
      out += "\\t";
    } else {
      fmt::format_to(std::back_inserter(out), "\\u{:04x}", static_cast<unsigned>(c));
    }
    text.remove_prefix(length);
  }
  out += '"';
}

LogLine::LogLine(LogLevel level, std::string_view event) : enabled_(level >= g_level.load()) {
  if (!enabled_) return;
  const auto time = std::chrono::system_clock::now();
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch()).count();
  line_ = fmt::format("{{\"time\":\"{:%Y-%m-%dT%H:%M:%S}.{:03}Z\",\"level\":\"{}\",\"event\":",
                      fmt::gmtime(ms / 1000), ms % 1000, name(level));
  append_json_string(line_, event);
}

LogLine::~LogLine() {
  if (!enabled_) return;
  line_ += "}\n";
  // One write call, so that lines of several threads don't mix. A failed write of a log line has nowhere to be reported.
  [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, line_.data(), line_.size());
}

LogLine& LogLine::add(std::string_view key, std::string_view value) {
  if (!enabled_) return *this;
  line_ += ',';
  append_json_string(line_, key);
  line_ += ':';
  append_json_string(line_, value);
  return *this;
}

LogLine& LogLine::add(std::string_view key, double value) {
  if (!enabled_) return *this;
  line_ += ',';
  append_json_string(line_, key);
  line_ += std::isfinite(value) ? fmt::format(":{:.6g}", value) : std::string(":null");
  return *this;
}

LogLine& LogLine::add(std::string_view key, bool value) {
  if (!enabled_) return *this;
  line_ += ',';
  append_json_string(line_, key);
  line_ += value ? ":true" : ":false";
  return *this;
}

LogLine& LogLine::add_integer(std::string_view key, int64_t value) {
  if (!enabled_) return *this;
  line_ += ',';
  append_json_string(line_, key);
  fmt::format_to(std::back_inserter(line_), ":{}", value);
  return *this;
}

}  // namespace mill
