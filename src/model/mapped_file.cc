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

int64_t nanoseconds(const timespec& time) {
  return int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

FileStamp stamp_of(const struct stat& status) {
  return {.bytes = static_cast<uint64_t>(status.st_size),
          .inode = status.st_ino,
          .modified_ns = nanoseconds(status.st_mtim),
          .changed_ns = nanoseconds(status.st_ctim)};
}

}  // namespace

Result<MappedFile> MappedFile::open(const std::filesystem::path& path) {
  // Without O_NONBLOCK, to open a named pipe would wait for a writer.
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return fail_with(errno, path);
  MappedFile file;
  file.fd_ = fd;
  struct stat status = {};
  if (::fstat(fd, &status) != 0) return fail_with(errno, path);
  if (!S_ISREG(status.st_mode))
    return fail(Code::kInvalid, path.string() + " is not a regular file");
  file.stamp_ = stamp_of(status);
  const auto size = static_cast<size_t>(status.st_size);
  if (size > 0) {
    void* address = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, fd, 0);
    if (address == MAP_FAILED) return fail_with(errno, path);
    file.bytes_ = {static_cast<const std::byte*>(address), size};
  }
  return file;
}

bool MappedFile::unchanged() const {
  struct stat status = {};
  return fd_ >= 0 && ::fstat(fd_, &status) == 0 && stamp_of(status) == stamp_;
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : bytes_(std::exchange(other.bytes_, {})),
      stamp_(std::exchange(other.stamp_, {})),
      fd_(std::exchange(other.fd_, -1)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(bytes_, other.bytes_);
  std::swap(stamp_, other.stamp_);
  std::swap(fd_, other.fd_);
  return *this;
}

MappedFile::~MappedFile() {
  if (!bytes_.empty()) ::munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
  if (fd_ >= 0) ::close(fd_);
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
