// Packed weights are kept on disks under the name of their order (Backend::layout). Whoever changes
// what pack writes changes that name, and then the sums here.
#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <span>
#include <string>
#include <string_view>
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
    {"panel32-1",
     {{"F32", 0x334c6048c99ebea1},
      {"F16", 0x358b9828d16f6dd5},
      {"BF16", 0x358b9828d16f6dd5},
      {"Q4_0", 0x365011931c482ef1},
      {"Q4_1", 0xb04efdfafb3e049b},
      {"Q5_0", 0xdad54b6afe2e8733},
      {"Q5_1", 0xc087629a8ce791f7},
      {"Q8_0", 0x47220b60b758b5cf},
      {"Q2_K", 0xa47df68c1872f185},
      {"Q3_K", 0x7df34da35376a7b8},
      {"Q4_K", 0x5374e7a06b96f734},
      {"Q5_K", 0xbe40015688e8cee4},
      {"Q6_K", 0x163d0a30062dccc0},
      {"IQ4_NL", 0x365011931c482ef1},
      {"IQ4_XS", 0x6b1f76beb209efc9}}},
    {"rows-f32-1",
     {{"F32", 0x37359683d0548781},
      {"F16", 0x897c30c14a7f6a88},
      {"BF16", 0x4250b08fea4ee1c5},
      {"Q4_0", 0x2b3d33003a944258},
      {"Q4_1", 0xc32227c1ad15008b},
      {"Q5_0", 0x18336ee98b86936f},
      {"Q5_1", 0x9501ccd06cf8fe09},
      {"Q8_0", 0x3150529589198831},
      {"Q2_K", 0x04a6e87ceb2ba7d5},
      {"Q3_K", 0x3b698fc488bfad52},
      {"Q4_K", 0x67fbf20ac4d00250},
      {"Q5_K", 0x807731824c6ca6bc},
      {"Q6_K", 0xc321b2d7e5e1555f},
      {"IQ4_NL", 0x261b30906c99621e},
      {"IQ4_XS", 0x702fc5759cad878e}}},
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
