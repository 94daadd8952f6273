// Packed weights are kept on disks under the name of their order (Backend::layout). Whoever changes
// what pack writes changes that name, and then the sums here.
#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "tensor/arena.h"
#include "tensor/backend.h"

namespace mill::tensor {
namespace {

// FNV-1a.
uint64_t sum_of(std::span<const std::byte> bytes) {
  uint64_t sum = 0xcbf29ce484222325;
  for (const std::byte byte : bytes) sum = (sum ^ static_cast<uint64_t>(byte)) * 0x100000001b3;
  return sum;
}

// Of 75 rows of 512 weights, whose bytes are below 64, so that no scale is infinite.
uint64_t packed_sum(const Backend& backend, DType dtype) {
  constexpr int64_t kRows = 75, kCols = 512;
  std::vector<std::byte> stored(static_cast<size_t>(kRows * row_bytes(dtype, kCols)));
  uint32_t state = 20261129;
  for (std::byte& byte : stored) {
    state = state * 1664525 + 1013904223;
    byte = static_cast<std::byte>(state >> 26);
  }
  const Weight weight{dtype, kRows, kCols, stored.data()};
  Arena arena = std::move(*Arena::reserve(backend.packed_bytes(weight)));
  const std::span<std::byte> room = arena.take(backend.packed_bytes(weight));
  ThreadPool pool(2);
  PackedMatrix packed;
  pool.run([&](Team& team) {
    const PackedMatrix mine = backend.pack(team, weight, room);
    if (team.index() == 0) packed = mine;
  });
  const PackedMatrix again = backend.packed(weight, room);
  EXPECT_EQ(again.rows, packed.rows);
  EXPECT_EQ(again.cols, packed.cols);
  EXPECT_EQ(again.format, packed.format);
  EXPECT_EQ(again.data, packed.data);
  EXPECT_EQ(again.bytes, packed.bytes);
  return sum_of(room);
}

const std::map<std::string, std::map<std::string, uint64_t>> kSums = {
    // SUMS
};

TEST(LayoutTest, TheBytesOfAnOrderNeverChange) {
  for (const std::string_view name : backend_names()) {
    const auto backend = std::move(*make_backend(name));
    ASSERT_LE(backend->layout().size(), 15u);
    const auto sums = kSums.find(std::string(backend->layout()));
    ASSERT_NE(sums, kSums.end()) << backend->layout() << " is new: give its sums here";
    for (const DType dtype : kAllDTypes) {
      const auto sum = sums->second.find(std::string(tensor::name(dtype)));
      const uint64_t found = packed_sum(*backend, dtype);
      ASSERT_NE(sum, sums->second.end()) << tensor::name(dtype) << " is new: its sum is " << found;
      EXPECT_EQ(sum->second, found)
          << name << " packs " << tensor::name(dtype) << " otherwise than before: call the order "
          << "something else than " << backend->layout();
    }
  }
}

}  // namespace
}  // namespace mill::tensor
