// Errors as values: every call that the outside world can make fail returns a Result.
//
// The world's faults (bad input, full disk, a client that left) are Errors. Our own faults are MILL_CHECK (check.h). No exception
// crosses a folder.
#pragma once

#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <utility>

namespace mill {

enum class Code {
  kInvalid,      // the caller's input is wrong; `param` names the field where there is one
  kNotFound,     // no such model, file, route
  kUnsupported,  // understood, and not built
  kTooLarge,     // over an explicit limit
  kCorrupt,      // a file that breaks its format
  kPermission,   // the system or a policy said no
  kIo,           // a file or socket failed
  kOverloaded,   // no room at present: try again
  kDeadline,     // ran out of time
  kCancelled,    // whoever asked has left
  kInternal,     // our own fault, contained
};

// The stable lower-case word for a code, for logs and tests ("invalid", "not_found", …).
std::string_view name(Code code);

struct Error {
  Code code = Code::kInternal;
  std::string message;  // one sentence for a person: what is wrong, and what to do
  std::string param;    // the field, flag or tensor that is at fault; empty when none is
};

template <class T>
class [[nodiscard]] Result : public tl::expected<T, Error> {
 public:
  using tl::expected<T, Error>::expected;
};
using Status = Result<void>;

// An error to return:  return fail(Code::kInvalid, "temperature must be in [0, 2]", "temperature");
inline tl::unexpected<Error> fail(Code code, std::string message, std::string param = {}) {
  return tl::unexpected<Error>(Error{code, std::move(message), std::move(param)});
}
inline tl::unexpected<Error> fail(Error error) { return tl::unexpected<Error>(std::move(error)); }

}  // namespace mill

#define MILL_CONCAT_INNER(a, b) a##b
#define MILL_CONCAT(a, b) MILL_CONCAT_INNER(a, b)

// MILL_TRY(const Config config, load(path));  declares `config`, or returns load's error from this function.
#define MILL_TRY(declaration, ...)                                                           \
  auto MILL_CONCAT(mill_try_, __LINE__) = (__VA_ARGS__);                                     \
  if (!MILL_CONCAT(mill_try_, __LINE__))                                                     \
    return ::mill::fail(std::move(MILL_CONCAT(mill_try_, __LINE__)).error());                \
  declaration = std::move(*MILL_CONCAT(mill_try_, __LINE__))

// MILL_TRY_DO(write(path));  returns the error, if any.
#define MILL_TRY_DO(...)                                                                     \
  do {                                                                                       \
    auto MILL_CONCAT(mill_try_, __LINE__) = (__VA_ARGS__);                                   \
    if (!MILL_CONCAT(mill_try_, __LINE__))                                                   \
      return ::mill::fail(std::move(MILL_CONCAT(mill_try_, __LINE__)).error());              \
  } while (false)

// The same two inside a coroutine.
#define MILL_CO_TRY(declaration, ...)                                                        \
  auto MILL_CONCAT(mill_try_, __LINE__) = (__VA_ARGS__);                                     \
  if (!MILL_CONCAT(mill_try_, __LINE__))                                                     \
    co_return ::mill::fail(std::move(MILL_CONCAT(mill_try_, __LINE__)).error());             \
  declaration = std::move(*MILL_CONCAT(mill_try_, __LINE__))
#define MILL_CO_TRY_DO(...)                                                                  \
  do {                                                                                       \
    auto MILL_CONCAT(mill_try_, __LINE__) = (__VA_ARGS__);                                   \
    if (!MILL_CONCAT(mill_try_, __LINE__))                                                   \
      co_return ::mill::fail(std::move(MILL_CONCAT(mill_try_, __LINE__)).error());           \
  } while (false)
