#include "gateway/desk/query.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "gateway/percent.h"

namespace mill::gateway::desk {
namespace {

constexpr size_t kShown = 64;  // of a client's text in a message

std::string as_list(std::string_view names) {
  std::string out;
  for (const char c : names) out += c == ' ' ? std::string(", ") : std::string(1, c);
  return out;
}

Result<std::string> decoded(std::string_view text) {
  std::string spaced(text);
  std::replace(spaced.begin(), spaced.end(), '+', ' ');
  auto out = percent_decoded(spaced);
  if (!out) return fail(Code::kInvalid, "the query has a '%' that is no escape");
  return std::move(*out);
}

}  // namespace

bool is_among(std::string_view names, std::string_view name) {
  while (!names.empty()) {
    const std::string_view next = names.substr(0, names.find(' '));
    if (next == name) return true;
    names.remove_prefix(std::min(names.size(), next.size() + 1));
  }
  return false;
}

Result<Query> Query::parse(std::string_view target) {
  Query query;
  const size_t mark = target.find('?');
  std::string_view rest =
      mark == std::string_view::npos ? std::string_view() : target.substr(mark + 1);
  while (!rest.empty()) {
    const std::string_view part = rest.substr(0, rest.find('&'));
    rest.remove_prefix(std::min(rest.size(), part.size() + 1));
    if (part.empty()) continue;
    const size_t equals = std::min(part.find('='), part.size());
    MILL_TRY(std::string name, decoded(part.substr(0, equals)));
    MILL_TRY(std::string value, decoded(part.substr(std::min(equals + 1, part.size()))));
    query.parts_.emplace_back(std::move(name), std::move(value));
  }
  return query;
}

Status Query::only(std::string_view names) const {
  for (const auto& [name, value] : parts_) {
    if (is_among(names, name)) continue;
    const std::string shown = name.substr(0, kShown);
    return fail(Code::kInvalid,
                names.empty() ? fmt::format("this takes no query, and '{}' is given", shown)
                              : fmt::format("'{}' is not understood here; the query takes {}",
                                            shown, as_list(names)),
                shown);
  }
  return {};
}

Result<std::optional<std::string>> Query::text(std::string_view name) const {
  std::optional<std::string> found;
  for (const auto& [key, value] : parts_) {
    if (key != name) continue;
    if (found)
      return fail(Code::kInvalid, fmt::format("'{}' is given twice", name), std::string(name));
    found = value;
  }
  return found;
}

Result<std::optional<int64_t>> Query::integer(std::string_view name, int64_t low,
                                              int64_t high) const {
  MILL_TRY(const auto given, text(name));
  if (!given) return std::optional<int64_t>();
  int64_t number = 0;
  const char* end = given->data() + given->size();
  const auto read = std::from_chars(given->data(), end, number);
  if (read.ec != std::errc() || read.ptr != end || number < low || number > high) {
    return fail(Code::kInvalid,
                fmt::format("'{}' must be a whole number from {} to {}", name, low, high),
                std::string(name));
  }
  return std::optional<int64_t>(number);
}

Result<bool> Query::flag(std::string_view name) const {
  MILL_TRY(const auto given, text(name));
  const std::string word = given.value_or("false");
  if (word == "false") return false;
  if (word == "true") return true;
  return fail(Code::kInvalid, fmt::format("'{}' must be true or false", name), std::string(name));
}

std::vector<std::string> Query::all(std::string_view name) const {
  std::vector<std::string> values;
  for (const auto& [key, value] : parts_) {
    if (key == name) values.push_back(value);
  }
  return values;
}

}  // namespace mill::gateway::desk
