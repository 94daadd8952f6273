#include "load/trace.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <charconv>
#include <chrono>
#include <fstream>
#include <limits>
#include <optional>
#include <string>

namespace mill::load {
namespace {

namespace json = boost::json;
using Seconds = std::chrono::duration<double>;

constexpr int64_t kMostTokens = 1 << 24;  // of one prompt or answer
constexpr uintmax_t kMostBytes = uintmax_t{1} << 30;

tl::unexpected<Error> wrong(int64_t line, std::string_view what) {
  return fail(Code::kCorrupt, fmt::format("line {}: {}", line, what));
}

// Takes `text` line by line; CR LF counts as LF, empty lines are passed over.
class Lines {
 public:
  explicit Lines(std::string_view text) : rest_(text) {}

  bool next() {
    while (!rest_.empty()) {
      const size_t end = std::min(rest_.find('\n'), rest_.size());
      line_ = rest_.substr(0, end);
      rest_.remove_prefix(std::min(end + 1, rest_.size()));
      ++number_;
      if (line_.ends_with('\r')) line_.remove_suffix(1);
      if (!line_.empty()) return true;
    }
    return false;
  }
  std::string_view line() const { return line_; }
  int64_t number() const { return number_; }

 private:
  std::string_view rest_, line_;
  int64_t number_ = 0;
};

std::string_view take_field(std::string_view& line) {
  const size_t end = line.find(',');
  const std::string_view field = line.substr(0, end);
  line = end == std::string_view::npos ? std::string_view{} : line.substr(end + 1);
  return field;
}

// All of `text` as digits that make a number in [low, high].
std::optional<int64_t> whole(std::string_view text, int64_t low, int64_t high) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  if (value < low || value > high) return std::nullopt;
  return value;
}

// "2023-11-16 18:17:03.9799600" (a 'T' and a trailing 'Z' or "+00:00" are taken too), in seconds
// since 1970.
std::optional<double> time_of(std::string_view text) {
  if (text.ends_with("Z")) text.remove_suffix(1);
  if (text.ends_with("+00:00")) text.remove_suffix(6);
  if (text.size() < 19 || text[4] != '-' || text[7] != '-' ||
      (text[10] != ' ' && text[10] != 'T') || text[13] != ':' || text[16] != ':') {
    return std::nullopt;
  }
  const auto year = whole(text.substr(0, 4), 1970, 9999);
  const auto month = whole(text.substr(5, 2), 1, 12);
  const auto day = whole(text.substr(8, 2), 1, 31);
  const auto hour = whole(text.substr(11, 2), 0, 23);
  const auto minute = whole(text.substr(14, 2), 0, 59);
  const auto second = whole(text.substr(17, 2), 0, 60);
  if (!year || !month || !day || !hour || !minute || !second) return std::nullopt;
  double fraction = 0;
  if (text.size() > 19) {
    const std::string_view digits = text.substr(20);
    const auto value = whole(digits, 0, std::numeric_limits<int64_t>::max());
    if (text[19] != '.' || digits.empty() || digits.size() > 18 || !value) return std::nullopt;
    fraction = static_cast<double>(*value);
    for (size_t i = 0; i < digits.size(); ++i) fraction /= 10;
  }
  const std::chrono::year_month_day date{std::chrono::year(static_cast<int>(*year)),
                                         std::chrono::month(static_cast<unsigned>(*month)),
                                         std::chrono::day(static_cast<unsigned>(*day))};
  if (!date.ok()) return std::nullopt;
  const auto days = std::chrono::sys_days(date).time_since_epoch().count();
  return static_cast<double>(days) * 86400 + static_cast<double>(*hour) * 3600 +
         static_cast<double>(*minute) * 60 + static_cast<double>(*second) + fraction;
}

// A request as a trace has it.
struct Row {
  double seconds = 0;
  int64_t prompt = 0, output = 0;
  std::vector<uint32_t> blocks;  // empty: the trace knows nothing of what prompts share
};

Result<Row> azure_row(std::string_view line, int64_t number) {
  const auto time = time_of(take_field(line));
  const auto prompt = whole(take_field(line), 0, kMostTokens);
  const auto output = whole(take_field(line), 0, kMostTokens);
  if (!time) return wrong(number, "TIMESTAMP is not of the form YYYY-MM-DD HH:MM:SS.fraction");
  if (!prompt) return wrong(number, "ContextTokens is not a number of tokens");
  if (!output) return wrong(number, "GeneratedTokens is not a number of tokens");
  if (!line.empty()) return wrong(number, "there are more than three columns");
  return Row{.seconds = *time, .prompt = *prompt, .output = *output};
}

std::optional<double> number_in(const json::object& object, std::string_view name, double most) {
  const json::value* value = object.if_contains(name);
  if (value == nullptr || !value->is_number()) return std::nullopt;
  const double number = value->to_number<double>();
  if (!(number >= 0) || number > most) return std::nullopt;
  return number;
}

Result<json::object> object_of(std::string_view line, int64_t number) {
  boost::system::error_code error;
  json::value value = json::parse(line, error);
  if (error) return wrong(number, "is not JSON: " + error.message());
  json::object* object = value.if_object();
  if (object == nullptr) return wrong(number, "is not a JSON object");
  return std::move(*object);
}

Result<Row> mooncake_row(std::string_view line, int64_t number) {
  MILL_TRY(const json::object object, object_of(line, number));
  const auto time = number_in(object, "timestamp", 1e15);
  const auto prompt = number_in(object, "input_length", kMostTokens);
  const auto output = number_in(object, "output_length", kMostTokens);
  if (!time) return wrong(number, "\"timestamp\" is not a number of milliseconds");
  if (!prompt) return wrong(number, "\"input_length\" is not a number of tokens");
  if (!output) return wrong(number, "\"output_length\" is not a number of tokens");
  Row row{.seconds = *time / 1000,
          .prompt = static_cast<int64_t>(*prompt),
          .output = static_cast<int64_t>(*output)};
  const json::value* blocks = object.if_contains("hash_ids");
  if (blocks == nullptr || !blocks->is_array()) return wrong(number, "\"hash_ids\" is no array");
  for (const json::value& id : blocks->get_array()) {
    const int64_t* value = id.if_int64();
    if (value == nullptr || *value < 0 || *value >= int64_t{kOwnSource}) {
      return wrong(number, "\"hash_ids\" holds something else than ids below 2^31");
    }
    row.blocks.push_back(static_cast<uint32_t>(*value));
  }
  if (static_cast<int64_t>(row.blocks.size()) * kMooncakeBlock < row.prompt) {
    return wrong(number, "\"hash_ids\" has fewer blocks than \"input_length\" needs");
  }
  return row;
}

Ask ask_of(const Row& row, int64_t index, const TraceOptions& options) {
  const auto clip = [](int64_t tokens, int32_t most) {
    const int64_t some = std::max<int64_t>(tokens, 1);
    return static_cast<int32_t>(most > 0 ? std::min<int64_t>(some, most) : some);
  };
  Ask ask{.index = index, .output_tokens = clip(row.output, options.max_output)};
  int32_t left = clip(row.prompt, options.max_prompt);
  for (const uint32_t block : row.blocks) {
    if (left == 0) break;
    const int32_t tokens = std::min(left, kMooncakeBlock);
    ask.segments.push_back({block, tokens});
    left -= tokens;
  }
  if (left > 0) ask.segments.push_back({kOwnSource | static_cast<uint32_t>(index), left});
  return ask;
}

Result<std::vector<Row>> rows_of(std::string_view text, int64_t at_most) {
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  Lines lines(text);
  std::vector<Row> rows;
  const bool is_json = text.starts_with('{');
  if (!is_json) {
    if (!lines.next() || lines.line() != "TIMESTAMP,ContextTokens,GeneratedTokens") {
      return wrong(1,
                   "neither a JSON object nor the columns TIMESTAMP,ContextTokens,GeneratedTokens: "
                   "not a trace of a kind known here");
    }
  }
  while ((at_most == 0 || static_cast<int64_t>(rows.size()) < at_most) && lines.next()) {
    MILL_TRY(Row row, is_json ? mooncake_row(lines.line(), lines.number())
                              : azure_row(lines.line(), lines.number()));
    rows.push_back(std::move(row));
  }
  if (rows.empty()) return wrong(lines.number(), "the trace has no requests");
  return rows;
}

Result<std::string> read_file(const std::filesystem::path& file) {
  std::error_code error;
  const uintmax_t size = std::filesystem::file_size(file, error);
  if (error) {
    return fail(Code::kNotFound, fmt::format("cannot read {}: {}", file.string(), error.message()));
  }
  if (size > kMostBytes) {
    return fail(Code::kTooLarge, fmt::format("{} is larger than 1 GiB", file.string()));
  }
  std::string text(size, '\0');
  std::ifstream in(file, std::ios::binary);
  if (!in.read(text.data(), static_cast<std::streamsize>(size))) {
    return fail(Code::kIo, fmt::format("cannot read {}", file.string()));
  }
  return text;
}

template <class T>
Result<T> with_name(Result<T> result, const std::filesystem::path& file) {
  if (!result) result.error().message = file.string() + ", " + result.error().message;
  return result;
}

}  // namespace

