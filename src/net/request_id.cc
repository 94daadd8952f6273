#include "net/request_id.h"

#include <fmt/format.h>
#include <openssl/rand.h>

#include <algorithm>
#include <array>
#include <utility>

#include "base/check.h"

namespace mill::net {

uint64_t random_bits() {
  // OpenSSL's generator, seeded by the operating system, by the handful.
  thread_local std::array<uint64_t, 64> drawn;
  thread_local size_t left = 0;
  if (left == 0) {
    MILL_CHECK(RAND_bytes(reinterpret_cast<unsigned char*>(drawn.data()), sizeof drawn) == 1);
    left = drawn.size();
  }
  return std::exchange(drawn[--left], 0);
}

RequestId new_request_id() {
  return fmt::format("req_{:016x}{:016x}", random_bits(), random_bits());
}

bool is_sane_request_id(std::string_view id) {
  const auto sane = [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
           c == '-';
  };
  return !id.empty() && id.size() <= 128 && std::all_of(id.begin(), id.end(), sane);
}

}  // namespace mill::net
