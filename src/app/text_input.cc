#include "app/text_input.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <vector>

namespace mill::app {
namespace {

Code code_of(int error) {
  if (error == ENOENT) return Code::kNotFound;
  if (error == EACCES || error == EPERM) return Code::kPermission;
  return Code::kIo;
}

tl::unexpected<Error> failure(const std::string& path) {
  return fail(code_of(errno), fmt::format("cannot read {}: {}", path, std::strerror(errno)));
}

}  // namespace

Result<std::string> read_text(const std::string& path) {
  const auto close = [](std::FILE* file) { std::fclose(file); };
  std::unique_ptr<std::FILE, decltype(close)> opened(nullptr, close);
  std::FILE* file = stdin;
  if (path != "-") {
    opened.reset(std::fopen(path.c_str(), "rb"));
    if (!opened) return failure(path);
    file = opened.get();
  }
  std::string text;
  std::vector<char> buffer(size_t{1} << 16);
  while (const size_t got = std::fread(buffer.data(), 1, buffer.size(), file)) {
    if (text.size() + got > kMaxTextInput) {
      return fail(Code::kTooLarge,
                  fmt::format("{} is larger than {} MiB", path, kMaxTextInput >> 20));
    }
    text.append(buffer.data(), got);
  }
  if (std::ferror(file)) return failure(path);
  return text;
}

}  // namespace mill::app
