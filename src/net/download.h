// Brings one file from HTTPS to the disk, whole and checked, or not at all.
//
// Goes on where an earlier try stopped (Range with If-Range), follows redirects to https only,
// waits out broken connections and busy servers with growing, jittered pauses, and compares size
// and SHA-256 before the file gets its name. A server that lies about lengths or ranges costs time,
// never a wrong file.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"
#include "net/partial_file.h"

namespace mill::net {

struct DownloadRequest {
  std::string url;
  std::string sha256;            // 64 hex digits; empty when nobody knows it
  std::optional<uint64_t> size;  // bytes, where known
  std::string bearer;            // access token for the first host; empty for none
  std::string ca_file;           // PEM authorities instead of the system's; empty for those
  int attempts = 6;              // in a row without getting further; 3 where nobody can be reached
  int max_redirects = 8;
  Duration connect_timeout = std::chrono::seconds(20);
  Duration stall_timeout = std::chrono::seconds(30);
  Duration first_pause = std::chrono::milliseconds(500);  // doubles after each failure in a row
  Duration longest_pause =
      std::chrono::seconds(60);  // also of what a server may ask for with Retry-After
};

// Hears how it goes, on the calling thread. Either may be empty.
struct DownloadWatch {
  std::function<void(uint64_t have, std::optional<uint64_t> total)> progress;  // often
  std::function<void(std::string_view sentence)> note;  // rarely: a retry, a fresh start
};

struct Downloaded {
  uint64_t bytes = 0;
  std::string sha256;  // of what is on the disk now
  std::string
      linked_sha256;  // what the hub said it would be, and it is; empty when the hub said nothing
  uint64_t resumed_from = 0;  // bytes that an earlier try had left
};

// Blocks until `file` holds the whole body, checked (committing it is left to the caller), or
// fails: kInvalid a bad address · kNotFound · kPermission 401/403, certificate, plain http ·
// kCorrupt wrong sum or size · kIo network, disk · kDeadline, kOverloaded the server stalls or is
// busy, beyond all attempts. After kCorrupt nothing is kept; after the others what has arrived
// stays in `file` for the next try.
Result<Downloaded> download(const DownloadRequest& request, PartialFile& file,
                            const DownloadWatch& watch = {});

}  // namespace mill::net
