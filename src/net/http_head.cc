#include "net/http_head.h"

#include <algorithm>
#include <charconv>
#include <string>

namespace mill::net {
namespace {

tl::unexpected<Refusal> refuse(int status, std::string sentence) {
  return tl::unexpected<Refusal>(Refusal{status, std::move(sentence)});
}

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

// RFC 9110, 5.6.2.
bool is_token_char(char c) {
  if (is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) return true;
  return std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}

bool is_token(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), is_token_char);
}

std::string_view trim(std::string_view text) {
  const auto blank = [](char c) { return c == ' ' || c == '\t'; };
  while (!text.empty() && blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && blank(text.back())) text.remove_suffix(1);
  return text;
}

// Calls `visit` with each element of a comma-separated list.
template <class Visit>
void for_each_element(std::string_view list, Visit visit) {
  while (!list.empty()) {
    const size_t comma = std::min(list.find(','), list.size());
    visit(trim(list.substr(0, comma)));
    list.remove_prefix(std::min(comma + 1, list.size()));
  }
}

// "http://host/path" is turned into "/path": this server has one host, whatever it is called.
std::optional<std::string> origin_form(std::string_view target, std::string_view method) {
  if (target == "*") return method == "OPTIONS" ? std::optional<std::string>("*") : std::nullopt;
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (!equal_ignoring_case(target.substr(0, scheme.size()), scheme)) continue;
    target.remove_prefix(scheme.size());
    const size_t authority = std::min(target.find_first_of("/?"), target.size());
    if (authority == 0) return std::nullopt;
    target.remove_prefix(authority);
    const bool rooted = !target.empty() && target.front() == '/';
    return rooted ? std::string(target) : '/' + std::string(target);
  }
  if (target.empty() || target.front() != '/') return std::nullopt;
  return std::string(target);
}

tl::expected<void, Refusal> parse_request_line(std::string_view line, HttpRequest& request) {
  const size_t first = line.find(' ');
  const size_t last = line.rfind(' ');
  if (first == std::string_view::npos || first == last) {
    return refuse(400, "the request line must be METHOD TARGET HTTP/1.1");
  }
  const std::string_view method = line.substr(0, first);
  const std::string_view target = line.substr(first + 1, last - first - 1);
  const std::string_view version = line.substr(last + 1);
  if (!is_token(method)) return refuse(400, "the method of the request is not valid");
  const bool clean = std::all_of(target.begin(), target.end(),
                                 [](char c) { return c > ' ' && c < 0x7F && c != '#'; });
  auto path = clean ? origin_form(target, method) : std::nullopt;
  if (!path) return refuse(400, "the target of the request is not valid");
  const bool versioned = version.size() == 8 && version.substr(0, 5) == "HTTP/" &&
                         is_digit(version[5]) && version[6] == '.' && is_digit(version[7]);
  if (!versioned) return refuse(400, "the request line must end in HTTP/1.1");
  if (version[5] != '1' || version[7] > '1') {
    return refuse(505, "this server speaks HTTP/1.1 and HTTP/1.0");
  }
  request.method = method;
  request.target = std::move(*path);
  request.minor_version = version[7] - '0';
  return {};
}

tl::expected<Header, Refusal> parse_field(std::string_view line) {
  if (line.front() == ' ' || line.front() == '\t') {
    return refuse(400, "folded header lines are not accepted");
  }
  const size_t colon = line.find(':');
  if (colon == std::string_view::npos) return refuse(400, "a header line has no colon");
  const std::string_view name = line.substr(0, colon);
  if (!is_token(name)) return refuse(400, "the name of a header is not valid");
  return Header{std::string(name), std::string(trim(line.substr(colon + 1)))};
}

// What the headers say about the message as a whole; each may be said once.
struct Framing {
  int hosts = 0, lengths = 0, codings = 0;
  bool close = false, keep_alive = false;
};

tl::expected<void, Refusal> read_length(std::string_view value, RequestHead& head) {
  uint64_t length = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), length);
  const bool digits = !value.empty() && std::all_of(value.begin(), value.end(), is_digit);
  if (!digits || error != std::errc() || end != value.data() + value.size()) {
    return refuse(400, "Content-Length must be one decimal number");
  }
  head.content_length = length;
  return {};
}

