// Numbers to text and back, as Python writes and reads them.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "text/jinja/value.h"

namespace mill::text::jinja {

std::string to_text(Wide whole);
std::string to_text(double real);           // repr(): the shortest that reads back
std::string to_text(Wide whole, int base);  // digits below 10 then a to z, a minus in front

// int(text, base) and float(text): white space around and single underscores between digits are
// fine. Nothing for what Python refuses; base 0 goes by the prefix.
std::optional<Result<Value>> read_integer(std::string_view text, int base);
std::optional<double> read_real(std::string_view text);

}  // namespace mill::text::jinja
