// Control tokens known by their names, because files don't always say what they are.
#pragma once

#include <string_view>
#include <vector>

#include "base/ids.h"
#include "text/pieces/string_table.h"

namespace mill::text {

// True for the names of tokens that end a turn, a message or a document; and for those of all
// control tokens that can be told by name.
bool is_end_name(std::string_view piece);
bool is_control_name(std::string_view piece);

// Makes `ends` rise, each once, and takes out the names that end no answer in this vocabulary.
void settle_ends(const StringTable& pieces, std::vector<TokenId>& ends);

}  // namespace mill::text