tl::expected<void, Refusal> note_field(const Header& field, RequestHead& head, Framing& framing) {
  if (equal_ignoring_case(field.name, "host")) {
    ++framing.hosts;
    if (field.value.find_first_of(" \t,/?#@\\") != std::string::npos) {
      return refuse(400, "the Host header is not valid");
    }
  } else if (equal_ignoring_case(field.name, "content-length")) {
    ++framing.lengths;
    return read_length(field.value, head);
  } else if (equal_ignoring_case(field.name, "transfer-encoding")) {
    ++framing.codings;
    if (!equal_ignoring_case(field.value, "chunked")) {
      return refuse(400, "the only Transfer-Encoding that is accepted is chunked");
    }
    head.chunked = true;
  } else if (equal_ignoring_case(field.name, "connection")) {
    for_each_element(field.value, [&](std::string_view option) {
      framing.close |= equal_ignoring_case(option, "close");
      framing.keep_alive |= equal_ignoring_case(option, "keep-alive");
    });
  } else if (equal_ignoring_case(field.name, "expect")) {
    if (!equal_ignoring_case(field.value, "100-continue")) {
      return refuse(417, "the only Expect that is accepted is 100-continue");
    }
    head.expects_continue = true;
  } else if (equal_ignoring_case(field.name, "content-encoding")) {
    if (!field.value.empty() && !equal_ignoring_case(field.value, "identity")) {
      return refuse(415,
                    "compressed bodies are not accepted: send the body without "
                    "Content-Encoding");
    }
  }
  return {};
}

tl::expected<void, Refusal> judge(const Framing& framing, RequestHead& head) {
  const bool old = head.request.minor_version == 0;
  if (framing.lengths > 1) return refuse(400, "Content-Length is given more than once");
  if (framing.codings > 1) return refuse(400, "Transfer-Encoding is given more than once");
  if (framing.lengths > 0 && framing.codings > 0) {
    return refuse(400, "Content-Length and Transfer-Encoding exclude each other");
  }
  if (framing.codings > 0 && old) return refuse(400, "HTTP/1.0 has no Transfer-Encoding");
  if (framing.hosts > 1) return refuse(400, "Host is given more than once");
  if (framing.hosts == 0 && !old) return refuse(400, "the Host header is missing");
  head.keep_alive = !framing.close && (!old || framing.keep_alive);
  if (old) head.expects_continue = false;
  return {};
}

}  // namespace

tl::expected<size_t, Refusal> HeadScanner::scan(std::string_view bytes) {
  // A CR is judged together with the byte behind it, so the last byte waits for its follower.
  for (; scanned_ < bytes.size(); ++scanned_) {
    const char c = bytes[scanned_];
    if (c == '\r') {
      if (scanned_ + 1 == bytes.size()) return 0;
      if (bytes[scanned_ + 1] != '\n') return refuse(400, "a bare carriage return in the header");
      ++scanned_;
      const bool empty_line = scanned_ < 2 || bytes[scanned_ - 2] == '\n';
      if (empty_line) return scanned_ + 1;
    } else if ((c >= 0 && c < ' ' && c != '\t') || c == 0x7F) {
      return refuse(
          400, c == '\n' ? "a bare line feed in the header" : "a control character in the header");
    }
  }
  return 0;
}

tl::expected<RequestHead, Refusal> parse_head(std::string_view bytes, size_t max_fields) {
  RequestHead head;
  Framing framing;
  bool first = true;
  while (!bytes.empty()) {
    const size_t end = bytes.find("\r\n");
    const std::string_view line = bytes.substr(0, end);
    bytes.remove_prefix(std::min(end, bytes.size() - 2) + 2);
    if (first) {
      const auto read = parse_request_line(line, head.request);
      if (!read) return tl::unexpected<Refusal>(read.error());
      first = false;
      continue;
    }
    if (line.empty()) break;
    auto field = parse_field(line);
    if (!field) return tl::unexpected<Refusal>(std::move(field).error());
    if (head.request.headers.size() == max_fields) {
      return refuse(431, "the request has more than " + std::to_string(max_fields) + " headers");
    }
    const auto noted = note_field(*field, head, framing);
    if (!noted) return tl::unexpected<Refusal>(noted.error());
    head.request.headers.push_back(std::move(*field));
  }
  const auto judged = judge(framing, head);
  if (!judged) return tl::unexpected<Refusal>(judged.error());
  return head;
}

}  // namespace mill::net
