#include "app/books/table.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <vector>

#include "maas/catalog/civil_time.h"

namespace mill::app {
namespace {

namespace json = boost::json;

const json::value* find(const json::object& item, std::string_view member) {
  const size_t dot = member.find('.');
  const std::string_view name = member.substr(0, dot);
  const json::value* value = item.if_contains(json::string_view(name.data(), name.size()));
  if (dot == std::string_view::npos || value == nullptr) return value;
  return value->is_object() ? find(value->get_object(), member.substr(dot + 1)) : nullptr;
}

std::string plain(const json::value& value) {
  if (value.is_null()) return "-";
  if (value.is_string()) return std::string(value.get_string());
  if (value.is_double()) return fmt::format("{}", value.get_double());
  if (!value.is_array()) return json::serialize(value);
  std::string text;
  for (const json::value& item : value.get_array()) text += (text.empty() ? "" : ",") + plain(item);
  return text.empty() ? "-" : text;
}

// How many columns of a terminal a text takes, near enough: its code points.
size_t width(std::string_view text) {
  return static_cast<size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

std::string padded(const std::string& text, size_t to, bool right) {
  const std::string space(to - std::min(to, width(text)), ' ');
  return right ? space + text : text + space;
}

}  // namespace

std::string cell(const json::object& item, std::string_view member) {
  const json::value* value = find(item, member);
  if (value == nullptr) return "-";
  const bool instant = (member.ends_with("_at") || member == "effective_at") && value->is_int64();
  if (instant && value->get_int64() < INT64_MAX / maas::kNanosPerSecond)
    return maas::format_instant(value->get_int64() * maas::kNanosPerSecond);
  return plain(*value);
}

std::string table(const json::array& items, const std::vector<Column>& columns) {
  std::vector<std::vector<std::string>> rows(1);
  std::vector<size_t> widths;
  for (const Column& column : columns) {
    rows[0].emplace_back(column.title);
    widths.push_back(width(column.title));
  }
  for (const json::value& item : items) {
    std::vector<std::string>& row = rows.emplace_back();
    for (const Column& column : columns) {
      row.push_back(item.is_object() ? cell(item.get_object(), column.member) : "-");
      widths[row.size() - 1] = std::max(widths[row.size() - 1], width(row.back()));
    }
  }
  std::string text;
  for (const auto& row : rows) {
    std::string line;
    for (size_t i = 0; i < row.size(); ++i)
      line += (i == 0 ? "" : "  ") + padded(row[i], widths[i], columns[i].right);
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + "\n";
  }
  return text;
}

std::string lines(const json::object& item, std::initializer_list<Column> columns) {
  size_t widest = 0;
  for (const Column& column : columns) widest = std::max(widest, column.title.size());
  std::string text;
  for (const Column& column : columns)
    text += fmt::format("{:<{}}  {}\n", column.title, widest, cell(item, column.member));
  return text;
}

void print_answer(const Settings& settings, const json::object& answer, const std::string& text) {
  const std::string out = settings.on("json") ? json::serialize(answer) + "\n" : text;
  std::fwrite(out.data(), 1, out.size(), stdout);
}

}  // namespace mill::app
