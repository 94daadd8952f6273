#include "ledger/tail_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/check.h"
#include "ledger/bytes.h"

namespace mill::ledger {
namespace {

constexpr std::string_view kMark = "tail";
constexpr size_t kHead = 4 + 4 + sizeof(Hash256);  // the mark, the bytes that follow, `previous`
constexpr int64_t kPiece = 1 << 16;                // SQLite's VFS takes less than 128 KiB

void put_size(std::string& out, size_t at, size_t size) {
  for (size_t i = 0; i < 4; ++i) out[at + i] = static_cast<char>(size >> (8 * i));
}
size_t get_size(std::string_view bytes) {
  size_t size = 0;
  for (size_t i = 0; i < 4; ++i) size |= size_t{static_cast<uint8_t>(bytes[i])} << (8 * i);
  return size;
}

// Takes the next group off `bytes`. Nothing: there is none that is whole.
std::optional<std::vector<Entry>> next_group(std::string_view& bytes, Chain& chain) {
  if (bytes.size() < kHead || !bytes.starts_with(kMark)) return std::nullopt;
  const size_t size = get_size(bytes.substr(kMark.size()));
  if (size > bytes.size() - kHead) return std::nullopt;
  Hash256 previous;
  std::memcpy(previous.data(), bytes.data() + kMark.size() + 4, previous.size());
  ByteReader reader(bytes.substr(kHead, size));
  std::vector<Entry> group;
  while (!reader.at_end()) {
    const std::string_view encoded = reader.text(size);
    Hash256 hash;
    reader.raw(hash.data(), hash.size());
    if (!reader.good()) return std::nullopt;
    Result<Entry> entry = decode(encoded);
    if (!entry || chain.hash(previous, *entry) != hash) return std::nullopt;
    if (!group.empty() && entry->seq != group.back().seq + 1) return std::nullopt;
    entry->previous = std::exchange(previous, hash);
    entry->hash = hash;
    group.push_back(std::move(*entry));
  }
  if (group.empty()) return std::nullopt;
  bytes.remove_prefix(kHead + size);
  return group;
}

}  // namespace

TailFile::~TailFile() {
  if (file()->pMethods) file()->pMethods->xClose(file());
}

Error TailFile::error(const char* what, int code) const {
  return {Code::kIo, fmt::format("{} {}: {}", what, path_, sqlite3_errstr(code)), ""};
}

Result<std::unique_ptr<TailFile>> TailFile::open(const std::string& vfs, std::string path,
                                                 bool read_only) {
  sqlite3_vfs* const disk = sqlite3_vfs_find(vfs.empty() ? nullptr : vfs.c_str());
  if (!disk) return fail(Code::kInvalid, "there is no VFS " + vfs, "vfs");
  if (read_only) {
    int there = 0;
    const int code = disk->xAccess(disk, path.c_str(), SQLITE_ACCESS_EXISTS, &there);
    if (code != SQLITE_OK) {
      return fail(Code::kIo, fmt::format("looking for {}: {}", path, sqlite3_errstr(code)));
    }
    if (there == 0) return std::unique_ptr<TailFile>();
  }
  auto memory = std::make_unique<char[]>(static_cast<size_t>(disk->szOsFile));
  auto tail = std::unique_ptr<TailFile>(new TailFile(std::move(path), std::move(memory)));
  // As a write-ahead log, which it is: made with the database's own permissions, and its folder is
  // synced with it.
  const int flags = SQLITE_OPEN_WAL |
                    (read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
  const int code = disk->xOpen(disk, tail->path_.c_str(), tail->file(), flags, nullptr);
  if (code != SQLITE_OK) return fail(tail->error("opening", code));
  MILL_TRY(const int64_t size, tail->size());
  tail->half_bytes_ = size / 2;
  return tail;
}

Result<int64_t> TailFile::size() {
  sqlite3_int64 size = 0;
  const int code = file()->pMethods->xFileSize(file(), &size);
  if (code != SQLITE_OK) return fail(error("opening", code));
  return int64_t{size};
}

// Filled, so that later writes do not grow a file: a sync would wait for that as well. All of it,
// also where it is that long already: if a sync failed, its length may not be on the disk.
Status TailFile::begin(int64_t bytes) {
  MILL_TRY(const int64_t before, size());
  const int64_t whole = std::max(before, bytes);
  const std::string zeros(static_cast<size_t>(kPiece), '\0');
  int code = SQLITE_OK;
  for (int64_t at = 0; at < whole && code == SQLITE_OK; at += kPiece) {
    const auto some = static_cast<int>(std::min(whole - at, kPiece));
    code = file()->pMethods->xWrite(file(), zeros.data(), some, at);
  }
  if (code == SQLITE_OK) code = file()->pMethods->xSync(file(), SQLITE_SYNC_NORMAL);
  if (code != SQLITE_OK) return fail(error("making", code));
  half_bytes_ = whole / 2;
  half_ = 0;
  at_ = 0;
  last_seq_ = {};
  return {};
}

Result<std::vector<Entry>> TailFile::read_half(int half) {
  const int64_t from = half * half_bytes_;
  std::string bytes(static_cast<size_t>(half_bytes_), '\0');
  for (int64_t at = 0; at < half_bytes_; at += kPiece) {
    const auto some = static_cast<int>(std::min(half_bytes_ - at, kPiece));
    const int code = file()->pMethods->xRead(file(), bytes.data() + at, some, from + at);
    if (code != SQLITE_OK) return fail(error("reading", code));
  }
  std::vector<Entry> found;
  Chain chain;
  std::string_view rest = bytes;
  for (;;) {
    std::optional<std::vector<Entry>> group = next_group(rest, chain);
    // What went to the tables directly is missing in between; what is older was not yet written
    // over.
    if (!group || (!found.empty() && group->front().seq <= found.back().seq)) return found;
    std::move(group->begin(), group->end(), std::back_inserter(found));
  }
}

Result<std::vector<Entry>> TailFile::read_after(const Head& head) {
  std::array<std::vector<Entry>, 2> halves;
  MILL_TRY(halves[0], read_half(0));
  MILL_TRY(halves[1], read_half(1));
  const auto first = [](const std::vector<Entry>& half) {
    return half.empty() ? INT64_MAX : half.front().seq;
  };
  if (first(halves[1]) < first(halves[0])) std::swap(halves[0], halves[1]);
  std::vector<Entry> found;
  Hash256 last = head.hash;
  int64_t seq = head.seq;
  for (std::vector<Entry>& half : halves) {
    for (Entry& entry : half) {
      if (entry.seq <= seq) continue;
      if (entry.seq != seq + 1 || entry.previous != last) break;
      seq = entry.seq;
      last = entry.hash;
      found.push_back(std::move(entry));
    }
  }
  return found;
}

std::optional<int64_t> TailFile::prepare(std::span<const Entry> group) {
  group_.assign(kMark);
  group_.append(4, '\0');
  ByteWriter writer(group_);
  writer.raw(group.front().previous.data(), sizeof(Hash256));
  std::string encoded;
  for (const Entry& entry : group) {
    MILL_CHECK(!entry.keepsake);
    encoded.clear();
    encode(entry, encoded);
    writer.text(encoded);
    writer.raw(entry.hash.data(), entry.hash.size());
  }
  put_size(group_, kMark.size(), group_.size() - kHead);
  group_last_seq_ = group.back().seq;
  const auto size = static_cast<int64_t>(group_.size());
  if (size > half_bytes_) return std::nullopt;
  return at_ + size <= half_bytes_ ? 0 : last_seq_[static_cast<size_t>(1 - half_)];
}

Status TailFile::write() {
  const auto size = static_cast<int64_t>(group_.size());
  if (at_ + size > half_bytes_) {
    half_ = 1 - half_;
    at_ = 0;
  }
  int code = SQLITE_OK;
  for (int64_t done = 0; done < size && code == SQLITE_OK; done += kPiece) {
    const auto some = static_cast<int>(std::min(size - done, kPiece));
    code = file()->pMethods->xWrite(file(), group_.data() + done, some,
                                    half_ * half_bytes_ + at_ + done);
  }
  if (code == SQLITE_OK) {
    code = file()->pMethods->xSync(file(), SQLITE_SYNC_NORMAL | SQLITE_SYNC_DATAONLY);
  }
  if (code != SQLITE_OK) return fail(error("writing", code));
  at_ += size;
  last_seq_[static_cast<size_t>(half_)] = group_last_seq_;
  return {};
}

}  // namespace mill::ledger
