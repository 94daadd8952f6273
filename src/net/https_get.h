// One GET over HTTPS by libcurl: no retries, no files. What to make of the answer is the caller's
// business (download.h).
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>

#include "base/clock.h"
#include "base/result.h"

namespace mill::net {

struct GetRequest {
  std::string url;        // https://… ; anything else is refused, in redirects too
  uint64_t from = 0;      // ask for the bytes from here on (Range); 0 asks for all
  std::string validator;  // If-Range for them: a strong ETag or a date; empty for none
  std::string bearer;   // access token for the first host, never sent on to another; empty for none
  std::string ca_file;  // PEM authorities instead of the system's; empty for those
  Duration connect_timeout{};
  Duration stall_timeout{};  // less than 4 KiB in such a time ends the transfer
  int max_redirects = 0;
};

// The head of the last answer, after redirects.
struct GetHead {
  int status = 0;
  std::optional<uint64_t> length;       // Content-Length
  std::optional<uint64_t> range_first;  // of Content-Range: bytes FIRST-…/TOTAL
  std::optional<uint64_t> range_total;
  std::string validator;      // a strong ETag, else Last-Modified, else empty
  std::string linked_sha256;  // what a model hub says the file's SHA-256 is (X-Linked-Etag); empty
                              // when it does not
};

// How a GET ended, when its answer was not taken to the end.
enum class GetEnd {
  kComplete,  // the whole body came
  kStopped,   // on_head or on_body returned an error
  kBroken,    // the network failed: a later try may do better
  kRefused,   // wrong by nature: certificate, plain http, too many redirects, malformed address
};

struct GetOutcome {
  GetEnd end = GetEnd::kBroken;
  int status = 0;                       // the last status line; 0 when none came
  bool unreachable = false;             // kBroken before there was a connection
  std::optional<Duration> retry_after;  // as the server asked
  Error error;                          // why, when end is not kComplete
};

// Calls on_head once when the head of the last answer is in, then on_body for each piece of its
// body; an error from either ends the transfer as kStopped with that error. Blocks; thread-safe.
GetOutcome https_get(const GetRequest& request,
                     const std::function<Status(const GetHead&)>& on_head,
                     const std::function<Status(std::span<const std::byte>)>& on_body);

// The host of an address, for sentences; the address itself when it has none.
std::string host_of(const std::string& url);

}  // namespace mill::net
