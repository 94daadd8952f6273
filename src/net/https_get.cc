#include "net/https_get.h"

#include <curl/curl.h>
#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <memory>
#include <mutex>
#include <string_view>

#include "net/checksum.h"

namespace mill::net {
namespace {

constexpr uint64_t kLeastInStallTime = 4096;
constexpr size_t kLargestHead = 64 << 10;

struct Transfer {
  const GetRequest& request;
  const std::function<Status(const GetHead&)>& on_head;
  const std::function<Status(std::span<const std::byte>)>& on_body;
  GetHead head;
  size_t head_bytes = 0;
  bool head_told = false;
  Status stopped;  // the error of on_head, on_body or an over-long head
  uint64_t received = 0;
  uint64_t window_received = 0;  // `received` when the present stall window began
  Instant window_start;
  bool stalled = false;
};

bool same_word(std::string_view a, std::string_view b) {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(), [](char x, char y) {
           return std::tolower(static_cast<unsigned char>(x)) ==
                  std::tolower(static_cast<unsigned char>(y));
         });
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.front())))
    text.remove_prefix(1);
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back())))
    text.remove_suffix(1);
  return text;
}

std::optional<uint64_t> number(std::string_view text) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || text.empty()) return std::nullopt;
  return value;
}

// "bytes 100-199/1000", "bytes */1000", "bytes 0-99/*" (RFC 9110 §14.4)
void read_content_range(std::string_view text, GetHead& head) {
  if (text.size() < 6 || !same_word(text.substr(0, 6), "bytes ")) return;
  text.remove_prefix(6);
  const size_t slash = text.find('/');
  if (slash == std::string_view::npos) return;
  head.range_first = number(text.substr(0, std::min(text.find('-'), slash)));
  head.range_total = number(text.substr(slash + 1));
}

void read_field(std::string_view name, std::string_view value, GetHead& head) {
  if (same_word(name, "content-range")) {
    read_content_range(value, head);
  } else if (same_word(name, "content-length")) {
    head.length = number(value);
  } else if (same_word(name, "etag") && value.size() > 2 && value.front() == '"') {
    head.validator = value;  // a weak one (W/"…") cannot vouch for a range
  } else if (same_word(name, "last-modified") &&
             (head.validator.empty() || head.validator.front() != '"')) {
    head.validator = value;
  } else if (same_word(name, "x-linked-etag") && head.linked_sha256.empty() && value.size() == 66 &&
             is_sha256(value.substr(1, 64))) {
    head.linked_sha256 = value.substr(1, 64);
  }
}

size_t header_line(char* bytes, size_t, size_t count, void* context) {
  Transfer& transfer = *static_cast<Transfer*>(context);
  transfer.head_bytes += count;
  if (transfer.head_bytes > kLargestHead) {
    transfer.stopped = fail(Code::kCorrupt, fmt::format("{} answers with an endless head",
                                                        host_of(transfer.request.url)));
    return 0;
  }
  const std::string_view line = trimmed({bytes, count});
  if (line.rfind("HTTP/", 0) ==
      0) {  // a new answer of the chain begins; only what the hub linked to stays
    std::string linked = std::move(transfer.head.linked_sha256);
    transfer.head = {};
    transfer.head.linked_sha256 = std::move(linked);
  } else if (const size_t colon = line.find(':'); colon != std::string_view::npos) {
    read_field(line.substr(0, colon), trimmed(line.substr(colon + 1)), transfer.head);
  }
  return count;
}

bool tell_head(Transfer& transfer, int status) {
  transfer.head_told = true;
  transfer.head.status = status;
  transfer.stopped = transfer.on_head(transfer.head);
  return transfer.stopped.has_value();
}

struct WriteContext {
  Transfer& transfer;
  CURL* curl;
};

int status_of(CURL* curl) {
  long status = 0;
  curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
  return static_cast<int>(status);
}

size_t body_bytes(char* bytes, size_t, size_t count, void* context) {
  auto& [transfer, curl] = *static_cast<WriteContext*>(context);
  if (!transfer.head_told && !tell_head(transfer, status_of(curl))) return 0;
  transfer.received += count;
  transfer.stopped = transfer.on_body(std::as_bytes(std::span(bytes, count)));
  return transfer.stopped ? count : 0;
}

int watch_stall(void* context, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  Transfer& transfer = *static_cast<Transfer*>(context);
  const Instant time = now();
  if (transfer.received >= transfer.window_received + kLeastInStallTime) {
    transfer.window_received = transfer.received;
    transfer.window_start = time;
  }
  transfer.stalled = time - transfer.window_start > transfer.request.stall_timeout;
  return transfer.stalled ? 1 : 0;
}

long milliseconds(Duration duration) {
  return static_cast<long>(std::chrono::duration_cast<std::chrono::milliseconds>(duration).count());
}

using Headers = std::unique_ptr<curl_slist, decltype(&curl_slist_free_all)>;

void set_options(CURL* curl, const GetRequest& request, const Headers& headers) {
  curl_easy_setopt(curl, CURLOPT_URL, request.url.c_str());
  curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "https");
  curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR, "https");
  curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 1L);
  curl_easy_setopt(curl, CURLOPT_MAXREDIRS, static_cast<long>(request.max_redirects));
  curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, milliseconds(request.connect_timeout));
  curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers.get());
  curl_easy_setopt(curl, CURLOPT_HTTP_CONTENT_DECODING, 0L);
  curl_easy_setopt(curl, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
  curl_easy_setopt(curl, CURLOPT_USERAGENT, "tokenmill");
  curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
  if (!request.ca_file.empty()) curl_easy_setopt(curl, CURLOPT_CAINFO, request.ca_file.c_str());
  if (!request.bearer.empty()) {
    curl_easy_setopt(curl, CURLOPT_HTTPAUTH, CURLAUTH_BEARER);
    curl_easy_setopt(curl, CURLOPT_XOAUTH2_BEARER, request.bearer.c_str());
  }
}

