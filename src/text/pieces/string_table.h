// Many short strings in one block, by number.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace mill::text {

class StringTable {
 public:
  void reserve(size_t strings) { begins_.reserve(strings + 1); }
  void add(std::string_view string) {
    bytes_.append(string);
    begins_.push_back(bytes_.size());
  }
  std::string_view operator[](size_t i) const {
    return std::string_view(bytes_).substr(begins_[i], begins_[i + 1] - begins_[i]);
  }
  size_t size() const { return begins_.size() - 1; }

 private:
  std::string bytes_;
  std::vector<uint64_t> begins_{0};
};

}  // namespace mill::text
