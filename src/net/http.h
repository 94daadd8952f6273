// The words of HTTP/1.1 that handlers see (RFC 9110): a request that was read whole and checked
// strictly, and a reply.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace mill::net {

struct Header {
  std::string name;
  std::string value;
};

struct HttpRequest {
  std::string method;  // as sent: methods are case-sensitive
  std::string target;  // origin form, starts with '/' and may hold a query; or "*"
  int minor_version = 1;
  std::vector<Header> headers;
  std::string body;  // decoded; trailer fields are dropped

  // The target up to its query, still percent-encoded.
  std::string_view path() const;
  // The value of the first header of that name, in any case of letters.
  std::optional<std::string_view> header(std::string_view name) const;
};

struct HttpReply {
  int status = 200;
  std::string content_type;     // empty: none is sent
  std::vector<Header> headers;  // besides those of framing, and X-Request-Id, which the server adds
  std::string body;
};

// A request the server doesn't take, before any handler sees it. Status 0: there is nobody or
// nothing to answer, only to close.
struct Refusal {
  int status = 0;
  std::string sentence;
};

// "Not Found" for 404; "Status" for one that isn't in the table.
std::string_view reason_phrase(int status);
bool equal_ignoring_case(std::string_view a, std::string_view b);

}  // namespace mill::net
