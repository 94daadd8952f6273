#include "model/packed_checksum.h"

#include <xxhash.h>

#include <vector>

namespace mill::model {

uint64_t checksum(std::span<const std::byte> bytes) {
  return XXH3_64bits(bytes.data(), bytes.size());
}

uint64_t joined_checksum(std::span<const uint64_t> pieces) {
  std::vector<std::byte> bytes;
  bytes.reserve(pieces.size() * sizeof(uint64_t));
  for (const uint64_t piece : pieces) {
    for (int i = 0; i < 8; ++i) bytes.push_back(static_cast<std::byte>(piece >> (8 * i)));
  }
  return checksum(bytes);
}

}  // namespace mill::model
