// The newest entries of a SQLite journal, before they are in its tables: FILE-tail, of a fixed size
// that is filled once and then written over in place.
//
// A group of entries is one write and one sync of some hundred bytes, where a transaction of the
// tables is several pages, and work that whoever waits would wait for. The file has two halves.
// Groups follow each other in one; when it is full, they go on in the other, which may begin anew
// once all that stood there is durable in the tables. A group is good when its chain of hashes is;
// what follows the last good one is older, or was never acknowledged. Format:
// docs/formats/journal.md.
//
// Reads and writes through SQLite's VFS, so that what fails under SQLite fails here too. One thread
// at a time.
#pragma once

#include <sqlite3.h>

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "ledger/entry.h"
#include "ledger/journal.h"

namespace mill::ledger {

class TailFile {
 public:
  // Makes it where it is not there, unless `read_only`; then nullptr where there is none. An empty
  // `vfs` is the system's. kIo.
  static Result<std::unique_ptr<TailFile>> open(const std::string& vfs, std::string path,
                                                bool read_only);
  ~TailFile();
  TailFile(const TailFile&) = delete;
  TailFile& operator=(const TailFile&) = delete;

  // The entries that follow `head`, of whole groups, as far as the chain holds. kIo.
  Result<std::vector<Entry>> read_after(const Head& head);

  // Empties the file and makes it `bytes` long at least; groups are written from its beginning on.
  // Requires: all that is to be kept of it is durable in the tables. kIo.
  Status begin(int64_t bytes);
  // Makes a group ready to be written. The entry that must be durable in the tables before it is
  // written, 0 for none; nothing when no half is large enough.  Requires: the hashes and `previous`
  // are set; nothing is kept beside an entry.
  std::optional<int64_t> prepare(std::span<const Entry> group);
  // Writes the group that is ready; it is durable when this returns OK. After an error the file
  // must be opened anew, with all entries of before in the tables: it is unknown what is there, and
  // a second sync would say nothing of the first (Linux takes for written what it could not write).
  Status write();

 private:
  TailFile(std::string path, std::unique_ptr<char[]> file)
      : path_(std::move(path)), file_(std::move(file)) {}

  sqlite3_file* file() { return reinterpret_cast<sqlite3_file*>(file_.get()); }
  Result<int64_t> size();
  Result<std::vector<Entry>> read_half(int half);
  Error error(const char* what, int code) const;

  const std::string path_;  // SQLite keeps its address while the file is open
  std::unique_ptr<char[]> file_;
  int64_t half_bytes_ = 0;             // the file's own size says it
  int half_ = 0;                       // that is written now
  int64_t at_ = 0;                     // in it
  std::array<int64_t, 2> last_seq_{};  // that was written to each half
  std::string group_;                  // that is ready, and its last entry
  int64_t group_last_seq_ = 0;
};

}  // namespace mill::ledger
