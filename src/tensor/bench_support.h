// What the benches of this room share.
#pragma once

#include <fmt/format.h>

#include <cstdio>
#include <ctime>
#include <map>
#include <memory>
#include <string>

#include "base/clock.h"
#include "tensor/backend.h"

namespace mill::tensor {

// "--name value" pairs, by name.
inline std::map<std::string, std::string> flags_of(int count, char** words) {
  std::map<std::string, std::string> given;
  for (int i = 1; i + 1 < count; i += 2) given[words[i]] = words[i + 1];
  return given;
}

// Seconds since some moment; with cpu_clock, only those that this process spent on a core.
inline double bench_seconds(bool cpu_clock) {
  if (cpu_clock) return static_cast<double>(std::clock()) / CLOCKS_PER_SEC;
  return to_seconds(now().time_since_epoch());
}

// Null where there is none, which is then said.
inline std::unique_ptr<Backend> backend_to_bench(const std::string& path) {
  auto backend = make_backend(path);
  if (backend) return std::move(*backend);
  fmt::print(stderr, "{}\n", backend.error().message);
  return nullptr;
}

}  // namespace mill::tensor
