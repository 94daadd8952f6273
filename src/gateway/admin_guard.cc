#include "gateway/admin_guard.h"

#include <algorithm>
#include <iterator>

namespace mill::gateway {
namespace {

// What only proxies and browsers add.
constexpr std::string_view kTracesOfOthers[] = {
    "Origin", "Referer", "Sec-Fetch-Site", "X-Forwarded-For", "Forwarded", "X-Real-IP", "Via"};

// Looks at every byte of `given`, whatever the first ones are.
bool same(std::string_view given, std::string_view key) {
  unsigned different = given.size() == key.size() ? 0 : 1;
  for (size_t i = 0; i < given.size(); ++i) {
    const auto expected = static_cast<unsigned char>(key[i % key.size()]);
    different |= static_cast<unsigned char>(given[i]) ^ expected;
    asm volatile("" : "+r"(different));  // or the compiler may stop at the first difference
  }
  return different == 0;
}

std::string_view bearer(const net::HttpRequest& request) {
  constexpr std::string_view kScheme = "Bearer ";
  const std::string_view value = request.header("Authorization").value_or("");
  if (!net::equal_ignoring_case(value.substr(0, kScheme.size()), kScheme)) return {};
  return value.substr(kScheme.size());
}

// A name that a page of elsewhere can't have made its own by a trick of DNS.
bool names_this_machine(std::string_view host) {
  const size_t colon = host.rfind(':');
  const bool port =
      colon != std::string_view::npos && host.find(']', colon) == std::string_view::npos;
  const std::string_view name = port ? host.substr(0, colon) : host;
  const bool digits = name.find_first_not_of("0123456789.") == std::string_view::npos;
  return name == "localhost" || name == "[::1]" || (digits && name.starts_with("127."));
}

}  // namespace

Status check_admin(const net::HttpRequest& request, bool loopback, std::string_view key) {
  if (!key.empty()) {
    if (same(bearer(request), key)) return {};
    return fail(Code::kPermission,
                "/admin needs the key of --admin-key, as `Authorization: Bearer KEY`");
  }
  const bool traced =
      std::any_of(std::begin(kTracesOfOthers), std::end(kTracesOfOthers),
                  [&](std::string_view name) { return request.header(name).has_value(); });
  const bool here = names_this_machine(request.header("Host").value_or("localhost"));
  if (loopback && !traced && here) return {};
  return fail(Code::kPermission,
              "/admin answers programs on this machine only: to use it from elsewhere, through a "
              "proxy or from a web page, start the server with an --admin-key");
}

}  // namespace mill::gateway
