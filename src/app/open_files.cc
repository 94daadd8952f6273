#include "app/open_files.h"

#include <fmt/format.h>
#include <sys/resource.h>

#include <limits>

namespace mill::app {
namespace {

// 64 connections too many that are told so, and 64 for models, threads' event queues and logs.
constexpr int64_t kBesides = 128;

int64_t counted(rlim_t limit) {
  constexpr int64_t kMost = std::numeric_limits<int64_t>::max();
  return limit == RLIM_INFINITY || limit > static_cast<rlim_t>(kMost) ? kMost
                                                                      : static_cast<int64_t>(limit);
}

}  // namespace

int64_t raise_open_file_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return 0;
  rlimit raised = limit;
  raised.rlim_cur = raised.rlim_max;
  if (::setrlimit(RLIMIT_NOFILE, &raised) == 0) limit = raised;
  return counted(limit.rlim_cur);
}

std::string open_file_warning(int64_t limit, int64_t connections) {
  if (limit >= connections + kBesides) return "";
  return fmt::format(
      "{} connections need about {} open files, and this process may have {}: raise the limit "
      "(ulimit -n, LimitNOFILE=) or lower --max-connections",
      connections, connections + kBesides, limit);
}

}  // namespace mill::app
