// Small files of /proc and /sys, read so that nothing they hold can do harm.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace mill::device {

// At most 256 KiB of a regular file; "" when it cannot be read.
std::string small_text(const std::filesystem::path& path);

// The first line without spaces at its ends and without unprintable bytes, at most 200 bytes.
std::string word_in(const std::filesystem::path& path);

// A whole number at the start of the text; nothing when there is none.
std::optional<int64_t> leading_number(std::string_view text);

// The value of the first line "KEY : VALUE" ("MemTotal:  123 kB", "model name\t: X"); "" when there
// is none.
std::string value_of(std::string_view text, std::string_view key);

// How many numbers a list like "0-3,8" names, and the numbers, at most 4096 of them. Empty when it
// is malformed.
std::vector<int> numbers_in_list(std::string_view list);

// The entries of a folder whose name is `prefix` and then only digits, by number. At most 4096.
std::vector<std::filesystem::path> numbered_entries(const std::filesystem::path& folder,
                                                    std::string_view prefix);

}  // namespace mill::device
