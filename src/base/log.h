// One line of JSON per event on standard error: {"time":…,"level":"info","event":"request","key":value,…}.
//
// Thread-safe; a line is written with one call. Values are escaped, so a request can't forge a line.
#pragma once

#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>

namespace mill {

enum class LogLevel { kDebug, kInfo, kWarn, kError };

// Lines below this level are dropped. Default kInfo.
void set_log_level(LogLevel level);

class LogLine {
 public:
  LogLine(LogLevel level, std::string_view event);
  ~LogLine();  // writes the line
  LogLine(const LogLine&) = delete;
  LogLine& operator=(const LogLine&) = delete;

  LogLine& add(std::string_view key, std::string_view value);
  LogLine& add(std::string_view key, const char* value) { return add(key, std::string_view(value)); }
  LogLine& add(std::string_view key, double value);
  LogLine& add(std::string_view key, bool value);
  LogLine& add(std::string_view key, std::integral auto value) { return add_integer(key, static_cast<int64_t>(value)); }

 private:
  LogLine& add_integer(std::string_view key, int64_t value);
  bool enabled_;
  std::string line_;
};

// log_info("ready").add("port", 8080);
inline LogLine log_debug(std::string_view event) { return LogLine(LogLevel::kDebug, event); }
inline LogLine log_info(std::string_view event) { return LogLine(LogLevel::kInfo, event); }
inline LogLine log_warn(std::string_view event) { return LogLine(LogLevel::kWarn, event); }
inline LogLine log_error(std::string_view event) { return LogLine(LogLevel::kError, event); }

// Appends `text` as a quoted JSON string; bytes that are no valid UTF-8 become U+FFFD.
void append_json_string(std::string& out, std::string_view text);

}  // namespace mill