Headers headers_of(const GetRequest& request) {
  curl_slist* list = nullptr;
  if (request.from > 0) {
    list = curl_slist_append(list, fmt::format("Range: bytes={}-", request.from).c_str());
    if (!request.validator.empty())
      list = curl_slist_append(list, ("If-Range: " + request.validator).c_str());
  }
  return Headers(list, &curl_slist_free_all);
}

// The sentence and the kind of a transfer that libcurl ended.
GetOutcome failed(CURLcode code, const char* detail, const Transfer& transfer) {
  const std::string host = host_of(transfer.request.url);
  const std::string why = detail[0] != '\0' ? detail : curl_easy_strerror(code);
  GetOutcome outcome;
  outcome.end = GetEnd::kRefused;
  switch (code) {
    case CURLE_UNSUPPORTED_PROTOCOL:
      outcome.error = {Code::kPermission,
                       fmt::format("{} leads to an address that is not https: refused", host),
                       {}};
      return outcome;
    case CURLE_TOO_MANY_REDIRECTS:
      outcome.error = {Code::kIo,
                       fmt::format("{} redirects more than {} times: given up", host,
                                   transfer.request.max_redirects),
                       {}};
      return outcome;
    case CURLE_URL_MALFORMAT:
      outcome.error = {
          Code::kInvalid, fmt::format("'{}' is no address: {}", transfer.request.url, why), {}};
      return outcome;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
      outcome.error = {
          Code::kPermission,
          fmt::format("the certificate of {} cannot be trusted ({}): check this machine's date and "
                      "certificates, or name an authority file",
                      host, why),
          {}};
      return outcome;
    default:
      break;
  }
  outcome.end = GetEnd::kBroken;
  if (code == CURLE_COULDNT_RESOLVE_HOST || code == CURLE_COULDNT_CONNECT ||
      code == CURLE_COULDNT_RESOLVE_PROXY) {
    outcome.unreachable = true;
    outcome.error = {
        Code::kIo,
        fmt::format("cannot reach {} ({}): check the network, or set https_proxy", host, why),
        {}};
  } else if (transfer.stalled || code == CURLE_OPERATION_TIMEDOUT) {
    outcome.error = {Code::kDeadline, fmt::format("{} has stopped sending", host), {}};
  } else {
    outcome.error = {Code::kIo, fmt::format("the connection to {} broke ({})", host, why), {}};
  }
  return outcome;
}

}  // namespace

std::string host_of(const std::string& url) {
  const size_t scheme = url.find("://");
  if (scheme == std::string::npos) return url;
  const size_t begin = scheme + 3;
  const std::string authority = url.substr(begin, url.find_first_of("/?#", begin) - begin);
  const size_t at = authority.rfind('@');  // what stands before it may be a password
  return at == std::string::npos ? authority : authority.substr(at + 1);
}

GetOutcome https_get(const GetRequest& request,
                     const std::function<Status(const GetHead&)>& on_head,
                     const std::function<Status(std::span<const std::byte>)>& on_body) {
  static std::once_flag initialised;
  std::call_once(initialised, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });
  Transfer transfer{request, on_head, on_body, {}, 0, false, {}, 0, 0, now(), false};
  const std::unique_ptr<CURL, decltype(&curl_easy_cleanup)> curl(curl_easy_init(),
                                                                 &curl_easy_cleanup);
  if (curl == nullptr)
    return {.error = {Code::kInternal, "libcurl cannot start", {}}};
  char detail[CURL_ERROR_SIZE] = "";
  WriteContext write{transfer, curl.get()};
  const Headers headers = headers_of(request);
  set_options(curl.get(), request, headers);
  curl_easy_setopt(curl.get(), CURLOPT_ERRORBUFFER, detail);
  curl_easy_setopt(curl.get(), CURLOPT_HEADERFUNCTION, &header_line);
  curl_easy_setopt(curl.get(), CURLOPT_HEADERDATA, &transfer);
  curl_easy_setopt(curl.get(), CURLOPT_WRITEFUNCTION, &body_bytes);
  curl_easy_setopt(curl.get(), CURLOPT_WRITEDATA, &write);
  curl_easy_setopt(curl.get(), CURLOPT_XFERINFOFUNCTION, &watch_stall);
  curl_easy_setopt(curl.get(), CURLOPT_XFERINFODATA, &transfer);
  const CURLcode code = curl_easy_perform(curl.get());
  if (code == CURLE_OK && !transfer.head_told)
    tell_head(transfer, status_of(curl.get()));  // an empty body
  GetOutcome outcome;
  if (!transfer.stopped) {
    outcome.end = GetEnd::kStopped;
    outcome.error = transfer.stopped.error();
  } else if (code == CURLE_OK) {
    outcome.end = GetEnd::kComplete;
  } else {
    outcome = failed(code, detail, transfer);
  }
  outcome.status = status_of(curl.get());
  curl_off_t seconds = 0;
  if (curl_easy_getinfo(curl.get(), CURLINFO_RETRY_AFTER, &seconds) == CURLE_OK && seconds > 0) {
    outcome.retry_after = std::chrono::seconds(seconds);
  }
  return outcome;
}

}  // namespace mill::net
