#include "tensor/arena.h"

#include <sys/mman.h>

#include <utility>

#include "base/check.h"

namespace mill::tensor {
namespace {
constexpr size_t kHugePage = size_t{2} << 20;
}

Result<Arena> Arena::reserve(size_t bytes) {
  Arena arena;
  arena.size_ = (bytes / kHugePage + 1) * kHugePage;
  void* data = ::mmap(nullptr, arena.size_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (data == MAP_FAILED) {
    const size_t mib = arena.size_ >> 20;
    arena.size_ = 0;
    return fail(Code::kOverloaded, "the system refused " + std::to_string(mib) + " MiB of memory");
  }
  // Advice only: a system without huge pages serves small ones.
  [[maybe_unused]] const int advised = ::madvise(data, arena.size_, MADV_HUGEPAGE);
  arena.data_ = static_cast<std::byte*>(data);
  return arena;
}

Arena::Arena(Arena&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)), used_(std::exchange(other.used_, 0)) {}

Arena& Arena::operator=(Arena&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  std::swap(used_, other.used_);
  return *this;
}

Arena::~Arena() {
  if (data_) ::munmap(data_, size_);
}

std::span<std::byte> Arena::take(size_t bytes) {
  const size_t room = rounded(bytes);
  MILL_CHECK(room <= size_ - used_);
  const std::span<std::byte> taken(data_ + used_, bytes);
  used_ += room;
  return taken;
}

}  // namespace mill::tensor
