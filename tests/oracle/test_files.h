// The files that oracle tests read.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>

namespace mill {

// $TOKENMILL_SHARED/data, or the folder beside the source tree.
inline std::filesystem::path shared_data() {
  if (const char* shared = std::getenv("TOKENMILL_SHARED"))
    return std::filesystem::path(shared) / "data";
  return std::filesystem::path(MILL_SOURCE_DIR) / "../shared/data";
}

// $TOKENMILL_TEST_MODELS, or the folder in the user's cache.
inline std::filesystem::path test_models() {
  if (const char* folder = std::getenv("TOKENMILL_TEST_MODELS")) return folder;
  const char* home = std::getenv("HOME");
  return std::filesystem::path(home ? home : "") / ".cache/tokenmill-test-models";
}

inline std::string contents_of(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

// Nothing where xz is not there, or can't.
inline std::optional<std::string> unpacked(const std::filesystem::path& path) {
  FILE* const pipe = popen(("xz -dc '" + path.string() + "'").c_str(), "r");
  if (pipe == nullptr) return std::nullopt;
  std::string bytes;
  char block[1 << 16];
  for (size_t n; (n = std::fread(block, 1, sizeof block, pipe)) > 0;) bytes.append(block, n);
  if (pclose(pipe) != 0) return std::nullopt;
  return bytes;
}

}  // namespace mill
