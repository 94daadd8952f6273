// Writes GGUF files, good ones and bad ones, for tests and for the fuzzer's seeds. Nothing outside
// tests includes this.
#pragma once

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "model/gguf.h"

namespace mill::model {

// Little-endian bytes, one after another.
class ByteWriter {
 public:
  template <class T>
  requires std::is_arithmetic_v<T> ByteWriter& put(T value) {
    const size_t at = bytes_.size();
    bytes_.resize(at + sizeof value);
    std::memcpy(bytes_.data() + at, &value, sizeof value);
    return *this;
  }
  ByteWriter& put(std::span<const std::byte> bytes) {
    bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
    return *this;
  }
  ByteWriter& raw(std::string_view text) { return put(std::as_bytes(std::span(text))); }
  ByteWriter& string(std::string_view text) { return put(uint64_t{text.size()}).raw(text); }
  ByteWriter& pad_to(uint64_t alignment) {
    while (bytes_.size() % alignment != 0) bytes_.push_back({});
    return *this;
  }
  size_t size() const { return bytes_.size(); }
  std::vector<std::byte> take() { return std::move(bytes_); }
  std::span<const std::byte> bytes() const { return bytes_; }

 private:
  std::vector<std::byte> bytes_;
};

class GgufBuilder {
 public:
  struct Tensor {
    std::string name;
    std::vector<uint64_t> shape;  // in the file's order: shape[0] runs fastest
    uint32_t type = 0;
    std::vector<std::byte> data;
    std::optional<uint64_t> offset;  // instead of the right one
  };

  // Public, so that a test can spoil them.
  std::string magic = "GGUF";
  uint32_t version = 3;
  uint64_t alignment = 32;               // of the layout; writes no general.alignment
  std::optional<uint64_t> tensor_count;  // instead of the right one
  std::optional<uint64_t> value_count;   // instead of the right one
  std::vector<Tensor> tensors;

  template <class T>
  requires std::is_arithmetic_v<T> GgufBuilder& set(std::string_view key, T value) {
    return set_raw(key, type_of<T>(), ByteWriter().put(stored(value)).bytes());
  }
  GgufBuilder& set(std::string_view key, std::string_view text) {
    return set_raw(key, GgufType::kString, ByteWriter().string(text).bytes());
  }
  GgufBuilder& set(std::string_view key, const char* text) {
    return set(key, std::string_view(text));
  }
  template <class T>
  GgufBuilder& set(std::string_view key, const std::vector<T>& elements) {
    ByteWriter out;
    if constexpr (std::is_arithmetic_v<T>) {
      array_head(out, type_of<T>(), elements.size());
      for (const T element : elements) out.put(stored(element));
    } else {
      array_head(out, GgufType::kString, elements.size());
      for (const auto& element : elements) out.string(element);
    }
    return set_raw(key, GgufType::kArray, out.bytes());
  }
  // Any bytes as the value. A key that is there already gets the new value.
  GgufBuilder& set_raw(std::string_view key, GgufType type, std::span<const std::byte> bytes) {
    return erase(key).append(key, type, bytes);
  }
  // As set_raw, but a key that is there already is then there twice.
  GgufBuilder& append(std::string_view key, GgufType type, std::span<const std::byte> bytes) {
    values_.push_back(
        {std::string(key),
         ByteWriter().string(key).put(static_cast<uint32_t>(type)).put(bytes).take()});
    return *this;
  }
  GgufBuilder& erase(std::string_view key) {
    std::erase_if(values_, [&](const auto& value) { return value.first == key; });
    return *this;
  }

  GgufBuilder& add(std::string_view name, tensor::DType dtype, std::vector<uint64_t> shape,
                   std::vector<std::byte> data) {
    tensors.push_back(
        {std::string(name), std::move(shape), static_cast<uint32_t>(dtype), std::move(data), {}});
    return *this;
  }
  GgufBuilder& add(std::string_view name, std::vector<uint64_t> shape,
                   std::span<const float> data) {
    const auto bytes = std::as_bytes(data);
    return add(name, tensor::DType::kF32, std::move(shape), {bytes.begin(), bytes.end()});
  }
  // All zero bytes, as many as dtype and shape need.
  GgufBuilder& add_zeros(std::string_view name, std::vector<uint64_t> shape,
                         tensor::DType dtype = tensor::DType::kF32) {
    auto bytes = static_cast<uint64_t>(tensor::row_bytes(dtype, static_cast<int64_t>(shape.at(0))));
    for (size_t i = 1; i < shape.size(); ++i) bytes *= shape[i];
    return add(name, dtype, std::move(shape), std::vector<std::byte>(bytes));
  }
  // The tensor of that name.  Requires: it is there.
  Tensor& tensor(std::string_view name) {
    for (Tensor& tensor : tensors)
      if (tensor.name == name) return tensor;
    std::abort();
  }

  std::vector<std::byte> build() const {
    ByteWriter out;
    out.raw(magic).put(version);
    out.put(tensor_count.value_or(tensors.size())).put(value_count.value_or(values_.size()));
    for (const auto& value : values_) out.put(value.second);
    uint64_t offset = 0;
    for (const Tensor& tensor : tensors) {
      out.string(tensor.name).put(static_cast<uint32_t>(tensor.shape.size()));
      for (const uint64_t size : tensor.shape) out.put(size);
      out.put(tensor.type).put(tensor.offset.value_or(offset));
      offset += (tensor.data.size() + alignment - 1) / alignment * alignment;
    }
    for (const Tensor& tensor : tensors) out.pad_to(alignment).put(tensor.data);
    return out.take();
  }

  template <class T>
  static constexpr GgufType type_of() {
    if constexpr (std::same_as<T, bool>) return GgufType::kBool;
    if constexpr (std::same_as<T, float>) return GgufType::kF32;
    if constexpr (std::same_as<T, double>) return GgufType::kF64;
    if constexpr (std::integral<T>) {
      constexpr GgufType kTypes[2][4] = {
          {GgufType::kU8, GgufType::kU16, GgufType::kU32, GgufType::kU64},
          {GgufType::kI8, GgufType::kI16, GgufType::kI32, GgufType::kI64}};
      return kTypes[std::signed_integral<T>][std::bit_width(sizeof(T)) - 1];
    }
  }

 private:
  template <class T>
  static auto stored(T value) {
    if constexpr (std::same_as<T, bool>) {
      return static_cast<uint8_t>(value);
    } else {
      return value;
    }
  }
  static void array_head(ByteWriter& out, GgufType type, uint64_t count) {
    out.put(static_cast<uint32_t>(type)).put(count);
  }

  std::vector<std::pair<std::string, std::vector<std::byte>>> values_;
};

}  // namespace mill::model
