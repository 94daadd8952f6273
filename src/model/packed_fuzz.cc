// libFuzzer target: any bytes as the head of a file of packed weights. Whatever is accepted is what
// encode() writes, and its tensors lie within the file that it was said to be of.
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

#include "base/check.h"
#include "model/packed_checksum.h"
#include "model/packed_head.h"

namespace mill::model {
namespace {

void decode(std::span<const std::byte> bytes, uint64_t file_bytes) {
  const auto head = decode_packed_head(bytes, file_bytes);
  if (!head) {
    MILL_CHECK(!head.error().message.empty());
    return;
  }
  MILL_CHECK(head->file_bytes() == file_bytes);
  const std::vector<uint64_t> offsets = head->offsets();
  for (size_t i = 0; i < head->tensors.size(); ++i) {
    MILL_CHECK(head->tensors[i].bytes <= offsets[i + 1] - offsets[i]);
    MILL_CHECK(offsets[i + 1] <= file_bytes - head->data_begin());
  }
  const std::vector<std::byte> again = encode(*head);
  MILL_CHECK(again.size() <= bytes.size() && std::ranges::equal(again, bytes.first(again.size())));
  MILL_CHECK(difference(*head, *head).empty());
}

}  // namespace

// As it is, and with the checksum and the sizes made right, which no chance would.
void fuzz(std::span<const std::byte> input) {
  decode(input, input.size());
  if (input.size() < packed_head_bytes(0)) return;
  std::vector<std::byte> bytes(input.begin(), input.end());
  uint32_t count = 0;
  std::memcpy(&count, bytes.data() + 12, sizeof count);
  if (count > PackedHead::kMostTensors || packed_head_bytes(count) > bytes.size()) return;
  uint64_t file_bytes = 0;
  std::memcpy(&file_bytes, bytes.data() + 16, sizeof file_bytes);
  const size_t end = packed_head_bytes(count) - sizeof(uint64_t);
  const uint64_t sum = checksum(std::span(bytes).first(end));
  std::memcpy(bytes.data() + end, &sum, sizeof sum);
  decode(bytes, file_bytes);
}

}  // namespace mill::model

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  mill::model::fuzz(std::as_bytes(std::span(data, size)));
  return 0;
}
