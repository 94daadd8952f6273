#include "net/http_post.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <charconv>
#include <memory>
#include <mutex>

#include "net/https_get.h"

namespace mill::net {
namespace {

constexpr size_t kMostOfAnswer = 16 << 10;

struct Exchange {
  const PostRequest& request;
  size_t received = 0;
  std::string refused;  // an address that was not allowed; empty: none
};

std::string digits_of(const sockaddr& address) {
  char text[INET6_ADDRSTRLEN] = "";
  if (address.sa_family == AF_INET) {
    ::inet_ntop(AF_INET, &reinterpret_cast<const sockaddr_in&>(address).sin_addr, text,
                sizeof text);
  } else if (address.sa_family == AF_INET6) {
    ::inet_ntop(AF_INET6, &reinterpret_cast<const sockaddr_in6&>(address).sin6_addr, text,
                sizeof text);
  }
  return text;
}

// libcurl opens a socket for each address it tries: the place to refuse one, after its name was
// looked up and before a byte is sent.
curl_socket_t open_socket(void* context, curlsocktype, curl_sockaddr* target) {
  Exchange& exchange = *static_cast<Exchange*>(context);
  const std::string ip = digits_of(target->addr);
  const auto& may = exchange.request.may_connect;
  if (may && (ip.empty() || !may(ip))) {
    exchange.refused = ip.empty() ? "something that is no IP address" : ip;
    return CURL_SOCKET_BAD;
  }
  return ::socket(target->family, target->socktype | SOCK_CLOEXEC, target->protocol);
}

size_t drop_body(char*, size_t, size_t count, void* context) {
  Exchange& exchange = *static_cast<Exchange*>(context);
  exchange.received += count;
  return exchange.received > kMostOfAnswer ? 0 : count;
}

int watch_ending(void* context, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  const Exchange& exchange = *static_cast<Exchange*>(context);
  return exchange.request.ending != nullptr && exchange.request.ending->load() ? 1 : 0;
}

long milliseconds(Duration duration) {
  return static_cast<long>(std::chrono::duration_cast<std::chrono::milliseconds>(duration).count());
}

using Headers = std::unique_ptr<curl_slist, decltype(&curl_slist_free_all)>;

Headers headers_of(const PostRequest& request) {
  curl_slist* list = nullptr;
  for (const auto& [name, value] : request.headers)
    list = curl_slist_append(list, (name + ": " + value).c_str());
  list = curl_slist_append(list, "Expect:");  // a small body goes at once
  return Headers(list, &curl_slist_free_all);
}

void set_options(CURL* curl, Exchange& exchange, const Headers& headers) {
  const PostRequest& request = exchange.request;
  curl_easy_setopt(curl, CURLOPT_URL, request.url.c_str());
  curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
  curl_easy_setopt(curl, CURLOPT_PROXY, "");  // the check of addresses would see the proxy's alone
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, milliseconds(request.connect_timeout));
  curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, milliseconds(request.total_timeout));
  curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers.get());
  curl_easy_setopt(curl, CURLOPT_USERAGENT, "tokenmill");
  curl_easy_setopt(curl, CURLOPT_POST, 1L);
  curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body.size()));
  curl_easy_setopt(curl, CURLOPT_POSTFIELDS, request.body.data());
  curl_easy_setopt(curl, CURLOPT_OPENSOCKETFUNCTION, &open_socket);
  curl_easy_setopt(curl, CURLOPT_OPENSOCKETDATA, &exchange);
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, &drop_body);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &exchange);
  curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
  curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, &watch_ending);
  curl_easy_setopt(curl, CURLOPT_XFERINFODATA, &exchange);
  if (!request.ca_file.empty()) curl_easy_setopt(curl, CURLOPT_CAINFO, request.ca_file.c_str());
}

