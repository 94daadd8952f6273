// A file on its way in: its bytes gather in TARGET.partial, which only one process at a time may
// hold, and become TARGET in one step once they are known to be right. What has gathered stays for
// a later try; a reader of TARGET never sees half a file.
#pragma once

#include <filesystem>
#include <span>
#include <string>

#include "base/result.h"

namespace mill::net {

class PartialFile {
 public:
  // Opens TARGET.partial, or makes it and the folders above it, and locks it until this object
  // ends. kOverloaded when another process is at it; kPermission or kIo with a sentence that says
  // what to do.
  static Result<PartialFile> open(const std::filesystem::path& target);

  PartialFile(PartialFile&& other) noexcept;
  PartialFile& operator=(PartialFile&&) = delete;
  ~PartialFile();

  uint64_t size() const { return size_; }
  const std::filesystem::path& target() const { return target_; }
  const std::filesystem::path& path() const { return path_; }

  // Adds at the end. kIo; after a full disk the bytes written before stay.
  Status append(std::span<const std::byte> bytes);
  // Forgets the bytes and the note.
  Status clear();
  // Whether the disk has room for `bytes` more; kIo with a sentence when it has not.
  Status check_room(uint64_t bytes) const;

  // A few lines kept beside the bytes (TARGET.partial.note), for whoever goes on with them: where
  // they come from.
  std::string note() const;
  Status set_note(const std::string& text);

  // Brings the bytes to the disk and renames them to TARGET. Requires: the bytes are right.
  Status commit();
  // Removes the bytes and the note.
  void discard();

 private:
  PartialFile(std::filesystem::path target, std::filesystem::path path, int file, uint64_t size);

  std::filesystem::path target_;
  std::filesystem::path path_;
  int file_ = -1;  // -1 once committed, discarded or moved from
  uint64_t size_ = 0;
};

}  // namespace mill::net
