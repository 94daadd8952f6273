// Checksums of packed weights: XXH3 with 64 bits (xxhash.com, version 0.8). They find what a disk
// breaks, not what somebody forges.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/result.h"

namespace mill::model {

// A tensor is read and summed in pieces of this size, so that several threads can share one. It is
// the size of a huge page, of which no two threads should make the same.
inline constexpr uint64_t kSumPiece = uint64_t{2} << 20;

uint64_t checksum(std::span<const std::byte> bytes);

// The checksum of a tensor from those of its pieces: of their numbers, 8 bytes each, little-endian.
uint64_t joined_checksum(std::span<const uint64_t> pieces);

}  // namespace mill::model
