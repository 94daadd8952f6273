// Scratch memory of the threads of a team.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>

namespace mill::tensor {

// Room that a thread keeps from call to call. Contents are lost when it grows.
class ThreadRoom {
 public:
  std::byte* at_least(int64_t bytes) {
    if (bytes > bytes_) {
      room_.reset(static_cast<std::byte*>(
          ::operator new (static_cast<size_t>(bytes), std::align_val_t{kAlign})));
      bytes_ = bytes;
    }
    return room_.get();
  }

 private:
  static constexpr size_t kAlign = 64;
  struct Free {
    void operator()(std::byte* p) const { ::operator delete (p, std::align_val_t{kAlign}); }
  };
  std::unique_ptr<std::byte, Free> room_;
  int64_t bytes_ = 0;
};

inline ThreadRoom& thread_room() {
  thread_local ThreadRoom room;
  return room;
}

}  // namespace mill::tensor
