// Where entries are kept: append, atomically and durably, and read again. Its body is
// sqlite_journal.h and postgres_journal.h.
//
// One process owns a journal at a time; a second is refused when it opens it. Any thread may call;
// appends come from one thread at a time. Reads may run beside an append and see whole batches
// only.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "ledger/entry.h"

namespace mill::ledger {

// The last entry; seq 0 and zeros for an empty journal.
struct Head {
  int64_t seq = 0;
  int64_t at_ns = 0;
  Hash256 hash{};
  friend bool operator==(const Head&, const Head&) = default;
};

// Which entries a scan visits, in order of seq.
struct Range {
  int64_t from_seq = 1;
  int64_t to_seq = INT64_MAX;  // this one included
  int64_t from_ns = INT64_MIN;
  int64_t to_ns = INT64_MAX;  // this instant excluded
  std::vector<Kind> kinds;    // empty: all
};

// A projection's state after entry `seq`, under its name.
struct Checkpoint {
  int64_t seq = 0;
  Hash256 entry_hash{};  // of entry `seq`: a checkpoint of another history does not match
  std::string bytes;
};

using Visitor = std::function<Status(const Entry&)>;
// A keepsake, and the entry that it was kept beside.
using KeepsakeVisitor = std::function<Status(int64_t seq, int64_t at_ns, Keepsake keepsake)>;

class Journal {
 public:
  virtual ~Journal() = default;

  // Where it is, for messages, without secrets.
  virtual std::string where() const = 0;

  virtual Result<Head> head() = 0;

  // Writes all entries, and what is kept beside them, or none; they are durable when it returns OK.
  // After an error it is unknown whether they were written: reopen(), then head() tells.
  // Requires: the hashes are set; the first is head().seq + 1, the others follow. kInvalid where
  // the first does not follow what is stored; kIo.
  virtual Status append(std::span<const Entry> entries) = 0;

  // Calls `visit` for each entry, and stops at its first error, which it returns. A visitor may not
  // call the journal. `previous` is set where the range has all kinds; a filtered scan leaves it
  // zero. kIo, kCorrupt (a row that is none).
  virtual Status scan(const Range& range, const Visitor& visit) = 0;

  // The entries before `before_seq` that end an id (settle, void, expire; credit or write-off with
  // an id) and its reversals, in order of seq. It does not wait for a scan.
  virtual Result<std::vector<Entry>> find(const HoldId& id, int64_t before_seq = INT64_MAX) = 0;

  // Replaces the checkpoint of that name, atomically; it may be lost by a crash, and then the one
  // before is found.
  virtual Status save_checkpoint(std::string_view name, const Checkpoint& checkpoint) = 0;
  // Nothing where there is none or its bytes do not match their checksum.
  virtual Result<std::optional<Checkpoint>> load_checkpoint(std::string_view name) = 0;

  // The keepsakes that are there, in order of seq; those whose bytes do not match their checksum
  // are left out. Stops as scan() does.
  virtual Status keepsakes(const KeepsakeVisitor& visit) = 0;

  // Drops what an error may have left and opens anew; afterwards head() is what is durable.
  virtual Status reopen() = 0;
};

}  // namespace mill::ledger
