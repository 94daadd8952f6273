#include "model/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

#include "base/check.h"

namespace mill::model {
namespace {

tl::unexpected<Error> fail_with(int error, const std::filesystem::path& path) {
  const std::string why = std::generic_category().message(error);
  switch (error) {
    case ENOENT:
    case ENOTDIR:
      return fail(Code::kNotFound, "there is no file " + path.string());
    case EACCES:
    case EPERM:
      return fail(Code::kPermission, "may not read " + path.string() + ": " + why);
    default:
      return fail(Code::kIo, "cannot read " + path.string() + ": " + why);
  }
}

}  // namespace

Result<MappedFile> MappedFile::open(const std::filesystem::path& path) {
  // Without O_NONBLOCK, to open a named pipe would wait for a writer.
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return fail_with(errno, path);
  struct stat status = {};
  if (::fstat(fd, &status) != 0) {
    const int error = errno;
    ::close(fd);
    return fail_with(error, path);
  }
  if (!S_ISREG(status.st_mode)) {
    ::close(fd);
    return fail(Code::kInvalid, path.string() + " is not a regular file");
  }
  MappedFile file;
  const auto size = static_cast<size_t>(status.st_size);
  if (size > 0) {
    void* address = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, fd, 0);
    if (address == MAP_FAILED) {
      const int error = errno;
      ::close(fd);
      return fail_with(error, path);
    }
    file.bytes_ = {static_cast<const std::byte*>(address), size};
  }
  ::close(fd);
  return file;
}

MappedFile::MappedFile(MappedFile&& other) noexcept : bytes_(std::exchange(other.bytes_, {})) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(bytes_, other.bytes_);
  return *this;
}

MappedFile::~MappedFile() {
  if (!bytes_.empty()) ::munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
}

void MappedFile::drop_pages() const {
  if (!bytes_.empty())
    ::madvise(const_cast<std::byte*>(bytes_.data()), bytes_.size(), MADV_DONTNEED);
}

void MappedFile::drop_pages(std::span<const std::byte> part) const {
  if (part.empty()) return;
  // Linux maps the pages around one that is read, 64 KiB of them, whoever they belong to. It is
  // also a multiple of every size of pages.
  constexpr size_t kAround = 64 << 10;
  const auto offset = static_cast<size_t>(part.data() - bytes_.data());
  MILL_CHECK(offset <= bytes_.size() && part.size() <= bytes_.size() - offset);
  const size_t first = offset / kAround * kAround;
  const size_t last =
      std::min((offset + part.size() + kAround - 1) / kAround * kAround, bytes_.size());
  ::madvise(const_cast<std::byte*>(bytes_.data()) + first, last - first, MADV_DONTNEED);
}

}  // namespace mill::model
