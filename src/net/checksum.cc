#include "net/checksum.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/evp.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <vector>

#include "base/check.h"

namespace mill::net {
namespace {

class Sha256 {
 public:
  Sha256() : context_(EVP_MD_CTX_new(), &EVP_MD_CTX_free) {
    MILL_CHECK(context_ != nullptr &&
               EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) == 1);
  }
  void add(const void* bytes, size_t count) {
    MILL_CHECK(EVP_DigestUpdate(context_.get(), bytes, count) == 1);
  }
  std::string hex() {
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int length = 0;
    MILL_CHECK(EVP_DigestFinal_ex(context_.get(), digest, &length) == 1);
    std::string text;
    for (unsigned int i = 0; i < length; ++i) text += fmt::format("{:02x}", digest[i]);
    return text;
  }

 private:
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context_;
};

Code code_of(int error) {
  if (error == ENOENT || error == ENOTDIR) return Code::kNotFound;
  return error == EACCES || error == EPERM ? Code::kPermission : Code::kIo;
}

}  // namespace

std::string sha256_of(std::string_view bytes) {
  Sha256 sum;
  sum.add(bytes.data(), bytes.size());
  return sum.hex();
}

Result<std::string> sha256_of_file(const std::filesystem::path& path,
                                   const std::function<void(uint64_t)>& progress) {
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) {
    return fail(code_of(errno),
                fmt::format("cannot read {}: {}", path.string(), std::strerror(errno)));
  }
  ::posix_fadvise(file, 0, 0, POSIX_FADV_SEQUENTIAL);
  Sha256 sum;
  std::vector<char> block(1 << 20);
  uint64_t done = 0;
  for (;;) {
    const ssize_t got = ::read(file, block.data(), block.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      const int error = errno;
      ::close(file);
      return fail(Code::kIo,
                  fmt::format("cannot read {}: {}", path.string(), std::strerror(error)));
    }
    if (got == 0) break;
    sum.add(block.data(), static_cast<size_t>(got));
    done += static_cast<uint64_t>(got);
    if (progress) progress(done);
  }
  ::close(file);
  return sum.hex();
}

bool is_sha256(std::string_view text) {
  return text.size() == 64 && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

}  // namespace mill::net
