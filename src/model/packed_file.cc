#include "model/packed_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/clock.h"
#include "model/packed_checksum.h"
#include "tensor/arena.h"

namespace mill::model {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kPartial = ".partial";    // behind the name that the file will have
constexpr uint64_t kReadAhead = uint64_t{32} << 20;  // that the system is told of
constexpr uint64_t kWriteBytes = uint64_t{4} << 20;  // at a time
constexpr uint64_t kSyncBytes = uint64_t{64} << 20;  // so that giving up doesn't take long
constexpr int64_t kLeftOverSeconds = 60;

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const { return fd_; }

 private:
  int fd_;
};

tl::unexpected<Error> cancelled() {
  return fail(Code::kCancelled, "the load was given up");
}

tl::unexpected<Error> fail_with(int error, const char* what, const fs::path& file) {
  const std::string why = std::generic_category().message(error);
  const bool may_not = error == EACCES || error == EPERM || error == EROFS;
  return fail(may_not ? Code::kPermission : Code::kIo,
              fmt::format("cannot {} {}: {}", what, file.string(), why));
}

tl::unexpected<Error> refuse(const fs::path& file, std::string_view why) {
  return fail(Code::kCorrupt, fmt::format("{} {}", file.string(), why));
}

// A part of a tensor that is read and summed by one thread.
struct Piece {
  uint64_t begin = 0;  // in the room
  uint64_t bytes = 0;
  size_t tensor = 0;
};

std::vector<Piece> pieces_of(const PackedHead& head) {
  const std::vector<uint64_t> offsets = head.offsets();
  std::vector<Piece> pieces;
  for (size_t i = 0; i < head.tensors.size(); ++i) {
    const uint64_t bytes = head.tensors[i].bytes;
    for (uint64_t at = 0; at < bytes; at += kSumPiece)
      pieces.push_back({offsets[i] + at, std::min(kSumPiece, bytes - at), i});
  }
  return pieces;
}

// Calls visit(piece) for some pieces in a row at a time on all threads, and then after(the first
// that has not been visited): false ends it, and is returned.
template <class Visit, class After>
bool for_pieces(size_t count, tensor::ThreadPool& pool, const Visit& visit, const After& after) {
  const size_t at_once = std::max<size_t>(4, 2 * static_cast<size_t>(pool.size()));
  for (size_t first = 0; first < count;) {
    const size_t some = std::min(at_once, count - first);
    pool.run([&](tensor::Team& team) {
      tensor::Team::Claims claims = team.claims(static_cast<int64_t>(some));
      for (;;) {
        const auto [from, to] = claims.next();
        if (from == to) return;
        for (int64_t i = from; i < to; ++i) visit(first + static_cast<size_t>(i));
      }
    });
    first += some;
    if (!after(first)) return false;
  }
  return true;
}

