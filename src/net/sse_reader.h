// Takes a stream of server-sent events apart (WHATWG HTML, "Server-sent events", the parsing of an
// event stream). Pure: bytes in as they come, the data of whole events out.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace mill::net {

class SseReader {
 public:
  // An event, or a line of one, over `event_bytes` is an error.
  explicit SseReader(size_t event_bytes = 1 << 20) : event_bytes_(event_bytes) {}

  // Appends to `events` the data of every event that `bytes` completes; lines end with LF, CR LF or
  // CR, comments and other fields are passed over, an event without data is none. Fails with
  // kTooLarge; nothing may be fed after that.
  Status feed(std::string_view bytes, std::vector<std::string>& events);

  // Bytes of an event have come whose end has not.
  bool in_event() const { return !line_.empty() || has_data_; }

 private:
  void take_line(std::vector<std::string>& events);

  const size_t event_bytes_;
  std::string line_;
  std::string data_;
  bool has_data_ = false;
  bool after_cr_ = false;
  bool at_start_ = true;  // a byte order mark may stand here
};

}  // namespace mill::net
