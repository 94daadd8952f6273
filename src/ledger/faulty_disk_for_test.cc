#include "ledger/faulty_disk_for_test.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <new>

namespace mill::ledger {
namespace {

constexpr int64_t kSector = 512;
std::atomic<int> disks{0};

sqlite3_vfs* system_vfs() {
  static sqlite3_vfs* const found = sqlite3_vfs_find("unix");
  return found;
}

}  // namespace

const char* name(Fault fault) {
  switch (fault) {
    case Fault::kNone:
      return "none";
    case Fault::kTornWrite:
      return "torn write";
    case Fault::kWriteError:
      return "write error";
    case Fault::kFull:
      return "full";
    case Fault::kSyncForgets:
      return "sync forgets";
    case Fault::kSyncFails:
      return "sync fails";
    case Fault::kReadError:
      return "read error";
    case Fault::kPowerLoss:
      return "power loss";
  }
  return "";
}

// The functions that SQLite calls.
struct FaultyDisk::Calls {
  static Handle& of(sqlite3_file* file) { return *reinterpret_cast<Handle*>(file); }
  static FaultyDisk& of(sqlite3_vfs* vfs) { return *static_cast<FaultyDisk*>(vfs->pAppData); }

  static int close(sqlite3_file* file) {
    Handle& handle = of(file);
    const std::lock_guard lock(handle.disk->mutex_);
    std::erase(handle.node->handles, &handle);
    if (handle.temporary) handle.disk->nodes_.erase(*handle.path);
    delete handle.path;
    return SQLITE_OK;
  }

  static int read(sqlite3_file* file, void* to, int size, sqlite3_int64 at) {
    Handle& handle = of(file);
    FaultyDisk& disk = *handle.disk;
    const std::lock_guard lock(disk.mutex_);
    if (disk.dead_) return SQLITE_IOERR_READ;
    if (disk.planned_ == Fault::kReadError && disk.points_ >= disk.planned_at_) {
      disk.planned_ = Fault::kNone;
      disk.failed_ = true;
      return SQLITE_IOERR_READ;
    }
    const std::string& bytes = handle.node->live;
    const auto from = std::min(static_cast<size_t>(at), bytes.size());
    const auto have =
        static_cast<int>(bytes.copy(static_cast<char*>(to), static_cast<size_t>(size), from));
    if (have == size) return SQLITE_OK;
    std::memset(static_cast<char*>(to) + have, 0, static_cast<size_t>(size - have));
    return SQLITE_IOERR_SHORT_READ;
  }

  static int change(Handle& handle, Write write) {
    FaultyDisk& disk = *handle.disk;
    const std::lock_guard lock(disk.mutex_);
    const Fault fault = disk.point(true, false);
    const bool torn = fault == Fault::kTornWrite || (fault == Fault::kPowerLoss && disk.failed_);
    if (torn && !write.truncate && write.bytes.size() > static_cast<size_t>(kSector)) {
      const auto sectors = write.bytes.size() / static_cast<size_t>(kSector);
      write.bytes.resize((disk.random_() % sectors) * static_cast<size_t>(kSector));
    } else if (torn) {
      write.bytes.clear();
      write.truncate = false;
    }
    if (fault == Fault::kNone || torn) {
      apply(handle.node->live, write);
      handle.node->unsynced.push_back(std::move(write));
    }
    switch (fault) {
      case Fault::kNone:
        return SQLITE_OK;
      case Fault::kFull:
        return SQLITE_FULL;
      default:
        return SQLITE_IOERR_WRITE;
    }
  }
  static int write(sqlite3_file* file, const void* from, int size, sqlite3_int64 at) {
    return change(
        of(file),
        {at, std::string(static_cast<const char*>(from), static_cast<size_t>(size)), false});
  }
  static int truncate(sqlite3_file* file, sqlite3_int64 size) {
    return change(of(file), {size, "", true});
  }

  static int sync(sqlite3_file* file, int) {
    Handle& handle = of(file);
    FaultyDisk& disk = *handle.disk;
    const std::lock_guard lock(disk.mutex_);
    const Fault fault = disk.point(false, true);
    if (fault == Fault::kSyncForgets) handle.node->unsynced.clear();
    if (fault != Fault::kNone) return SQLITE_IOERR_FSYNC;
    for (const Write& write : handle.node->unsynced) apply(handle.node->durable, write);
    handle.node->unsynced.clear();
    disk.deleted_.erase(*handle.path);
    return SQLITE_OK;
  }

