// Bytes of numbers and texts, each in exactly one way: LEB128 integers without needless bytes,
// zigzag for signed ones, texts behind their length.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace mill::ledger {

class ByteWriter {
 public:
  explicit ByteWriter(std::string& out) : out_(out) {}
  void byte(uint8_t value) { out_ += static_cast<char>(value); }
  void number(uint64_t value) {
    char buffer[10];
    int count = 0;
    for (; value >= 0x80; value >>= 7) buffer[count++] = static_cast<char>(value | 0x80);
    buffer[count++] = static_cast<char>(value);
    out_.append(buffer, static_cast<size_t>(count));
  }
  void count(int64_t value) { number(static_cast<uint64_t>(value)); }  // Requires: not negative
  void integer(int64_t value) {
    number(static_cast<uint64_t>(value) << 1 ^ static_cast<uint64_t>(value >> 63));
  }
  void raw(const void* bytes, size_t size) { out_.append(static_cast<const char*>(bytes), size); }
  void text(std::string_view value) {
    number(value.size());
    out_.append(value);
  }

 private:
  std::string& out_;
};

// Reads what ByteWriter wrote. After the first thing that is not, `good()` is false and all further
// values are zero.
class ByteReader {
 public:
  explicit ByteReader(std::string_view bytes) : bytes_(bytes) {}
  bool good() const { return good_; }
  bool at_end() const { return good_ && bytes_.empty(); }
  uint8_t byte() {
    if (!good_ || bytes_.empty()) return bad();
    const auto value = static_cast<uint8_t>(bytes_[0]);
    bytes_.remove_prefix(1);
    return value;
  }
  uint64_t number() {
    uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      const uint8_t next = byte();
      if (!good_) return 0;
      if (shift == 63 && next > 1) return bad();
      value |= static_cast<uint64_t>(next & 0x7F) << shift;
      if (next < 0x80) return next == 0 && shift > 0 ? bad() : value;
    }
    return bad();
  }
  int64_t count() {
    const uint64_t value = number();
    return value > INT64_MAX ? bad() : static_cast<int64_t>(value);
  }
  int64_t integer() {
    const uint64_t value = number();
    return static_cast<int64_t>(value >> 1 ^ (0 - (value & 1)));
  }
  void raw(void* out, size_t size) {
    if (!good_ || bytes_.size() < size) {
      bad();
      return;
    }
    bytes_.copy(static_cast<char*>(out), size);
    bytes_.remove_prefix(size);
  }
  // A view into the bytes.
  std::string_view text(size_t longest) {
    const uint64_t size = number();
    if (!good_ || size > longest || size > bytes_.size()) {
      bad();
      return {};
    }
    const std::string_view value = bytes_.substr(0, size);
    bytes_.remove_prefix(size);
    return value;
  }

 private:
  uint8_t bad() {
    good_ = false;
    bytes_ = {};
    return 0;
  }
  std::string_view bytes_;
  bool good_ = true;
};

}  // namespace mill::ledger
