#include "model/gguf.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstring>
#include <limits>
#include <type_traits>

#include "base/check.h"
#include "model/gguf_parser.h"

namespace mill::model {
namespace {

template <class T>
T load(const std::byte* at) {
  T value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

// Walks the elements of a value.
class Cursor {
 public:
  explicit Cursor(const GgufValue& value) : type_(value.type), at_(value.bytes.data()) {}

  // True when the element's type and value fit T.
  template <class T>
  bool next(T& out) {
    switch (type_) {
      case GgufType::kU8:
        return take<uint8_t>(out);
      case GgufType::kI8:
        return take<int8_t>(out);
      case GgufType::kU16:
        return take<uint16_t>(out);
      case GgufType::kI16:
        return take<int16_t>(out);
      case GgufType::kU32:
        return take<uint32_t>(out);
      case GgufType::kI32:
        return take<int32_t>(out);
      case GgufType::kU64:
        return take<uint64_t>(out);
      case GgufType::kI64:
        return take<int64_t>(out);
      case GgufType::kF32:
        return take<float>(out);
      case GgufType::kF64:
        return take<double>(out);
      case GgufType::kBool:
        return take_bool(out);
      case GgufType::kString:
        return take_string(out);
      case GgufType::kArray:
        break;
    }
    return false;
  }

 private:
  template <class Stored, class T>
  bool take(T& out) {
    const auto stored = load<Stored>(at_);
    at_ += sizeof(Stored);
    if constexpr (std::integral<Stored> && std::integral<T> && !std::same_as<T, bool>) {
      if (!std::in_range<T>(stored)) return false;
      out = static_cast<T>(stored);
      return true;
    } else if constexpr (std::floating_point<Stored> && std::floating_point<T>) {
      if (std::isfinite(stored) && std::abs(stored) > std::numeric_limits<T>::max()) return false;
      out = static_cast<T>(stored);
      return true;
    } else {
      return false;
    }
  }

  template <class T>
  bool take_bool(T& out) {
    const bool stored = load<uint8_t>(at_++) != 0;
    if constexpr (std::same_as<T, bool>) out = stored;
    return std::same_as<T, bool>;
  }

  template <class T>
  bool take_string(T& out) {
    const auto length = load<uint64_t>(at_);
    const std::string_view stored(reinterpret_cast<const char*>(at_) + 8, length);
    at_ += 8 + length;
    if constexpr (std::same_as<T, std::string_view>) out = stored;
    return std::same_as<T, std::string_view>;
  }

  GgufType type_;
  const std::byte* at_;
};

template <class T>
std::string wanted() {
  if constexpr (std::same_as<T, bool>) return "a bool";
  if constexpr (std::same_as<T, std::string_view>) return "a string";
  if constexpr (std::floating_point<T>) return "a float";
  if constexpr (std::integral<T>)
    return fmt::format("an integer from {} to {}", std::numeric_limits<T>::min(),
                       std::numeric_limits<T>::max());
  return {};
}

tl::unexpected<Error> absent(std::string_view key) {
  return fail(Code::kNotFound, fmt::format("the model file has no value {}", shown(key)),
              std::string(key));
}

tl::unexpected<Error> misfit(const GgufValue& value, std::string_view needed) {
  return fail(Code::kCorrupt,
              fmt::format("the model file's value {} is {}{}; {} is needed", shown(value.key),
                          value.is_array ? "an array of " : "", name(value.type), needed),
              std::string(value.key));
}

}  // namespace

std::string shape_text(const GgufTensor& tensor) {
  return fmt::format("[{}]",
                     fmt::join(tensor.shape.begin(), tensor.shape.begin() + tensor.rank, ", "));
}

std::string shown(std::string_view text) {
  constexpr size_t kMaxShown = 80;
  std::string out = "'";
  for (const char c : text.substr(0, kMaxShown)) {
    if (c >= ' ' && c <= '~') {
      out += c;
    } else {
      out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    }
  }
  out += text.size() > kMaxShown ? "…'" : "'";
  return out;
}

Result<Gguf> Gguf::open(const std::filesystem::path& path) {
  MILL_TRY(MappedFile file, MappedFile::open(path));
  auto gguf = parse(file.bytes());
  if (!gguf) {
    Error error = std::move(gguf).error();
    error.message = path.string() + ": " + error.message;
    return fail(std::move(error));
  }
  gguf->file_ = std::move(file);
  return gguf;
}

Result<Gguf> Gguf::parse(std::span<const std::byte> bytes) {
  return GgufParser(bytes).run();
}

const GgufValue* Gguf::find_value(std::string_view key) const {
  const auto at = std::lower_bound(values_by_key_.begin(), values_by_key_.end(), key,
                                   [&](uint32_t i, auto k) { return values_[i].key < k; });
  if (at == values_by_key_.end() || values_[*at].key != key) return nullptr;
  return &values_[*at];
}

const GgufTensor* Gguf::find(std::string_view tensor) const {
  const auto at = std::lower_bound(tensors_by_name_.begin(), tensors_by_name_.end(), tensor,
                                   [&](uint32_t i, auto n) { return tensors_[i].name < n; });
  if (at == tensors_by_name_.end() || tensors_[*at].name != tensor) return nullptr;
  return &tensors_[*at];
}

template <class T>
Result<T> Gguf::get(std::string_view key) const {
  const GgufValue* value = find_value(key);
  if (value == nullptr) return absent(key);
  T out = {};
  if (value->is_array || !Cursor(*value).next(out)) return misfit(*value, wanted<T>());
  return out;
}

template <class T>
Result<std::vector<T>> Gguf::array(std::string_view key) const {
  const GgufValue* value = find_value(key);
  if (value == nullptr) return absent(key);
  const auto refuse = [&] { return misfit(*value, "an array, each element " + wanted<T>()); };
  if (!value->is_array) return refuse();
  if (value->count > kMaxArray)
    return fail(Code::kTooLarge,
                fmt::format("the model file's array {} has {} elements; the limit is {}",
                            shown(key), value->count, kMaxArray),
                std::string(key));
  std::vector<T> out;
  out.reserve(value->count);
  Cursor cursor(*value);
  for (uint64_t i = 0; i < value->count; ++i) {
    T element = {};
    if (!cursor.next(element)) return refuse();
    out.push_back(element);
  }
  return out;
}

template Result<bool> Gguf::get(std::string_view) const;
template Result<int32_t> Gguf::get(std::string_view) const;
template Result<uint32_t> Gguf::get(std::string_view) const;
template Result<int64_t> Gguf::get(std::string_view) const;
template Result<uint64_t> Gguf::get(std::string_view) const;
template Result<float> Gguf::get(std::string_view) const;
template Result<std::string_view> Gguf::get(std::string_view) const;
template Result<std::vector<bool>> Gguf::array(std::string_view) const;
template Result<std::vector<uint8_t>> Gguf::array(std::string_view) const;
template Result<std::vector<int32_t>> Gguf::array(std::string_view) const;
template Result<std::vector<uint32_t>> Gguf::array(std::string_view) const;
template Result<std::vector<int64_t>> Gguf::array(std::string_view) const;
template Result<std::vector<uint64_t>> Gguf::array(std::string_view) const;
template Result<std::vector<float>> Gguf::array(std::string_view) const;
template Result<std::vector<std::string_view>> Gguf::array(std::string_view) const;

}  // namespace mill::model