  static int size(sqlite3_file* file, sqlite3_int64* size) {
    Handle& handle = of(file);
    const std::lock_guard lock(handle.disk->mutex_);
    if (handle.disk->dead_) return SQLITE_IOERR_FSTAT;
    *size = static_cast<sqlite3_int64>(handle.node->live.size());
    return SQLITE_OK;
  }

  // The highest lock that others hold on the file.
  static int others(const Handle& handle) {
    int highest = SQLITE_LOCK_NONE;
    for (const Handle* other : handle.node->handles) {
      if (other != &handle) highest = std::max(highest, other->lock);
    }
    return highest;
  }
  static int lock(sqlite3_file* file, int level) {
    Handle& handle = of(file);
    const std::lock_guard lock(handle.disk->mutex_);
    if (handle.lock >= level) return SQLITE_OK;
    const int taken = others(handle);
    if (level == SQLITE_LOCK_SHARED && taken >= SQLITE_LOCK_PENDING) return SQLITE_BUSY;
    if (level >= SQLITE_LOCK_RESERVED && taken >= SQLITE_LOCK_RESERVED) return SQLITE_BUSY;
    if (level == SQLITE_LOCK_EXCLUSIVE && taken >= SQLITE_LOCK_SHARED) {
      handle.lock = SQLITE_LOCK_PENDING;
      return SQLITE_BUSY;
    }
    handle.lock = level;
    return SQLITE_OK;
  }
  static int unlock(sqlite3_file* file, int level) {
    Handle& handle = of(file);
    const std::lock_guard lock(handle.disk->mutex_);
    handle.lock = std::min(handle.lock, level);
    return SQLITE_OK;
  }
  static int reserved(sqlite3_file* file, int* held) {
    Handle& handle = of(file);
    const std::lock_guard lock(handle.disk->mutex_);
    *held = std::max(handle.lock, others(handle)) >= SQLITE_LOCK_RESERVED ? 1 : 0;
    return SQLITE_OK;
  }
  static int control(sqlite3_file*, int, void*) { return SQLITE_NOTFOUND; }
  static int sector(sqlite3_file*) { return 4096; }  // as on Linux; the next line too
  static int traits(sqlite3_file*) { return SQLITE_IOCAP_POWERSAFE_OVERWRITE; }

  static int map(sqlite3_file* file, int page, int size, int extend, void volatile** to) {
    Handle& handle = of(file);
    const std::lock_guard lock(handle.disk->mutex_);
    auto& pages = handle.node->shared_memory;
    *to = nullptr;
    if (static_cast<size_t>(page) >= pages.size() && extend == 0) return SQLITE_OK;
    while (pages.size() <= static_cast<size_t>(page)) {
      pages.push_back(std::make_unique<char[]>(static_cast<size_t>(size)));
    }
    *to = pages[static_cast<size_t>(page)].get();
    return SQLITE_OK;
  }
  static int shm_lock(sqlite3_file* file, int offset, int count, int flags) {
    Handle& handle = of(file);
    const std::lock_guard lock(handle.disk->mutex_);
    const unsigned mask = ((1u << count) - 1) << offset;
    if (flags & SQLITE_SHM_UNLOCK) {
      handle.shared &= ~mask;
      handle.exclusive &= ~mask;
      return SQLITE_OK;
    }
    for (const Handle* other : handle.node->handles) {
      if (other == &handle) continue;
      if (other->exclusive & mask) return SQLITE_BUSY;
      if ((flags & SQLITE_SHM_EXCLUSIVE) && (other->shared & mask)) return SQLITE_BUSY;
    }
    (flags & SQLITE_SHM_EXCLUSIVE ? handle.exclusive : handle.shared) |= mask;
    return SQLITE_OK;
  }
  static void barrier(sqlite3_file* file) { const std::lock_guard lock(of(file).disk->mutex_); }
  static int unmap(sqlite3_file* file, int) {
    Handle& handle = of(file);
    const std::lock_guard lock(handle.disk->mutex_);
    handle.shared = handle.exclusive = 0;
    if (handle.node->handles.size() == 1) handle.node->shared_memory.clear();
    return SQLITE_OK;
  }

