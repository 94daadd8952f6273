// A disk under SQLite that fails when told: a VFS in memory that keeps apart what was written and
// what would survive a loss of power.
//
// What is written since the last sync of a file is there for readers, and on the disk only by
// chance: at a power loss each such write survives whole, in some of its 512-byte sectors, or not
// at all. A sync that fails may leave what it should have written to be forgotten, as Linux does:
// readers go on seeing it and later syncs do not bring it to the disk. Thread-safe.
#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <vector>

namespace mill::ledger {

enum class Fault {
  kNone,
  kTornWrite,   // a part of the bytes is written, and an error comes back
  kWriteError,  // nothing is written
  kFull,        // the same, with SQLITE_FULL, for some writes
  kSyncForgets,
  kSyncFails,  // and what it should have written may still get to the disk
  kReadError,
  kPowerLoss,  // nothing works any more until power_on()
};
inline constexpr Fault kFaults[] = {Fault::kTornWrite,   Fault::kWriteError, Fault::kFull,
                                    Fault::kSyncForgets, Fault::kSyncFails,  Fault::kReadError,
                                    Fault::kPowerLoss};
const char* name(Fault fault);

class FaultyDisk {
 public:
  explicit FaultyDisk(uint64_t seed);
  ~FaultyDisk();  // Requires: every file is closed
  FaultyDisk(const FaultyDisk&) = delete;
  FaultyDisk& operator=(const FaultyDisk&) = delete;

  const std::string& vfs() const { return name_; }

  // Writes, syncs, truncations and deletions so far: the points at which a fault may come.
  int64_t points() const;
  // The fault comes at the first point that it fits, from `point` on; once, or for a while (kFull).
  void plan(Fault fault, int64_t point);
  // The planned fault has come.
  bool failed() const;

  bool dead() const;
  void cut_power();
  // Requires: every file is closed. What survived is what there is.
  void power_on();

  // Turns one bit of a file over, on the disk; false where it is empty.
  bool flip_bit(const std::string& file);
  size_t size(const std::string& file) const;

 private:
  struct Write {
    int64_t at = 0;
    std::string bytes;
    bool truncate = false;  // to `at`
  };
  struct Handle;
  struct Node {
    std::string live, durable;
    std::vector<Write> unsynced;
    std::vector<Handle*> handles;
    std::vector<std::unique_ptr<char[]>> shared_memory;
  };
  struct Handle {
    sqlite3_file base;
    FaultyDisk* disk;
    Node* node;
    std::string* path;
    int lock;
    unsigned shared, exclusive;  // slots of the shared memory's lock
    bool temporary;
  };
  struct Calls;

  // What to do at this point; kPowerLoss also where the power is off already.
  Fault point(bool write, bool sync);
  static void apply(std::string& bytes, const Write& write);
  void lose_power(Node& node);

  const std::string name_;
  sqlite3_vfs vfs_{};
  mutable std::mutex mutex_;
  std::mt19937_64 random_;
  std::map<std::string, std::unique_ptr<Node>> nodes_;
  std::vector<std::unique_ptr<Node>> orphans_;  // deleted while somebody had them open
  std::map<std::string, std::string> deleted_;  // that a power loss may bring back
  int64_t points_ = 0;
  Fault planned_ = Fault::kNone;
  int64_t planned_at_ = 0;
  int full_for_ = 0;
  bool failed_ = false, dead_ = false;
};

}  // namespace mill::ledger
