// A file mapped into memory, read-only. The pages belong to the page cache: they are shared with
// other processes and can be taken back by the kernel at any time.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>

#include "base/result.h"

namespace mill::model {

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

  // Takes all pages out of this process's resident memory; a later read brings them back from the
  // file.
  void drop_pages() const;
  // The same for the pages that hold `part`, and some around them.  Requires: `part` lies within bytes().
  void drop_pages(std::span<const std::byte> part) const;

 private:
  std::span<const std::byte> bytes_;
};

}  // namespace mill::model
