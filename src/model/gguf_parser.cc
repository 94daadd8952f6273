#include "model/gguf_parser.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <numeric>

namespace mill::model {
namespace {

static_assert(std::endian::native == std::endian::little, "GGUF files are read in place");

// Key length, key, type, value.
constexpr uint64_t kMinValueBytes = 8 + 1 + 4 + 1;
// Name length, name, rank, a dimension, type, offset.
constexpr uint64_t kMinTensorBytes = 8 + 1 + 4 + 8 + 4 + 8;

constexpr std::string_view kAlignmentKey = "general.alignment";
constexpr std::string_view kSplitKey = "split.count";

// Bytes of one element in the file; 0 for a string or an unknown type.
uint64_t element_bytes(GgufType type) {
  switch (type) {
    case GgufType::kU8:
    case GgufType::kI8:
    case GgufType::kBool:
      return 1;
    case GgufType::kU16:
    case GgufType::kI16:
      return 2;
    case GgufType::kU32:
    case GgufType::kI32:
    case GgufType::kF32:
      return 4;
    case GgufType::kU64:
    case GgufType::kI64:
    case GgufType::kF64:
      return 8;
    case GgufType::kString:
    case GgufType::kArray:
      break;
  }
  return 0;
}

tl::unexpected<Error> corrupt(std::string message, std::string_view param = {}) {
  return fail(Code::kCorrupt, std::move(message), std::string(param));
}

// Sorts indices of `items` by `key_of`; returns an index whose key occurs twice, or -1.
template <class Item, class KeyOf>
int64_t sort_by_name(const std::vector<Item>& items, std::vector<uint32_t>& order, KeyOf key_of) {
  order.resize(items.size());
  std::iota(order.begin(), order.end(), 0u);
  std::sort(order.begin(), order.end(),
            [&](uint32_t a, uint32_t b) { return key_of(items[a]) < key_of(items[b]); });
  const auto twice = std::adjacent_find(order.begin(), order.end(), [&](uint32_t a, uint32_t b) {
    return key_of(items[a]) == key_of(items[b]);
  });
  return twice == order.end() ? -1 : static_cast<int64_t>(*twice);
}

}  // namespace

std::string_view name(GgufType type) {
  switch (type) {
    case GgufType::kU8:
      return "u8";
    case GgufType::kI8:
      return "i8";
    case GgufType::kU16:
      return "u16";
    case GgufType::kI16:
      return "i16";
    case GgufType::kU32:
      return "u32";
    case GgufType::kI32:
      return "i32";
    case GgufType::kF32:
      return "f32";
    case GgufType::kBool:
      return "bool";
    case GgufType::kString:
      return "string";
    case GgufType::kArray:
      return "array";
    case GgufType::kU64:
      return "u64";
    case GgufType::kI64:
      return "i64";
    case GgufType::kF64:
      return "f64";
  }
  return "unknown";
}

template <class T>
Result<T> GgufParser::read(std::string_view what) {
  if (remaining() < sizeof(T))
    return corrupt(fmt::format("the file ends at byte {}, inside {}", bytes_.size(), what));
  T value;
  std::memcpy(&value, bytes_.data() + at_, sizeof value);
  at_ += sizeof value;
  return value;
}

Result<std::string_view> GgufParser::read_string(std::string_view what, uint64_t limit) {
  MILL_TRY(const uint64_t length, read<uint64_t>(fmt::format("the length of {}", what)));
  if (length > remaining())
    return corrupt(fmt::format("{} says it has {} bytes, but {} are left in the file", what, length,
                               remaining()));
  if (length > limit)
    return fail(Code::kTooLarge,
                fmt::format("{} has {} bytes; the limit is {}", what, length, limit));
  const std::string_view text(reinterpret_cast<const char*>(bytes_.data()) + at_, length);
  at_ += length;
  return text;
}

Status GgufParser::read_header() {
  if (bytes_.empty()) return corrupt("the file is empty", "magic");
  if (bytes_.size() < 4 || std::memcmp(bytes_.data(), "GGUF", 4) != 0)
    return corrupt("not a GGUF file: it does not begin with the letters GGUF", "magic");
  at_ = 4;
  MILL_TRY(gguf_.version_, read<uint32_t>("the version"));
  const uint32_t version = gguf_.version_;
  if (version != 0 && (version & 0xffff) == 0)
    return fail(Code::kUnsupported, "a big-endian GGUF file; convert it to little-endian",
                "version");
  if (version < 2 || version > 3)
    return fail(Code::kUnsupported,
                fmt::format("GGUF version {}; versions 2 and 3 can be read", version), "version");
  MILL_TRY(tensor_count_, read<uint64_t>("the tensor count"));
  MILL_TRY(value_count_, read<uint64_t>("the metadata count"));
  if (value_count_ > remaining() / kMinValueBytes)
    return corrupt(fmt::format("the header counts {} metadata values, more than the file can hold",
                               value_count_),
                   "metadata_kv_count");
  if (tensor_count_ > remaining() / kMinTensorBytes)
    return corrupt(
        fmt::format("the header counts {} tensors, more than the file can hold", tensor_count_),
        "tensor_count");
  if (value_count_ > Gguf::kMaxValues)
    return fail(Code::kTooLarge,
                fmt::format("{} metadata values; the limit is {}", value_count_, Gguf::kMaxValues),
                "metadata_kv_count");
  if (tensor_count_ > Gguf::kMaxTensors)
    return fail(Code::kTooLarge,
                fmt::format("{} tensors; the limit is {}", tensor_count_, Gguf::kMaxTensors),
                "tensor_count");
  return {};
}

Status GgufParser::read_value(uint64_t index) {
  GgufValue value;
  MILL_TRY(value.key,
           read_string(fmt::format("the key of metadata value {}", index), Gguf::kMaxKey));
  if (value.key.empty())
    return corrupt(fmt::format("the key of metadata value {} is empty", index));
  MILL_TRY(uint32_t type, read<uint32_t>(fmt::format("the type of {}", shown(value.key))));
  if (type == static_cast<uint32_t>(GgufType::kArray)) {
    value.is_array = true;
    MILL_TRY(type, read<uint32_t>(fmt::format("the element type of {}", shown(value.key))));
    MILL_TRY(value.count, read<uint64_t>(fmt::format("the element count of {}", shown(value.key))));
  }
  value.type = static_cast<GgufType>(type);
  if (value.type == GgufType::kArray)
    return fail(Code::kUnsupported,
                fmt::format("the value {} is an array of arrays, which no model here has",
                            shown(value.key)),
                std::string(value.key));
  if (value.type != GgufType::kString && element_bytes(value.type) == 0)
    return corrupt(fmt::format("the value {} is of the unknown type {}", shown(value.key), type),
                   value.key);
  MILL_TRY_DO(skip_elements(value));
  gguf_.values_.push_back(value);
  return {};
}

Status GgufParser::skip_elements(GgufValue& value) {
  const uint64_t begin = at_;
  const uint64_t least = value.type == GgufType::kString ? 8 : element_bytes(value.type);
  if (value.count > remaining() / least)
    return corrupt(fmt::format("the value {} has {} elements of type {}, but {} bytes are left",
                               shown(value.key), value.count, name(value.type), remaining()),
                   value.key);
  if (value.type == GgufType::kString) {
    for (uint64_t i = 0; i < value.count; ++i) {
      uint64_t length = 0;
      if (remaining() >= 8) std::memcpy(&length, bytes_.data() + at_, 8);
      if (remaining() < 8 || length > remaining() - 8)
        return corrupt(fmt::format("string {} of the value {} goes beyond the end of the file", i,
                                   shown(value.key)),
                       value.key);
      at_ += 8 + length;
    }
  } else {
    at_ += value.count * least;
  }
  value.bytes = bytes_.subspan(begin, at_ - begin);
  if (value.type == GgufType::kBool) {
    const auto odd = std::find_if(value.bytes.begin(), value.bytes.end(),
                                  [](std::byte b) { return b > std::byte{1}; });
    if (odd != value.bytes.end())
      return corrupt(
          fmt::format("the value {} is a bool that is neither 0 nor 1", shown(value.key)),
          value.key);
  }
  return {};
}

Status GgufParser::index_values() {
  const int64_t twice = sort_by_name(gguf_.values_, gguf_.values_by_key_,
                                     [](const GgufValue& value) { return value.key; });
  if (twice < 0) return {};
  const std::string_view key = gguf_.values_[static_cast<size_t>(twice)].key;
  return corrupt(fmt::format("the key {} occurs twice", shown(key)), key);
}

Status GgufParser::read_alignment() {
  MILL_TRY(gguf_.alignment_, gguf_.get_or<uint64_t>(kAlignmentKey, 32));
  const uint64_t alignment = gguf_.alignment_;
  if (!std::has_single_bit(alignment) || alignment < Gguf::kMinAlignment ||
      alignment > Gguf::kMaxAlignment)
    return corrupt(fmt::format("{} is {}; a power of two from {} to {} is needed", kAlignmentKey,
                               alignment, Gguf::kMinAlignment, Gguf::kMaxAlignment),
                   kAlignmentKey);
  return {};
}

Status GgufParser::refuse_split() {
  MILL_TRY(const uint64_t parts, gguf_.get_or<uint64_t>(kSplitKey, 1));
  if (parts <= 1) return {};
  return fail(Code::kUnsupported,
              fmt::format("one of {} parts of a split model; join them into one file first", parts),
              std::string(kSplitKey));
}

Status GgufParser::read_tensor(uint64_t index) {
  GgufTensor tensor;
  MILL_TRY(tensor.name,
           read_string(fmt::format("the name of tensor {}", index), Gguf::kMaxTensorName));
  if (tensor.name.empty()) return corrupt(fmt::format("the name of tensor {} is empty", index));
  MILL_TRY_DO(read_shape(tensor));
  const std::string tensor_name = shown(tensor.name);
  MILL_TRY(const uint32_t type, read<uint32_t>("the type of tensor " + tensor_name));
  const std::optional<tensor::DType> dtype = tensor::dtype_of(type);
  if (!dtype) {
    const std::string_view known = tensor::ggml_type_name(type);
    return fail(Code::kUnsupported,
                fmt::format("tensor {} is stored as {} (ggml type {}), which cannot be read here",
                            tensor_name, known.empty() ? "an unknown type" : known, type),
                std::string(tensor.name));
  }
  tensor.dtype = *dtype;
  if (tensor.cols() % tensor::block_elements(*dtype) != 0)
    return corrupt(
        fmt::format("tensor {} has rows of {} values; {} comes in blocks of {}", tensor_name,
                    tensor.cols(), tensor::name(*dtype), tensor::block_elements(*dtype)),
        tensor.name);
  MILL_TRY(const uint64_t offset, read<uint64_t>("the offset of tensor " + tensor_name));
  gguf_.tensors_.push_back(tensor);
  offsets_.push_back(offset);
  return {};
}

Status GgufParser::read_shape(GgufTensor& tensor) {
  const std::string tensor_name = shown(tensor.name);
  MILL_TRY(const uint32_t rank, read<uint32_t>("the rank of tensor " + tensor_name));
  if (rank < 1 || rank > tensor.shape.size())
    return corrupt(fmt::format("tensor {} has {} dimensions; 1 to {} are possible", tensor_name,
                               rank, tensor.shape.size()),
                   tensor.name);
  tensor.rank = static_cast<int>(rank);
  // Every format takes at least 1/4 byte a value: more values than this cannot be in the file.
  const auto most = static_cast<int64_t>(std::min<uint64_t>(bytes_.size(), 1ull << 50) * 4);
  int64_t elements = 1;
  for (uint32_t i = 0; i < rank; ++i) {
    MILL_TRY(const auto size, read<int64_t>("the dimensions of tensor " + tensor_name));
    if (size < 1 || size > most / elements)
      return corrupt(fmt::format("dimension {} of tensor {} is {}; the file cannot hold that", i,
                                 tensor_name, size),
                     tensor.name);
    tensor.shape[i] = size;
    elements *= size;
  }
  return {};
}

Status GgufParser::index_tensors() {
  const int64_t twice = sort_by_name(gguf_.tensors_, gguf_.tensors_by_name_,
                                     [](const GgufTensor& tensor) { return tensor.name; });
  if (twice < 0) return {};
  const std::string_view name = gguf_.tensors_[static_cast<size_t>(twice)].name;
  return corrupt(fmt::format("there are two tensors {}", shown(name)), name);
}

// Gives each tensor its bytes: aligned, inside the file, no two overlapping.
Status GgufParser::check_places() {
  if (gguf_.tensors_.empty()) return {};
  const uint64_t start = (at_ + gguf_.alignment_ - 1) / gguf_.alignment_ * gguf_.alignment_;
  const uint64_t available = start <= bytes_.size() ? bytes_.size() - start : 0;
  for (size_t i = 0; i < gguf_.tensors_.size(); ++i) {
    GgufTensor& tensor = gguf_.tensors_[i];
    if (offsets_[i] % gguf_.alignment_ != 0)
      return corrupt(fmt::format("the offset {} of tensor {} is no multiple of {}", offsets_[i],
                                 shown(tensor.name), gguf_.alignment_),
                     tensor.name);
    const auto bytes =
        static_cast<uint64_t>(tensor.rows() * tensor::row_bytes(tensor.dtype, tensor.cols()));
    if (offsets_[i] > available || bytes > available - offsets_[i])
      return corrupt(
          fmt::format("tensor {} needs {} bytes from offset {}, but the file's data has {}; "
                      "is the file cut short?",
                      shown(tensor.name), bytes, offsets_[i], available),
          tensor.name);
    tensor.data = bytes_.subspan(start + offsets_[i], bytes);
  }
  std::vector<uint32_t> order(offsets_.size());
  std::iota(order.begin(), order.end(), 0u);
  std::sort(order.begin(), order.end(),
            [&](uint32_t a, uint32_t b) { return offsets_[a] < offsets_[b]; });
  for (size_t i = 1; i < order.size(); ++i) {
    const GgufTensor& left = gguf_.tensors_[order[i - 1]];
    const GgufTensor& right = gguf_.tensors_[order[i]];
    if (left.data.data() + left.data.size() > right.data.data())
      return corrupt(
          fmt::format("the tensors {} and {} overlap", shown(left.name), shown(right.name)),
          right.name);
  }
  return {};
}

Result<Gguf> GgufParser::run() {
  MILL_TRY_DO(read_header());
  gguf_.values_.reserve(value_count_);
  for (uint64_t i = 0; i < value_count_; ++i) MILL_TRY_DO(read_value(i));
  MILL_TRY_DO(index_values());
  MILL_TRY_DO(read_alignment());
  MILL_TRY_DO(refuse_split());
  gguf_.tensors_.reserve(tensor_count_);
  offsets_.reserve(tensor_count_);
  for (uint64_t i = 0; i < tensor_count_; ++i) MILL_TRY_DO(read_tensor(i));
  MILL_TRY_DO(index_tensors());
  MILL_TRY_DO(check_places());
  return std::move(gguf_);
}

}  // namespace mill::model
