// Reads the bytes of a GGUF file into a Gguf, trusting none of them. Used by gguf.cc only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "base/result.h"
#include "model/gguf.h"

namespace mill::model {

// "u32", "string", …
std::string_view name(GgufType type);

class GgufParser {
 public:
  explicit GgufParser(std::span<const std::byte> bytes) : bytes_(bytes) { gguf_.bytes_ = bytes; }

  // Once only.
  Result<Gguf> run();

 private:
  uint64_t remaining() const { return bytes_.size() - at_; }

  // The next sizeof(T) bytes, or kCorrupt: the file ends in `what`.
  template <class T>
  Result<T> read(std::string_view what);
  // A string of at most `limit` bytes.
  Result<std::string_view> read_string(std::string_view what, uint64_t limit);

  Status read_header();
  Status read_value(uint64_t index);
  // Moves past `value.count` elements and sets value.bytes.
  Status skip_elements(GgufValue& value);
  Status index_values();
  Status read_alignment();
  Status refuse_split();
  Status read_tensor(uint64_t index);
  Status read_shape(GgufTensor& tensor);
  Status index_tensors();
  Status check_places();

  std::span<const std::byte> bytes_;
  uint64_t at_ = 0;  // <= bytes_.size()
  uint64_t tensor_count_ = 0;
  uint64_t value_count_ = 0;
  std::vector<uint64_t> offsets_;  // [tensors], from the start of the data section
  Gguf gguf_;
};

}  // namespace mill::model