  static int open(sqlite3_vfs* vfs, const char* path, sqlite3_file* file, int flags, int* out) {
    static const sqlite3_io_methods methods = {
        2,       close,  read,   write, truncate, sync,    size,  lock,    unlock, reserved,
        control, sector, traits, map,   shm_lock, barrier, unmap, nullptr, nullptr};
    FaultyDisk& disk = of(vfs);
    file->pMethods = nullptr;
    const std::lock_guard lock(disk.mutex_);
    if (disk.dead_) return SQLITE_CANTOPEN;
    static std::atomic<int> temporary{0};
    const std::string at = path ? path : "temporary-" + std::to_string(++temporary);
    if (!disk.nodes_.contains(at)) {
      if ((flags & SQLITE_OPEN_CREATE) == 0) return SQLITE_CANTOPEN;
      disk.nodes_[at] = std::make_unique<Node>();
    }
    Handle* const handle = new (file) Handle{};
    handle->base.pMethods = &methods;
    handle->disk = &disk;
    handle->node = disk.nodes_[at].get();
    handle->path = new std::string(at);
    handle->temporary = path == nullptr || (flags & SQLITE_OPEN_DELETEONCLOSE) != 0;
    handle->node->handles.push_back(handle);
    if (out) *out = flags;
    return SQLITE_OK;
  }
  static int remove(sqlite3_vfs* vfs, const char* path, int sync_folder) {
    FaultyDisk& disk = of(vfs);
    const std::lock_guard lock(disk.mutex_);
    const Fault fault = disk.point(false, false);
    if (fault != Fault::kNone) return SQLITE_IOERR_DELETE;
    const auto found = disk.nodes_.find(path);
    if (found == disk.nodes_.end()) return SQLITE_IOERR_DELETE_NOENT;
    disk.deleted_.erase(path);
    if (sync_folder == 0) disk.deleted_[path] = std::move(found->second->durable);
    if (!found->second->handles.empty()) disk.orphans_.push_back(std::move(found->second));
    disk.nodes_.erase(found);
    return SQLITE_OK;
  }
  static int access(sqlite3_vfs* vfs, const char* path, int, int* there) {
    FaultyDisk& disk = of(vfs);
    const std::lock_guard lock(disk.mutex_);
    if (disk.dead_) return SQLITE_IOERR_ACCESS;
    const auto found = disk.nodes_.find(path);
    *there = found != disk.nodes_.end() && !found->second->live.empty() ? 1 : 0;
    return SQLITE_OK;
  }
  static int full_path(sqlite3_vfs*, const char* path, int size, char* to) {
    return sqlite3_snprintf(size, to, "%s", path) ? SQLITE_OK : SQLITE_ERROR;
  }
  static int randomness(sqlite3_vfs*, int size, char* to) {
    return system_vfs()->xRandomness(system_vfs(), size, to);
  }
  static int sleep(sqlite3_vfs*, int us) { return system_vfs()->xSleep(system_vfs(), us); }
  static int time(sqlite3_vfs*, double* at) { return system_vfs()->xCurrentTime(system_vfs(), at); }
  static int last_error(sqlite3_vfs*, int, char*) { return 0; }
};

FaultyDisk::FaultyDisk(uint64_t seed) : name_("faulty-" + std::to_string(++disks)), random_(seed) {
  vfs_.iVersion = 1;
  vfs_.szOsFile = sizeof(Handle);
  vfs_.mxPathname = 512;
  vfs_.zName = name_.c_str();
  vfs_.pAppData = this;
  vfs_.xOpen = Calls::open;
  vfs_.xDelete = Calls::remove;
  vfs_.xAccess = Calls::access;
  vfs_.xFullPathname = Calls::full_path;
  vfs_.xRandomness = Calls::randomness;
  vfs_.xSleep = Calls::sleep;
  vfs_.xCurrentTime = Calls::time;
  vfs_.xGetLastError = Calls::last_error;
  sqlite3_vfs_register(&vfs_, 0);
}

FaultyDisk::~FaultyDisk() {
  sqlite3_vfs_unregister(&vfs_);
}

int64_t FaultyDisk::points() const {
  const std::lock_guard lock(mutex_);
  return points_;
}

void FaultyDisk::plan(Fault fault, int64_t point) {
  const std::lock_guard lock(mutex_);
  planned_ = fault;
  planned_at_ = point;
  failed_ = false;
  full_for_ = fault == Fault::kFull ? 1 + static_cast<int>(random_() % 20) : 0;
}

bool FaultyDisk::failed() const {
  const std::lock_guard lock(mutex_);
  return failed_;
}

bool FaultyDisk::dead() const {
  const std::lock_guard lock(mutex_);
  return dead_;
}

void FaultyDisk::cut_power() {
  const std::lock_guard lock(mutex_);
  dead_ = true;
}

Fault FaultyDisk::point(bool write, bool sync) {
  if (dead_) {
    failed_ = false;  // nothing more is written
    return Fault::kPowerLoss;
  }
  if (++points_ < planned_at_) return Fault::kNone;
  const Fault fault = planned_;
  bool fits = false;
  switch (fault) {
    case Fault::kTornWrite:
    case Fault::kWriteError:
    case Fault::kFull:
      fits = write;
      break;
    case Fault::kSyncForgets:
    case Fault::kSyncFails:
      fits = sync;
      break;
    case Fault::kPowerLoss:
      fits = true;
      break;
    default:
      break;
  }
  if (!fits) return Fault::kNone;
  failed_ = true;
  if (fault == Fault::kPowerLoss) dead_ = true;
  if (fault != Fault::kFull || --full_for_ <= 0) planned_ = Fault::kNone;
  // Half of the disks that forget fail at the next write as well: the log is not tidied up then.
  if (fault == Fault::kSyncForgets && random_() % 2 == 0) {
    planned_ = Fault::kWriteError;
    planned_at_ = points_;
  }
  return fault;
}

void FaultyDisk::apply(std::string& bytes, const Write& write) {
  const auto at = static_cast<size_t>(write.at);
  if (write.truncate) {
    bytes.resize(at);
    return;
  }
  if (bytes.size() < at + write.bytes.size()) bytes.resize(at + write.bytes.size());
  bytes.replace(at, write.bytes.size(), write.bytes);
}

void FaultyDisk::lose_power(Node& node) {
  // Of a whole disk's cache little, some or nearly all may have got through.
  const uint64_t of_ten = random_() % 11;
  for (const Write& write : node.unsynced) {
    if (random_() % 10 >= of_ten) continue;
    if (write.truncate || random_() % 2 == 0) {
      apply(node.durable, write);
      continue;
    }
    for (size_t at = 0; at < write.bytes.size(); at += static_cast<size_t>(kSector)) {
      if (random_() % 2 == 0) continue;
      apply(node.durable, {write.at + static_cast<int64_t>(at),
                           write.bytes.substr(at, static_cast<size_t>(kSector)), false});
    }
  }
  node.unsynced.clear();
  node.live = node.durable;
}

void FaultyDisk::power_on() {
  const std::lock_guard lock(mutex_);
  for (auto& [path, node] : nodes_) lose_power(*node);
  for (auto& [path, bytes] : deleted_) {
    if (random_() % 2 == 0 || nodes_.contains(path)) continue;
    auto back = std::make_unique<Node>();
    back->live = back->durable = std::move(bytes);
    nodes_[path] = std::move(back);
  }
  deleted_.clear();
  dead_ = failed_ = false;
  planned_ = Fault::kNone;
}

bool FaultyDisk::flip_bit(const std::string& file) {
  const std::lock_guard lock(mutex_);
  const auto found = nodes_.find(file);
  if (found == nodes_.end() || found->second->durable.empty()) return false;
  std::string& bytes = found->second->durable;
  char& one = bytes[random_() % bytes.size()];
  one = static_cast<char>(one ^ (1 << (random_() % 8)));
  found->second->live = bytes;
  return true;
}

size_t FaultyDisk::size(const std::string& file) const {
  const std::lock_guard lock(mutex_);
  const auto found = nodes_.find(file);
  return found == nodes_.end() ? 0 : found->second->live.size();
}

}  // namespace mill::ledger
