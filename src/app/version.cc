#include "app/version.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <vector>

#include "app/heap.h"
#include "tensor/backend.h"
#include "version_stamp.h"

namespace mill::app {
namespace {

#if defined(__clang__)
constexpr const char* kCompiler = "clang " __clang_version__;
#elif defined(__GNUC__)
constexpr const char* kCompiler = "gcc " __VERSION__;
#else
constexpr const char* kCompiler = "an unknown compiler";
#endif

#if defined(__x86_64__)
constexpr const char* kCompiledPaths = "amx, avx512 (VNNI), avx2, scalar";
#else
constexpr const char* kCompiledPaths = "scalar";
#endif

}  // namespace

std::string version_number() {
  return MILL_VERSION;
}

std::string version_text() {
  const std::vector<std::string_view> usable = tensor::backend_names();
  return fmt::format(
      "tokenmill {} (commit {})\ncompiler: {}, {} build\n"
      "kernels: {} compiled in; this machine runs {}; {} is chosen\n"
      "allocator: {}\n",
      MILL_VERSION, MILL_COMMIT, kCompiler, MILL_BUILD_TYPE, kCompiledPaths,
      fmt::join(usable, ", "), usable.front(),
      allocator_name());
}

}  // namespace mill::app
