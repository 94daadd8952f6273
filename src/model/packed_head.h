// The head of a file of packed weights (docs/formats/packed.md): whose weights they are, in which
// order, and the checksum of each. Bytes from anywhere may be decoded.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "tensor/dtype.h"

namespace mill::model {

// Of the file that the weights were packed from (packed_cache.h).
using ModelIdentity = std::array<std::byte, 16>;

struct PackedTensor {
  std::string name;  // of the model file's tensor, 1 to 63 printable bytes
  tensor::DType dtype = tensor::DType::kF32;
  int64_t rows = 0;
  int64_t cols = 0;
  uint64_t bytes = 0;     // packed
  uint64_t checksum = 0;  // packed_checksum.h, of all of them

  friend bool operator==(const PackedTensor&, const PackedTensor&) = default;
};

struct PackedHead {
  static constexpr std::string_view kMagic = "MILLPACK";
  static constexpr uint32_t kVersion = 1;
  static constexpr size_t kMostTensors = 1 << 16;
  static constexpr size_t kMostLayout = 15;  // bytes of its name
  static constexpr size_t kMostName = 63;
  static constexpr uint64_t kDataAlign = 4096;  // of the first tensor in the file; of the next 64

  ModelIdentity identity = {};
  std::string layout;                 // tensor::Backend::layout()
  std::vector<PackedTensor> tensors;  // in the order of their bytes

  // Where a tensor's bytes begin, from the first one's on; one more entry is where the last ends,
  // rounded up like the others: the bytes of all.
  std::vector<uint64_t> offsets() const;
  uint64_t data_begin() const;  // of the first tensor in the file
  uint64_t file_bytes() const;

  friend bool operator==(const PackedHead&, const PackedHead&) = default;
};

// Bytes of a head of so many tensors, without what is between it and the first of them.
size_t packed_head_bytes(size_t tensors);

// Requires: the limits of PackedHead; the bytes of all tensors together are less than 2^62.
std::vector<std::byte> encode(const PackedHead& head);

// `begin`: the first bytes of a file of `file_bytes`; more than the head is ignored. kCorrupt with
// what is wrong, when they are no whole head that fits such a file, or of another version.
Result<PackedHead> decode_packed_head(std::span<const std::byte> begin, uint64_t file_bytes);

// What `found` differs in from what is `wanted`, checksums left aside, as the end of a sentence
// that begins with the file's name; "" when in nothing.
std::string difference(const PackedHead& wanted, const PackedHead& found);

}  // namespace mill::model
