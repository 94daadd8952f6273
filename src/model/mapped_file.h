// A file mapped into memory, read-only. The pages belong to the page cache: they are shared with
// other processes and can be taken back by the kernel at any time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>

#include "base/result.h"

namespace mill::model {

// What the system says of a file. A change of its content changes one of these: the time of the last
// change of the inode (ctime) can't be set by programs, as that of the content (mtime) can.
struct FileStamp {
  uint64_t bytes = 0;
  uint64_t inode = 0;
  int64_t modified_ns = 0;  // since 1970
  int64_t changed_ns = 0;

  friend bool operator==(const FileStamp&, const FileStamp&) = default;
};

// Movable; the bytes stay where they are until the last owner is gone. Nobody may shorten the file
// meanwhile: to read a page that the file no longer has ends the process (SIGBUS).
class MappedFile {
 public:
  // Fails with kNotFound, kPermission, kIo, or kInvalid when the path is no regular file. An empty
  // file maps to no bytes.
  static Result<MappedFile> open(const std::filesystem::path& path);

  MappedFile() = default;
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  ~MappedFile();

  std::span<const std::byte> bytes() const { return bytes_; }

  // When it was opened; zeros where nothing is open.
  const FileStamp& stamp() const { return stamp_; }
  // Whether the system still says the same of it.
  bool unchanged() const;

  // Takes all pages out of this process's resident memory; a later read brings them back from the
  // file.
  void drop_pages() const;
  // The same for the pages that hold `part`, and some around them.  Requires: `part` lies within bytes().
  void drop_pages(std::span<const std::byte> part) const;

 private:
  std::span<const std::byte> bytes_;
  FileStamp stamp_;
  int fd_ = -1;
};

}  // namespace mill::model