Result<std::vector<Ask>> parse_trace(std::string_view text, const TraceOptions& options) {
  MILL_TRY(std::vector<Row> rows, rows_of(text, options.requests));
  std::stable_sort(rows.begin(), rows.end(),
                   [](const Row& a, const Row& b) { return a.seconds < b.seconds; });
  const double begin = rows.front().seconds;
  const double span = rows.back().seconds - begin;
  double speed = options.speed;
  if (options.per_second > 0 && span > 0) {
    speed = options.per_second * span / static_cast<double>(rows.size());
  }
  std::vector<Ask> asks;
  asks.reserve(rows.size());
  for (const Row& row : rows) {
    asks.push_back(ask_of(row, static_cast<int64_t>(asks.size()), options));
    asks.back().at = std::chrono::duration_cast<Duration>(Seconds((row.seconds - begin) / speed));
  }
  return asks;
}

Result<std::vector<Ask>> parse_prompts(std::string_view text, int32_t output_tokens) {
  Lines lines(text);
  std::vector<Ask> asks;
  while (lines.next()) {
    MILL_TRY(const json::object object, object_of(lines.line(), lines.number()));
    const json::value* prompt = object.if_contains("prompt");
    if (prompt == nullptr || !prompt->is_string() || prompt->get_string().empty()) {
      return wrong(lines.number(), "\"prompt\" is not a text");
    }
    Ask ask{.index = static_cast<int64_t>(asks.size()),
            .text = std::string(prompt->get_string()),
            .output_tokens = output_tokens};
    if (object.contains("output_tokens")) {
      const auto tokens = number_in(object, "output_tokens", kMostTokens);
      if (!tokens || *tokens < 1) {
        return wrong(lines.number(), "\"output_tokens\" is not a number of tokens");
      }
      ask.output_tokens = static_cast<int32_t>(*tokens);
    }
    asks.push_back(std::move(ask));
  }
  if (asks.empty()) return wrong(lines.number(), "there are no prompts");
  return asks;
}

Result<std::vector<Ask>> read_trace(const std::filesystem::path& file,
                                    const TraceOptions& options) {
  MILL_TRY(const std::string text, read_file(file));
  return with_name(parse_trace(text, options), file);
}

Result<std::vector<Ask>> read_prompts(const std::filesystem::path& file, int32_t output_tokens) {
  MILL_TRY(const std::string text, read_file(file));
  return with_name(parse_prompts(text, output_tokens), file);
}

}  // namespace mill::load
