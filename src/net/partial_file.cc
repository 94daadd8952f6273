#include "net/partial_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <system_error>
#include <utility>

#include "base/check.h"

namespace mill::net {
namespace {

constexpr uint64_t kSpareRoom = 16 << 20;  // left free on the disk for everybody else
constexpr int kOpenTries = 8;

std::string megabytes(uint64_t bytes) {
  return fmt::format("{:.1f} MB", static_cast<double>(bytes) / 1e6);
}

tl::unexpected<Error> cannot_write(const std::filesystem::path& path, int error) {
  const std::string name = path.string();
  switch (error) {
    case ENOSPC:
    case EDQUOT:
      return fail(
          Code::kIo,
          fmt::format(
              "the disk is full: no room to write {}; free some space, or choose a folder on "
              "another disk (what has arrived is kept for the next try)",
              name));
    case EFBIG:
      return fail(
          Code::kIo,
          fmt::format(
              "{} would grow over the largest file that this system allows here (see ulimit -f)",
              name));
    case EACCES:
    case EPERM:
    case EROFS:
      return fail(Code::kPermission,
                  fmt::format("no permission to write {} ({}): choose a folder that is yours", name,
                              std::strerror(error)));
    default:
      return fail(Code::kIo, fmt::format("cannot write {}: {}", name, std::strerror(error)));
  }
}

// Brings a rename in `folder` to the disk. Some file systems cannot sync a folder; the rename
// itself has happened.
void sync_folder(const std::filesystem::path& folder) {
  const int file = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (file < 0) return;
  ::fsync(file);
  ::close(file);
}

std::filesystem::path note_path(const std::filesystem::path& partial) {
  return partial.string() + ".note";
}

}  // namespace

PartialFile::PartialFile(std::filesystem::path target, std::filesystem::path path, int file,
                         uint64_t size)
    : target_(std::move(target)), path_(std::move(path)), file_(file), size_(size) {}

PartialFile::PartialFile(PartialFile&& other) noexcept
    : target_(std::move(other.target_)),
      path_(std::move(other.path_)),
      file_(std::exchange(other.file_, -1)),
      size_(other.size_) {}

PartialFile::~PartialFile() {
  if (file_ >= 0) ::close(file_);
}

Result<PartialFile> PartialFile::open(const std::filesystem::path& target) {
  std::error_code made;
  const std::filesystem::path folder = target.has_parent_path() ? target.parent_path() : ".";
  std::filesystem::create_directories(folder, made);
  if (made) return cannot_write(folder, made.value());
  const std::filesystem::path path = target.string() + ".partial";
  // A holder that commits renames the file away between our open and our lock; then the lock is on
  // the finished file, and we must let go and look again.
  for (int attempt = 0; attempt < kOpenTries; ++attempt) {
    const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (file < 0) return cannot_write(path, errno);
    if (::flock(file, LOCK_EX | LOCK_NB) != 0) {
      const int error = errno;
      ::close(file);
      if (error != EWOULDBLOCK) return cannot_write(path, error);
      return fail(Code::kOverloaded,
                  fmt::format("another process is fetching {} just now: wait until it is done",
                              target.filename().string()));
    }
    struct stat held {};
    struct stat named {};
    const bool same = ::fstat(file, &held) == 0 && ::stat(path.c_str(), &named) == 0 &&
                      held.st_ino == named.st_ino && held.st_dev == named.st_dev;
    if (same && S_ISREG(held.st_mode)) {
      return PartialFile(target, path, file, static_cast<uint64_t>(held.st_size));
    }
    ::close(file);
    if (same)
      return fail(Code::kIo, fmt::format("{} is not a regular file: take it away", path.string()));
  }
  return fail(Code::kOverloaded,
              fmt::format("{} changes hands too quickly: try again", path.string()));
}

Status PartialFile::append(std::span<const std::byte> bytes) {
  MILL_CHECK(file_ >= 0);
  while (!bytes.empty()) {
    const ssize_t put = ::pwrite(file_, bytes.data(), bytes.size(), static_cast<off_t>(size_));
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return cannot_write(path_, errno);
    size_ += static_cast<uint64_t>(put);
    bytes = bytes.subspan(static_cast<size_t>(put));
  }
  return {};
}

Status PartialFile::clear() {
  MILL_CHECK(file_ >= 0);
  std::error_code ignored;  // no note is as good as a removed one
  std::filesystem::remove(note_path(path_), ignored);
  if (::ftruncate(file_, 0) != 0) return cannot_write(path_, errno);
  size_ = 0;
  return {};
}

Status PartialFile::check_room(uint64_t bytes) const {
  struct statvfs disk {};
  if (::fstatvfs(file_, &disk) != 0) return {};  // unknown: then writing will tell
  const uint64_t free_bytes = static_cast<uint64_t>(disk.f_bavail) * disk.f_frsize;
  if (bytes + kSpareRoom <= free_bytes) return {};
  return fail(Code::kIo,
              fmt::format("{} more are needed for {} and {} are free on its disk: free some space, "
                          "or choose a folder on "
                          "another disk",
                          megabytes(bytes + kSpareRoom), target_.string(), megabytes(free_bytes)));
}

std::string PartialFile::note() const {
  constexpr std::streamsize kLongest = 8192;
  std::ifstream in(note_path(path_), std::ios::binary);
  std::string text(kLongest, '\0');
  in.read(text.data(), kLongest);
  text.resize(static_cast<size_t>(in.gcount()));
  return text;
}

Status PartialFile::set_note(const std::string& text) {
  std::ofstream out(note_path(path_), std::ios::binary | std::ios::trunc);
  out << text << std::flush;
  if (!out) return cannot_write(note_path(path_), errno);
  return {};
}

Status PartialFile::commit() {
  MILL_CHECK(file_ >= 0);
  if (::fsync(file_) != 0) return cannot_write(path_, errno);
  if (::rename(path_.c_str(), target_.c_str()) != 0) return cannot_write(target_, errno);
  std::error_code ignored;
  std::filesystem::remove(note_path(path_), ignored);
  sync_folder(target_.parent_path());
  ::close(std::exchange(file_, -1));
  return {};
}

void PartialFile::discard() {
  if (file_ < 0) return;
  std::error_code
      ignored;  // what cannot be removed stays as a .partial, which nothing reads as a model
  std::filesystem::remove(note_path(path_), ignored);
  std::filesystem::remove(path_, ignored);
  ::close(std::exchange(file_, -1));
}

}  // namespace mill::net
