#include "net/http_url.h"

#include <algorithm>
#include <charconv>
#include <utility>

namespace mill::net {
namespace {

tl::unexpected<Error> wrong(std::string_view url, std::string_view what) {
  return fail(Code::kInvalid, "the address '" + std::string(url.substr(0, 200)) + "' " +
                                  std::string(what) + ": give http://host:port");
}

bool split_port(std::string_view rest, HttpUrl& url) {
  if (rest.empty()) return true;
  if (rest.front() != ':') return false;
  rest.remove_prefix(1);
  const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), url.port);
  return error == std::errc() && end == rest.data() + rest.size() && url.port != 0;
}

}  // namespace

std::string HttpUrl::authority() const {
  std::string text = host.find(':') == std::string::npos ? host : "[" + host + "]";
  if (port != 80) text += ":" + std::to_string(port);
  return text;
}

Result<HttpUrl> parse_http_url(std::string_view text) {
  constexpr std::string_view kScheme = "http://";
  const bool printable =
      std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 127; });
  if (!printable) return fail(Code::kInvalid, "the address has spaces or control bytes in it");
  if (text.starts_with("https://")) {
    return fail(Code::kUnsupported,
                "https is not spoken here: give an http:// address, of a local proxy if need be");
  }
  if (!text.starts_with(kScheme)) return wrong(text, "does not begin with http://");
  const std::string_view rest = text.substr(kScheme.size());
  const size_t slash = std::min(rest.find('/'), rest.size());
  std::string_view place = rest.substr(0, slash);
  HttpUrl url{.path = std::string(rest.substr(slash))};
  if (rest.find_first_of("?#@") != std::string_view::npos) {
    return wrong(text, "holds a user, a query or a fragment");
  }
  while (url.path.ends_with('/')) url.path.pop_back();
  if (place.starts_with('[')) {
    const size_t close = place.find(']');
    if (close == std::string_view::npos) return wrong(text, "has a '[' without its ']'");
    url.host = place.substr(1, close - 1);
    place.remove_prefix(close + 1);
  } else {
    const size_t colon = std::min(place.find(':'), place.size());
    url.host = place.substr(0, colon);
    place.remove_prefix(colon);
  }
  if (url.host.empty()) return wrong(text, "has no host");
  if (!split_port(place, url)) return wrong(text, "has no port from 1 to 65535");
  return url;
}

}  // namespace mill::net
