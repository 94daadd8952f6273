#include "app/version.h"

#include <fmt/format.h>

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

}  // namespace

std::string version_number() {
  return MILL_VERSION;
}

std::string version_text() {
  return fmt::format("tokenmill {} (commit {})\ncompiler: {}, {} build\n", MILL_VERSION,
                     MILL_COMMIT, kCompiler, MILL_BUILD_TYPE);
}

}  // namespace mill::app
