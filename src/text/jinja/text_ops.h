// What methods and filters on strings have in common. All keep the origin of every byte.
#pragma once

#include "text/jinja/value.h"

namespace mill::text::jinja {

enum class Letters { kUpper, kLower, kTitle, kCapitalize, kSwap };
// str.upper() and its kin, of bytes [from, to) of the text.
Status append_letters(Runtime&, TextBuilder& out, const Text& text, size_t from, size_t to,
                      Letters to_case);
Result<Value> change_letters(Runtime&, const Text& text, Letters to_case);

enum class Side { kLeft, kRight, kBoth };
// str.strip(): white space, or the code points of `characters` where given.
Result<Value> strip(Runtime&, const Text& text, const Text* characters, Side side);

// str.replace(): at most `count` of them, all if it is negative.
Result<Value> replace(Runtime&, const Text& text, const Text& old, const Text& with, int64_t count);

// separator.join(items), each item as str() if `convert`; otherwise items must be strings.
Result<Value> join(Runtime&, const Text& separator, const Value& items, bool convert);

// The lines of str.splitlines(), as [from, to) and the start of the next.
struct Line {
  size_t from, to, next;
};
Result<std::vector<Line>> split_lines(Runtime&, const Text& text);

// str.rsplit(" ", 1)[0]-style cuts and str.split(): the pieces as values.
Result<Items> split(Runtime&, const Text& text, const Text* separator, int64_t most,
                    bool from_right);

// The first and the last place of `needle`, in time linear in both; npos where there is none.
size_t find_first(std::string_view bytes, std::string_view needle, size_t from = 0);
size_t find_last(std::string_view bytes, std::string_view needle);

bool is_all(const Text& text, bool (*test)(uint32_t));  // of a text that is not empty
bool has_case(const Text& text, bool upper);            // str.isupper(), str.islower()

}  // namespace mill::text::jinja
