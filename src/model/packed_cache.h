// A folder of packed weights, so that a model that was loaded once need not be packed again
// (docs/adr/0015-packed-weights-on-disk.md). What can't be read or written is told in the log and
// done without: a cache never fails a load. Any thread, and any number of processes with the same
// folder.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string_view>
#include <utility>

#include "base/result.h"
#include "model/gguf.h"
#include "model/on_progress.h"
#include "model/packed_head.h"
#include "tensor/thread_pool.h"

namespace mill::model {

// What a model file is told by: size, inode and times as the system has them (FileStamp), a
// checksum of all before the first tensor, and one of 4 KiB from the middle of each tensor. Nothing
// for what is no file of its own (Gguf::parse). XXH3 with 128 bits.
std::optional<ModelIdentity> identity_of(const Gguf& file);
// The same, where the system says `stamp` of the file.
std::optional<ModelIdentity> identity_of(const Gguf& file, const std::optional<FileStamp>& stamp);

class PackedCache {
 public:
  // `folder` is made when something is to be kept. Its files together stay within `limit_bytes`:
  // the ones that were read least recently go.
  PackedCache(std::filesystem::path folder, uint64_t limit_bytes)
      : folder_(std::move(folder)), limit_bytes_(limit_bytes) {}

  // The name of the model in the folder begins with `stem`, as far as it is fit for a file's name.
  std::filesystem::path path_of(std::string_view stem, const PackedHead& head) const;

  // As read_packed; false when there is nothing of use, which has been logged then. Fails with
  // kCancelled only.
  Result<bool> read(const std::filesystem::path& file, const PackedHead& wanted,
                    std::span<std::byte> room, tensor::ThreadPool& pool,
                    const OnProgress& progress);
  // As write_packed, once there is room within the limit. Fails with kCancelled only.
  Status keep(const std::filesystem::path& file, const PackedHead& head,
              std::span<const std::byte> room, tensor::ThreadPool& pool,
              const OnProgress& progress);

 private:
  Status make_room(const std::filesystem::path& file, uint64_t bytes) const;
  void warn_once(const Error& error);

  const std::filesystem::path folder_;
  const uint64_t limit_bytes_;
  std::atomic<bool> warned_ = false;
};

// The files of packed weights in a folder, and their bytes together; nothing when it can't be read.
struct PackedFolder {
  int64_t files = 0;
  uint64_t bytes = 0;
};
std::optional<PackedFolder> look_into(const std::filesystem::path& folder);

}  // namespace mill::model
