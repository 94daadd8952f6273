// The journal in one SQLite file: write-ahead log, synchronous=FULL, one writer, prepared
// statements only.
//
// What is appended is first written to FILE-tail (tail_file.h), which makes it durable, and moved
// to the tables by a thread of its own a moment later, many groups in one transaction; so nobody
// waits for SQLite but who reads. What a dead process left there is moved when the journal is
// opened. Groups that are too large for it, or keep something, go to the tables at once.
//
// The write-ahead log is filled once and then overwritten in place, so that an fsync need not wait
// for the file system to grow the file. Beside the file stand FILE-wal, FILE-shm, FILE-tail and
// FILE.lock. Format: docs/formats/journal.md.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "base/result.h"
#include "ledger/journal.h"

namespace mill::ledger {

struct SqliteOptions {
  bool read_only =
      false;  // for verification and export: takes no lock, needs no owner, refuses to append
  bool lock =
      true;  // FILE.lock keeps a second process out; false only where `vfs` has no real files
  int wal_pages =
      4096;  // of 4 KiB: the size at which the log is copied into the file and begun anew
  bool preallocate = true;       // fill the log when a journal is made
  int64_t tail_bytes = 4 << 20;  // of FILE-tail, when it is made; an existing one is not shortened
  std::string vfs;               // of SQLite; empty: the system's
};

// Opens the file, or makes it (not when read_only). kNotFound, kPermission (also: another process
// owns it), kUnsupported (another version, or a database of something else), kCorrupt, kIo.
Result<std::unique_ptr<Journal>> open_sqlite_journal(const std::filesystem::path& file,
                                                     SqliteOptions options = {});

}  // namespace mill::ledger
