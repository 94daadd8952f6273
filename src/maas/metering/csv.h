// Rows of a CSV file (RFC 4180, lines end with LF) that a spreadsheet opens without running
// anything in them.
//
// A text cell whose first character starts a formula in a spreadsheet (= + - @, their full-width
// twins, tab, CR, LF) gets an apostrophe before it. Numbers are written as they are: they are ours.
// Pure.
#pragma once

#include <string>
#include <string_view>

namespace mill::maas {

class CsvWriter {
 public:
  explicit CsvWriter(std::string& out) : out_(out) {}

  // From the outside: escaped. An empty one is a cell of nothing, which readers take for null.
  CsvWriter& text(std::string_view cell);
  // A number, a date, a word of ours: written as it is.  Requires: no comma, quote or line break.
  CsvWriter& plain(std::string_view cell);
  CsvWriter& null() { return plain({}); }
  void end_row();

 private:
  std::string& out_;
  bool first_ = true;
};

// `text` with the apostrophe, where a spreadsheet would take it for a formula.
std::string without_formula(std::string_view text);

}  // namespace mill::maas
