// One large piece of memory, in huge pages where the system gives them, touched only as far as it is used.
#pragma once

#include <cstddef>
#include <span>

#include "base/result.h"

namespace mill::tensor {

class Arena {
 public:
  // Reserves `bytes` of zeroed address space. Fails with kOverloaded when the system has not so much.
  static Result<Arena> reserve(size_t bytes);
  Arena() = default;
  Arena(Arena&& other) noexcept;
  Arena& operator=(Arena&& other) noexcept;
  ~Arena();

  // The next `bytes`, aligned to 64.  Requires: they are left.
  std::span<std::byte> take(size_t bytes);
  template <class T>
  T* take_array(size_t count) {
    return reinterpret_cast<T*>(take(count * sizeof(T)).data());
  }
  static constexpr size_t rounded(size_t bytes) { return (bytes + 63) / 64 * 64; }  // what take(bytes) uses up

  std::byte* data() const { return data_; }
  size_t size() const { return size_; }
  size_t used() const { return used_; }

 private:
  std::byte* data_ = nullptr;
  size_t size_ = 0;
  size_t used_ = 0;
};

}  // namespace mill::tensor
