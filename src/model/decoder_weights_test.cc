#include "model/decoder_weights.h"

#include <gtest/gtest.h>

#include <cstring>
#include <random>

namespace mill::model {
namespace {

// A weight of 20 MB or so takes several pieces; the last one is odd.
TEST(PackedInPieces, IsPackedAsAWhole) {
  std::mt19937 random(5);
  std::vector<uint32_t> words(22 << 18);  // 22 MiB of any numbers
  for (uint32_t& word : words) word = static_cast<uint32_t>(random());
  const auto* bytes = reinterpret_cast<const std::byte*>(words.data());
  tensor::ThreadPool pool(2);
  constexpr int64_t kCols = 256;
  constexpr tensor::DType kTypes[] = {tensor::DType::kF32,  tensor::DType::kF16,
                                      tensor::DType::kQ4_0, tensor::DType::kQ8_0,
                                      tensor::DType::kQ4_K, tensor::DType::kQ6_K};
  for (const std::string_view name : tensor::backend_names()) {
    const auto backend = tensor::make_backend(name);
    ASSERT_TRUE(backend);
    for (const tensor::DType dtype : kTypes) {
      SCOPED_TRACE(std::string(name) + " " + std::string(tensor::name(dtype)));
      const size_t row = tensor::row_bytes(dtype, kCols);
      const auto rows = static_cast<int64_t>((size_t{20} << 20) / row + 77);
      ASSERT_LE(static_cast<size_t>(rows) * row, words.size() * 4);
      const tensor::Weight whole{dtype, rows, kCols, bytes};
      const size_t size = (*backend)->packed_bytes(whole);
      auto one = tensor::Arena::reserve(size);
      auto two = tensor::Arena::reserve(size);
      ASSERT_TRUE(one && two);
      const std::span<std::byte> at_once = one->take(size);
      const std::span<std::byte> by_pieces = two->take(size);
      pool.run([&](tensor::Team& team) { (*backend)->pack(team, whole, at_once); });
      size_t made = 0;
      int pieces = 0;
      for (int64_t first = 0; first < rows; ++pieces) {
        const tensor::Weight piece = piece_of(whole, first);
        pool.run(
            [&](tensor::Team& team) { (*backend)->pack(team, piece, by_pieces.subspan(made)); });
        made += (*backend)->packed_bytes(piece);
        first += piece.rows;
      }
      EXPECT_EQ(made, size);
      EXPECT_GE(pieces, 3);
      EXPECT_EQ(std::memcmp(at_once.data(), by_pieces.data(), size), 0);
    }
  }
}

}  // namespace
}  // namespace mill::model
