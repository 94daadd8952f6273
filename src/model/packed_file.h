// Packed weights to a file and back (docs/formats/packed.md). A file is there as a whole or not at
// all, and none of its bytes is believed before its checksum.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string_view>

#include "base/result.h"
#include "model/on_progress.h"
#include "model/packed_head.h"
#include "tensor/thread_pool.h"

namespace mill::model {

// The end of such a file's name.
inline constexpr std::string_view kPackedEnding = ".packed";

// Fills `room`, which has head.offsets().back() bytes and is aligned to 64, with the tensors of
// `file`, when they are those of `wanted` and their checksums are right. After a failure anything
// may be in it. Tells `progress` of what has been checked. kNotFound when there is no file;
// kCorrupt, kPermission or kIo with a sentence that names it when it can't be used; kCancelled.
Status read_packed(const std::filesystem::path& file, const PackedHead& wanted,
                   std::span<std::byte> room, tensor::ThreadPool& pool, const OnProgress& progress);

// Writes the tensors in `room` as `file`, whose folder is there, in place of one that may be there:
// under another name, then synced, then renamed. Fills in the checksums. Asks `progress` now and
// then whether to go on. kPermission or kIo with a sentence that says what to do; kCancelled.
// Nothing of it is left behind then.
Status write_packed(const std::filesystem::path& file, PackedHead head,
                    std::span<const std::byte> room, tensor::ThreadPool& pool,
                    const OnProgress& progress);

// Removes what a process that died in write_packed left behind in `folder`.
void remove_left_over(const std::filesystem::path& folder);

// Whether it begins as a file of packed weights does.
bool looks_packed(const std::filesystem::path& file);

}  // namespace mill::model
