#include "maas/metering/csv.h"

#include <array>

namespace mill::maas {
namespace {

bool starts_a_formula(std::string_view text) {
  static constexpr std::array<std::string_view, 11> kStarts = {"=",
                                                               "+",
                                                               "-",
                                                               "@",
                                                               "\t",
                                                               "\r",
                                                               "\n",
                                                               "\xEF\xBC\x9D",
                                                               "\xEF\xBC\x8B",
                                                               "\xEF\xBC\x8D",
                                                               "\xEF\xBC\xA0"};
  for (const std::string_view start : kStarts)
    if (text.starts_with(start)) return true;
  return false;
}

}  // namespace

std::string without_formula(std::string_view text) {
  std::string safe(starts_a_formula(text) ? "'" : "");
  safe += text;
  return safe;
}

CsvWriter& CsvWriter::plain(std::string_view cell) {
  if (!first_) out_ += ',';
  first_ = false;
  out_ += cell;
  return *this;
}

CsvWriter& CsvWriter::text(std::string_view cell) {
  const std::string safe = without_formula(cell);
  const bool edge = !safe.empty() && (safe.front() == ' ' || safe.back() == ' ');
  if (!edge && safe.find_first_of(",\"\r\n\t") == std::string::npos) return plain(safe);
  std::string quoted = "\"";
  for (const char c : safe) {
    if (c == '"') quoted += '"';
    quoted += c;
  }
  quoted += '"';
  return plain(quoted);
}

void CsvWriter::end_row() {
  out_ += '\n';
  first_ = true;
}

}  // namespace mill::maas
