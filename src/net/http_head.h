// A strict reader of the head of an HTTP/1.1 request (RFC 9112): whatever two servers could read in
// two ways is refused.
//
// Refused, where lenient parsers are not: a bare CR or LF, NUL and other control bytes, folded
// lines, a space before a colon, more than one Content-Length or Host, Content-Length beside
// Transfer-Encoding, any transfer coding but "chunked", a missing Host. Pure: bytes in, values out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <tl/expected.hpp>

#include "net/http.h"

namespace mill::net {

struct RequestHead {
  HttpRequest request;  // without its body
  bool keep_alive = true;
  bool expects_continue = false;
  bool chunked = false;
  uint64_t content_length = 0;  // 0 when chunked, or when there is no body
};

// Looks for the end of a head in bytes that arrive in pieces, each byte once.
class HeadScanner {
 public:
  // `bytes` is everything received so far, from the head's first byte. The size of the head with
  // its empty line once that has come; 0 while it hasn't. Refuses as soon as the bytes can't become
  // a valid head.
  tl::expected<size_t, Refusal> scan(std::string_view bytes);

 private:
  size_t scanned_ = 0;
};

// Reads a whole head, its final empty line included. Requires: a HeadScanner has passed it.
tl::expected<RequestHead, Refusal> parse_head(std::string_view head, size_t max_fields);

}  // namespace mill::net
