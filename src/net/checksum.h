// SHA-256 (FIPS 180-4) of bytes and of files, as 64 lower-case hex digits.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace mill::net {

std::string sha256_of(std::string_view bytes);

// Reads the file from the disk once, front to back. `progress`, where given, hears how many bytes
// have been read. kNotFound, kPermission, kIo.
Result<std::string> sha256_of_file(const std::filesystem::path& path,
                                   const std::function<void(uint64_t)>& progress = {});

// Whether `text` is 64 lower-case hex digits.
bool is_sha256(std::string_view text);

}  // namespace mill::net
