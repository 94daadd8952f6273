#include "net/request_id.h"

#include <fmt/format.h>

#include <algorithm>
#include <random>

namespace mill::net {

uint64_t random_bits() {
  // The operating system's generator; the object only holds its handle.
  thread_local std::random_device source;
  return uint64_t{source()} << 32 | source();
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