// 0, an errno, or -1 when the file ends before.
int read_at(int fd, std::span<std::byte> to, uint64_t offset) {
  while (!to.empty()) {
    const ssize_t got = ::pread(fd, to.data(), to.size(), static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return errno;
    if (got == 0) return -1;
    to = to.subspan(static_cast<size_t>(got));
    offset += static_cast<uint64_t>(got);
  }
  return 0;
}

int write_at(int fd, std::span<const std::byte> from, uint64_t offset) {
  while (!from.empty()) {
    const ssize_t put = ::pwrite(fd, from.data(), from.size(), static_cast<off_t>(offset));
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return errno;
    from = from.subspan(static_cast<size_t>(put));
    offset += static_cast<uint64_t>(put);
  }
  return 0;
}

Result<uint64_t> check_owner(int fd, const fs::path& file) {
  struct stat status = {};
  if (::fstat(fd, &status) != 0) return fail_with(errno, "read", file);
  if (!S_ISREG(status.st_mode)) return refuse(file, "is not a regular file");
  // A checksum says nothing of who wrote the bytes.
  if (status.st_uid != 0 && status.st_uid != ::geteuid())
    return refuse(file, "belongs to another user");
  if ((status.st_mode & (S_IWGRP | S_IWOTH)) != 0)
    return refuse(file, "may be written by other users");
  return static_cast<uint64_t>(status.st_size);
}

// The head of an open file, when it is as wanted but for the checksums.
Result<PackedHead> read_head(int fd, const fs::path& file, const PackedHead& wanted) {
  MILL_TRY(const uint64_t size, check_owner(fd, file));
  std::vector<std::byte> begin(std::min(size, packed_head_bytes(wanted.tensors.size())));
  if (const int error = read_at(fd, begin, 0); error != 0)
    return error < 0 ? refuse(file, "is cut short") : fail_with(error, "read", file);
  Result<PackedHead> head = decode_packed_head(begin, size);
  if (!head) return refuse(file, head.error().message);
  const std::string other = difference(wanted, *head);
  if (!other.empty()) return refuse(file, other);
  return head;
}

// Whether the tensors that end before piece `end` are as the head says; those before `checked`
// were.
Status check_tensors_until(const PackedHead& head, const fs::path& file,
                           const std::vector<Piece>& pieces, const std::vector<uint64_t>& sums,
                           size_t end, size_t& checked) {
  while (checked < end) {
    size_t last = checked;
    while (last < pieces.size() && pieces[last].tensor == pieces[checked].tensor) ++last;
    if (last > end) break;
    const PackedTensor& tensor = head.tensors[pieces[checked].tensor];
    if (joined_checksum(std::span(sums).subspan(checked, last - checked)) != tensor.checksum)
      return refuse(file, "has other bytes than it was written with, in " + tensor.name);
    checked = last;
  }
  return {};
}

// A file that is being written under a name of its own, and locked. Gone unless it is renamed.
class PartialPacked {
 public:
  static Result<std::unique_ptr<PartialPacked>> make(const fs::path& target) {
    constexpr int kMostNames = 100;  // of processes that had the same number, and died
    int error = EEXIST;
    for (int i = 0; i < kMostNames && error == EEXIST; ++i) {
      const fs::path path = fmt::format("{}.{}-{}{}", target.string(), ::getpid(), i, kPartial);
      const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
      error = fd < 0 ? errno : 0;
      if (fd < 0) continue;
      ::flock(fd, LOCK_EX | LOCK_NB);  // tells remove_left_over that somebody is at it
      return std::unique_ptr<PartialPacked>(new PartialPacked(path, fd));
    }
    return fail_with(error, "write", target);
  }
  ~PartialPacked() {
    if (!renamed_) ::unlink(path_.c_str());
  }

  int fd() const { return file_.get(); }
  const fs::path& path() const { return path_; }

  Status rename_to(const fs::path& target) {
    if (::fsync(fd()) != 0) return fail_with(errno, "write", path_);
    if (::rename(path_.c_str(), target.c_str()) != 0) return fail_with(errno, "write", target);
    renamed_ = true;
    const fs::path folder = target.has_parent_path() ? target.parent_path() : fs::path(".");
    const Descriptor opened(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    // Without it a loss of power may bring the older file back, or none: either is well.
    if (opened.get() >= 0) [[maybe_unused]]
      const int synced = ::fsync(opened.get());
    return {};
  }

 private:
  PartialPacked(fs::path path, int fd) : path_(std::move(path)), file_(fd) {}

  fs::path path_;
  Descriptor file_;
  bool renamed_ = false;
};

// Asks for the room on the disk, so that a full one is found before anything is written.
Status take_room(int fd, uint64_t bytes, const fs::path& file) {
  rlimit limit = {};  // to write beyond it ends the process (SIGXFSZ)
  if (::getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur < bytes)
    return fail_with(EFBIG, "write", file);
  if (::fallocate(fd, 0, 0, static_cast<off_t>(bytes)) == 0) return {};
  if (errno == EOPNOTSUPP || errno == ENOSYS || errno == EINTR) return {};
  return fail_with(errno, "write", file);
}

Status write_data(int fd, const fs::path& file, uint64_t begin, std::span<const std::byte> room,
                  const OnProgress& progress) {
  for (uint64_t at = 0, unsynced = 0; at < room.size();) {
    const auto part = room.subspan(at, std::min<uint64_t>(kWriteBytes, room.size() - at));
    if (const int error = write_at(fd, part, begin + at); error != 0)
      return fail_with(error, "write", file);
    at += part.size();
    unsynced += part.size();
    if (unsynced >= kSyncBytes) {
      if (::fdatasync(fd) != 0) return fail_with(errno, "write", file);
      unsynced = 0;
    }
    if (progress && !progress(1)) return cancelled();
  }
  return {};
}

}  // namespace

Status read_packed(const fs::path& file, const PackedHead& wanted, std::span<std::byte> room,
                   tensor::ThreadPool& pool, const OnProgress& progress) {
  MILL_CHECK(room.size() == wanted.offsets().back());
  const Descriptor opened(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (opened.get() < 0 && errno == ENOENT)
    return fail(Code::kNotFound, "there is no file " + file.string());
  if (opened.get() < 0) return fail_with(errno, "read", file);
  MILL_TRY(const PackedHead head, read_head(opened.get(), file, wanted));

  const uint64_t begin = head.data_begin();
  const std::vector<Piece> pieces = pieces_of(head);
  std::vector<uint64_t> sums(pieces.size());
  std::atomic<int> error = 0;
  const auto read_one = [&](size_t i) {
    const std::span<std::byte> to = room.subspan(pieces[i].begin, pieces[i].bytes);
    const int failed = read_at(opened.get(), to, begin + pieces[i].begin);
    if (failed != 0) error = failed;
    sums[i] = checksum(to);
  };
  uint64_t told = 0;
  const auto tell_system = [&](uint64_t done) {
    if (done + kReadAhead / 2 < told) return;
    ::posix_fadvise(opened.get(), static_cast<off_t>(begin + told),
                    static_cast<off_t>(done + kReadAhead - told), POSIX_FADV_WILLNEED);
    told = done + kReadAhead;
  };
  size_t checked = 0;
  Status well;
  tell_system(0);
  const bool all = for_pieces(pieces.size(), pool, read_one, [&](size_t end) {
    const uint64_t done = pieces[end - 1].begin + pieces[end - 1].bytes;
    if (error != 0) return false;
    well = check_tensors_until(head, file, pieces, sums, end, checked);
    if (!well) return false;
    tell_system(done);
    const bool last = end == pieces.size();
    const double share = last ? 1 : static_cast<double>(done) / static_cast<double>(room.size());
    return !progress || progress(share);
  });
  if (error != 0) return error < 0 ? refuse(file, "is cut short") : fail_with(error, "read", file);
  if (!well) return well;
  if (!all) return cancelled();
  // When it was last of use (packed_cache.h). In a folder that may only be read, nobody asks.
  constexpr timespec kTimes[2] = {{0, UTIME_OMIT}, {0, UTIME_NOW}};
  [[maybe_unused]] const int noted = ::futimens(opened.get(), kTimes);
  return {};
}

Status write_packed(const fs::path& file, PackedHead head, std::span<const std::byte> room,
                    tensor::ThreadPool& pool, const OnProgress& progress) {
  MILL_CHECK(room.size() == head.offsets().back());
  const std::vector<Piece> pieces = pieces_of(head);
  std::vector<uint64_t> sums(pieces.size());
  const bool summed = for_pieces(
      pieces.size(), pool,
      [&](size_t i) { sums[i] = checksum(room.subspan(pieces[i].begin, pieces[i].bytes)); },
      [&](size_t) { return !progress || progress(1); });
  if (!summed) return cancelled();
  for (size_t first = 0; first < pieces.size();) {
    size_t last = first;
    while (last < pieces.size() && pieces[last].tensor == pieces[first].tensor) ++last;
    head.tensors[pieces[first].tensor].checksum =
        joined_checksum(std::span(sums).subspan(first, last - first));
    first = last;
  }

  MILL_TRY(const std::unique_ptr<PartialPacked> partial, PartialPacked::make(file));
  MILL_TRY_DO(take_room(partial->fd(), head.file_bytes(), partial->path()));
  std::vector<std::byte> begin = encode(head);
  begin.resize(head.data_begin());
  if (const int error = write_at(partial->fd(), begin, 0); error != 0)
    return fail_with(error, "write", partial->path());
  MILL_TRY_DO(write_data(partial->fd(), partial->path(), begin.size(), room, progress));
  return partial->rename_to(file);
}

void remove_left_over(const fs::path& folder) {
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, error)) {
    const std::string name = entry.path().filename();
    if (!name.ends_with(kPartial) || name.find(kPackedEnding) == std::string::npos) continue;
    const Descriptor file(::open(entry.path().c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    struct stat status = {};
    if (file.get() < 0 || ::fstat(file.get(), &status) != 0) continue;
    // One that was made just now may not be locked yet.
    if (status.st_mtim.tv_sec + kLeftOverSeconds > unix_seconds()) continue;
    if (::flock(file.get(), LOCK_EX | LOCK_NB) == 0) ::unlink(entry.path().c_str());
  }
}

bool looks_packed(const fs::path& file) {
  const Descriptor opened(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  std::array<std::byte, PackedHead::kMagic.size()> begin = {};
  return opened.get() >= 0 && read_at(opened.get(), begin, 0) == 0 &&
         std::ranges::equal(begin, std::as_bytes(std::span(PackedHead::kMagic)));
}

}  // namespace mill::model
