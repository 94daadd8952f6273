// JSON of the administrative API for people: tables of lists, lines of one object.
#pragma once

#include <boost/json.hpp>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "app/settings.h"

namespace mill::app {

struct Column {
  std::string_view title;
  std::string_view member;  // "owner.name": of an object within
  bool right = false;       // for numbers
};

// A value in one line: instants (members that end in "_at") as UTC, lists with commas, "-" for
// null.
std::string cell(const boost::json::object& item, std::string_view member);

std::string table(const boost::json::array& items, const std::vector<Column>& columns);
// "title   value" for each.
std::string lines(const boost::json::object& item, std::initializer_list<Column> columns);

// The answer as it is with --json, else `text`; on standard output.
void print_answer(const Settings& settings, const boost::json::object& answer,
                  const std::string& text);

}  // namespace mill::app
