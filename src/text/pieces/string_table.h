// Many short strings in one block, by number: a vocabulary is a hundred thousand of them, and as
// blocks of the heap they would take several times their bytes.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace mill::text {

class StringTable {
 public:
  static constexpr size_t kMaxBytes = UINT32_MAX;  // of all strings together

  StringTable() = default;
  StringTable(std::initializer_list<std::string_view> strings) { append(strings); }
  explicit StringTable(std::span<const std::string> strings) { append(strings); }

  // Room for so many strings, of so many bytes together, and no more.
  void reserve(size_t strings, size_t bytes) {
    begins_.reserve(strings + 1);
    bytes_.reserve(bytes);
  }
  // Requires: with it the strings are of kMaxBytes at most.
  void add(std::string_view string) {
    bytes_.append(string);
    begins_.push_back(static_cast<uint32_t>(bytes_.size()));
  }
  template <class Strings>
  void append(const Strings& strings) {
    for (const auto& string : strings) add(string);
  }

  // Valid until the table changes.  Requires: i < size().
  std::string_view operator[](size_t i) const {
    return {bytes_.data() + begins_[i], begins_[i + 1] - begins_[i]};
  }
  size_t size() const { return begins_.size() - 1; }
  bool empty() const { return size() == 0; }
  size_t bytes() const { return bytes_.size(); }  // of all strings together

 private:
  std::string bytes_;
  std::vector<uint32_t> begins_{0};
};

}  // namespace mill::text