Error error_of(CURLcode code, const char* detail, const Exchange& exchange) {
  const std::string host = host_of(exchange.request.url);
  const std::string why = detail[0] != '\0' ? detail : curl_easy_strerror(code);
  if (!exchange.refused.empty() && code == CURLE_COULDNT_CONNECT) {
    return {Code::kPermission,
            fmt::format("{} is at {}, where this server may not send", host, exchange.refused),
            {}};
  }
  switch (code) {
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
      return {Code::kInvalid, fmt::format("no address to post to: {}", why), {}};
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
      return {Code::kPermission,
              fmt::format("the certificate of {} cannot be trusted ({})", host, why),
              {}};
    case CURLE_OPERATION_TIMEDOUT:
      return {Code::kDeadline, fmt::format("{} did not answer in time", host), {}};
    default:
      return {Code::kIo, fmt::format("{} cannot be reached ({})", host, why), {}};
  }
}

tl::unexpected<Error> wrong(std::string_view rule) {
  return fail(Code::kInvalid, fmt::format("url {}", rule), "url");
}

}  // namespace

PostOutcome http_post(const PostRequest& request) {
  static std::once_flag initialised;
  std::call_once(initialised, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });
  const std::unique_ptr<CURL, decltype(&curl_easy_cleanup)> curl(curl_easy_init(),
                                                                 &curl_easy_cleanup);
  PostOutcome outcome;
  if (curl == nullptr) {
    outcome.error = {Code::kInternal, "libcurl cannot start", {}};
    return outcome;
  }
  Exchange exchange{.request = request};
  char detail[CURL_ERROR_SIZE] = "";
  const Headers headers = headers_of(request);
  set_options(curl.get(), exchange, headers);
  curl_easy_setopt(curl.get(), CURLOPT_ERRORBUFFER, detail);
  const CURLcode code = curl_easy_perform(curl.get());
  long status = 0;
  curl_easy_getinfo(curl.get(), CURLINFO_RESPONSE_CODE, &status);
  // A body that is too long does not matter: the status is what was asked for.
  if (code != CURLE_OK && !(code == CURLE_WRITE_ERROR && status != 0)) {
    outcome.error = error_of(code, detail, exchange);
    return outcome;
  }
  outcome.status = static_cast<int>(status);
  curl_off_t seconds = 0;
  if (curl_easy_getinfo(curl.get(), CURLINFO_RETRY_AFTER, &seconds) == CURLE_OK && seconds > 0)
    outcome.retry_after = std::chrono::seconds(seconds);
  return outcome;
}

Result<std::string> host_to_post_to(std::string_view url) {
  std::string_view rest = url;
  if (rest.starts_with("https://")) {
    rest.remove_prefix(8);
  } else if (rest.starts_with("http://")) {
    rest.remove_prefix(7);
  } else {
    return wrong("must begin with https:// or http://");
  }
  const bool printable = std::all_of(url.begin(), url.end(), [](char c) {
    return c > ' ' && c < 0x7F &&
           std::string_view("\"<>\\^`{|}#").find(c) == std::string_view::npos;
  });
  if (!printable) return wrong("has a character that must be percent-encoded, or a fragment");
  const std::string_view authority = rest.substr(0, rest.find_first_of("/?"));
  if (authority.find('@') != std::string_view::npos) return wrong("must not have a user in it");
  const bool bracket = authority.starts_with('[');
  const size_t end = bracket ? authority.find(']') : authority.find(':');
  if (bracket && end == std::string_view::npos) return wrong("has an address without its ]");
  const std::string_view host = bracket ? authority.substr(1, end - 1) : authority.substr(0, end);
  const std::string_view tail =
      authority.substr(std::min(bracket ? end + 1 : end, authority.size()));
  if (host.empty()) return wrong("has no host");
  if (!tail.empty()) {
    unsigned port = 0;
    const char* last = tail.data() + tail.size();
    const auto read = std::from_chars(tail.data() + 1, last, port);
    if (tail[0] != ':' || read.ec != std::errc() || read.ptr != last || port == 0 || port > 65535)
      return wrong("has a port that is none");
  }
  return std::string(host);
}

}  // namespace mill::net
