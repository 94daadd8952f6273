#include "device/system_text.h"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <system_error>
#include <utility>

namespace mill::device {
namespace {

constexpr size_t kLargestText = 256 << 10;
constexpr size_t kLongestWord = 200;
constexpr size_t kMostEntries = 4096;

std::string_view trimmed(std::string_view text) {
  const auto space = [](char c) { return c == ' ' || c == '\t' || c == '\r'; };
  while (!text.empty() && space(text.front())) text.remove_prefix(1);
  while (!text.empty() && space(text.back())) text.remove_suffix(1);
  return text;
}

std::string printable(std::string_view text) {
  std::string word;
  for (const char c : text.substr(0, kLongestWord)) {
    if (static_cast<unsigned char>(c) >= 0x20 && static_cast<unsigned char>(c) < 0x7f) word += c;
  }
  return word;
}

// "3" or "0-3" as first and last; nothing when it is neither.
std::optional<std::pair<int64_t, int64_t>> range_of(std::string_view text) {
  const size_t dash = text.find('-');
  const auto first = leading_number(text.substr(0, dash));
  const auto last = dash == std::string_view::npos ? first : leading_number(text.substr(dash + 1));
  if (!first || !last || *first < 0 || *last < *first) return std::nullopt;
  return std::pair(*first, *last);
}

}  // namespace

std::string small_text(const std::filesystem::path& path) {
  std::error_code error;
  if (!std::filesystem::is_regular_file(path, error)) return "";
  std::ifstream in(path, std::ios::binary);
  std::string text(kLargestText, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<size_t>(in.gcount()));
  return text;
}

std::string word_in(const std::filesystem::path& path) {
  const std::string text = small_text(path);
  return printable(trimmed(std::string_view(text).substr(0, text.find('\n'))));
}

std::optional<int64_t> leading_number(std::string_view text) {
  text = trimmed(text);
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc()) return std::nullopt;
  return value;
}

std::string value_of(std::string_view text, std::string_view key) {
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    const size_t colon = line.find(':');
    if (colon != std::string_view::npos && trimmed(line.substr(0, colon)) == key) {
      return printable(trimmed(line.substr(colon + 1)));
    }
    text.remove_prefix(std::min(text.size(), line.size() + 1));
  }
  return "";
}

std::vector<int> numbers_in_list(std::string_view list) {
  std::vector<int> numbers;
  list = trimmed(list.substr(0, list.find('\n')));
  while (!list.empty()) {
    const std::string_view part = list.substr(0, list.find(','));
    const auto range = range_of(part);
    if (!range || range->second > INT32_MAX) return {};
    for (int64_t n = range->first; n <= range->second && numbers.size() < kMostEntries; ++n)
      numbers.push_back(static_cast<int>(n));
    list.remove_prefix(std::min(list.size(), part.size() + 1));
  }
  return numbers;
}

std::vector<std::filesystem::path> numbered_entries(const std::filesystem::path& folder,
                                                    std::string_view prefix) {
  std::vector<std::pair<int64_t, std::filesystem::path>> found;
  std::error_code error;
  for (std::filesystem::directory_iterator at(folder, error), end;
       !error && at != end && found.size() < kMostEntries; at.increment(error)) {
    const std::string name = at->path().filename().string();
    if (name.rfind(prefix, 0) != 0 || name.size() == prefix.size()) continue;
    const std::string_view digits = std::string_view(name).substr(prefix.size());
    if (!std::all_of(digits.begin(), digits.end(), [](char c) { return c >= '0' && c <= '9'; }))
      continue;
    if (const auto number = leading_number(digits)) found.emplace_back(*number, at->path());
  }
  std::sort(found.begin(), found.end());
  std::vector<std::filesystem::path> paths;
  for (auto& [number, path] : found) paths.push_back(std::move(path));
  return paths;
}

}  // namespace mill::device
