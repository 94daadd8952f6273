#include "model/packed_cache.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <memory>
#include <system_error>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "model/packed_file.h"

namespace mill::model {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kSampleBytes = 4096;

// XXH3 with 128 bits over several parts, each behind its length.
class Identifier {
 public:
  Identifier() : state_(XXH3_createState()) {
    MILL_CHECK(state_ != nullptr);
    XXH3_128bits_reset(state_.get());
  }
  void add(uint64_t number) {
    std::byte bytes[8];
    for (int i = 0; i < 8; ++i) bytes[i] = static_cast<std::byte>(number >> (8 * i));
    XXH3_128bits_update(state_.get(), bytes, sizeof bytes);
  }
  void add(std::span<const std::byte> bytes) {
    add(bytes.size());
    XXH3_128bits_update(state_.get(), bytes.data(), bytes.size());
  }
  ModelIdentity identity() const {
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(state_.get()));
    ModelIdentity identity;
    static_assert(sizeof identity == sizeof canonical.digest);
    std::ranges::copy(std::as_bytes(std::span(canonical.digest)), identity.begin());
    return identity;
  }

 private:
  struct Free {
    void operator()(XXH3_state_t* state) const { XXH3_freeState(state); }
  };
  std::unique_ptr<XXH3_state_t, Free> state_;
};

// The page of the file that holds the tensor's middle, as far as it is the tensor's.
std::span<const std::byte> sample_of(const Gguf& file, std::span<const std::byte> tensor) {
  const auto begin = static_cast<uint64_t>(tensor.data() - file.bytes().data());
  const uint64_t page = (begin + tensor.size() / 2) / kSampleBytes * kSampleBytes;
  const uint64_t first = std::max(page, begin);
  const uint64_t last = std::min(page + kSampleBytes, begin + tensor.size());
  return file.bytes().subspan(first, last - first);
}

// A packed file in the folder that may be sent away.
struct Kept {
  fs::path path;
  uint64_t bytes = 0;
  int64_t used_ns = 0;
};

Result<std::vector<Kept>> kept_in(const fs::path& folder) {
  std::error_code error;
  std::vector<Kept> kept;
  for (auto at = fs::directory_iterator(folder, error); !error && at != fs::directory_iterator();
       at.increment(error)) {
    const fs::path& path = at->path();
    struct stat status = {};
    if (path.extension() != kPackedEnding || ::lstat(path.c_str(), &status) != 0 ||
        !S_ISREG(status.st_mode) || !looks_packed(path)) {
      continue;
    }
    kept.push_back({path, static_cast<uint64_t>(status.st_size),
                    int64_t{status.st_mtim.tv_sec} * 1'000'000'000 + status.st_mtim.tv_nsec});
  }
  if (error)
    return fail(Code::kIo, fmt::format("cannot read {}: {}", folder.string(), error.message()));
  return kept;
}

std::string hex(const ModelIdentity& identity) {
  std::string text;
  for (const std::byte byte : identity) text += fmt::format("{:02x}", static_cast<unsigned>(byte));
  return text;
}

}  // namespace

std::optional<ModelIdentity> identity_of(const Gguf& file) {
  return identity_of(file, file.stamp());
}

std::optional<ModelIdentity> identity_of(const Gguf& file, const std::optional<FileStamp>& stamp) {
  if (!stamp || file.tensors().empty()) return std::nullopt;
  Identifier made;
  made.add(stamp->bytes);
  made.add(stamp->inode);
  made.add(static_cast<uint64_t>(stamp->modified_ns));
  made.add(static_cast<uint64_t>(stamp->changed_ns));
  const std::byte* first = file.bytes().data() + file.bytes().size();
  for (const GgufTensor& tensor : file.tensors()) first = std::min(first, tensor.data.data());
  made.add(file.bytes().first(static_cast<size_t>(first - file.bytes().data())));
  for (const GgufTensor& tensor : file.tensors()) made.add(sample_of(file, tensor.data));
  return made.identity();
}

fs::path PackedCache::path_of(std::string_view stem, const PackedHead& head) const {
  constexpr size_t kMostStem = 64;
  std::string name;
  for (const char c : stem.substr(0, kMostStem)) {
    const bool fit =
        std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '.' || c == '_' || c == '-';
    name += fit ? c : '_';
  }
  if (name.empty() || name.front() == '.') name = "_" + name;
  return folder_ / fmt::format("{}-{}-{}{}", name, hex(head.identity), head.layout, kPackedEnding);
}

Result<bool> PackedCache::read(const fs::path& file, const PackedHead& wanted,
                               std::span<std::byte> room, tensor::ThreadPool& pool,
                               const OnProgress& progress) {
  const Instant start = now();
  const Status read = read_packed(file, wanted, room, pool, progress);
  if (read) {
    log_info("packed_cache_read")
        .add("file", file.string())
        .add("bytes", room.size())
        .add("seconds", to_seconds(now() - start));
    return true;
  }
  if (read.error().code == Code::kCancelled) return fail(read.error());
  if (read.error().code != Code::kNotFound)
    log_warn("packed_cache_refused").add("reason", read.error().message);
  return false;
}

Status PackedCache::keep(const fs::path& file, const PackedHead& head,
                         std::span<const std::byte> room, tensor::ThreadPool& pool,
                         const OnProgress& progress) {
  const Instant start = now();
  Status kept = make_room(file, head.file_bytes());
  if (kept) kept = write_packed(file, head, room, pool, progress);
  if (kept) {
    log_info("packed_cache_written")
        .add("file", file.string())
        .add("bytes", head.file_bytes())
        .add("seconds", to_seconds(now() - start));
    return {};
  }
  if (kept.error().code == Code::kCancelled) return kept;
  warn_once(kept.error());
  return {};
}

void PackedCache::warn_once(const Error& error) {
  if (warned_.exchange(true)) return;
  log_warn("packed_cache_unusable").add("folder", folder_.string()).add("reason", error.message);
}

Status PackedCache::make_room(const fs::path& file, uint64_t bytes) const {
  if (bytes > limit_bytes_) {
    return fail(Code::kTooLarge,
                fmt::format("{} would have {} bytes; all files together may have {}: raise "
                            "--packed-cache-limit",
                            file.filename().string(), bytes, limit_bytes_));
  }
  std::error_code error;
  fs::create_directories(folder_, error);
  if (error)
    return fail(Code::kIo, fmt::format("cannot make {}: {}", folder_.string(), error.message()));
  remove_left_over(folder_);
  MILL_TRY(std::vector<Kept> others, kept_in(folder_));
  std::erase_if(others, [&](const Kept& one) { return one.path == file; });
  std::ranges::sort(others, {}, &Kept::used_ns);
  uint64_t held = bytes;
  for (const Kept& one : others) held += one.bytes;
  for (const Kept& one : others) {
    if (held <= limit_bytes_) break;
    // Whoever reads it at present keeps what he opened.
    const bool removed = ::unlink(one.path.c_str()) == 0;
    if (removed)
      log_info("packed_cache_removed").add("file", one.path.string()).add("bytes", one.bytes);
    if (removed || errno == ENOENT) held -= one.bytes;
  }
  if (held <= limit_bytes_) return {};
  return fail(Code::kPermission,
              fmt::format("cannot remove older files from {}", folder_.string()));
}

std::optional<PackedFolder> look_into(const fs::path& folder) {
  const Result<std::vector<Kept>> kept = kept_in(folder);
  if (!kept) return std::nullopt;
  PackedFolder found;
  for (const Kept& one : *kept) {
    ++found.files;
    found.bytes += one.bytes;
  }
  return found;
}

}  // namespace mill::model
