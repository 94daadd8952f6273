#include "model/packed_head.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <string_view>
#include <utility>

#include "base/check.h"
#include "model/packed_checksum.h"
#include "tensor/arena.h"

namespace mill::model {
namespace {

constexpr std::string_view kMagic = PackedHead::kMagic;
constexpr size_t kFixedBytes = 64;
constexpr size_t kEntryBytes = 104;
constexpr size_t kLayoutRoom = PackedHead::kMostLayout + 1;
constexpr size_t kNameRoom = PackedHead::kMostName + 1;
constexpr uint64_t kMostBytes = uint64_t{1} << 62;  // sums of two don't overflow

uint64_t rounded_up(uint64_t bytes, uint64_t unit) {
  return (bytes + unit - 1) / unit * unit;
}

// Little-endian numbers, and texts in a room of zeros.
class Writer {
 public:
  explicit Writer(size_t bytes) { out_.reserve(bytes); }

  void number(uint64_t value, int bytes) {
    for (int i = 0; i < bytes; ++i) out_.push_back(static_cast<std::byte>(value >> (8 * i)));
  }
  void raw(std::span<const std::byte> bytes) {
    out_.insert(out_.end(), bytes.begin(), bytes.end());
  }
  void text(std::string_view text, size_t room) {
    MILL_CHECK(!text.empty() && text.size() < room);
    raw(std::as_bytes(std::span(text)));
    out_.resize(out_.size() + room - text.size());
  }
  const std::vector<std::byte>& bytes() const { return out_; }
  std::vector<std::byte> take() { return std::move(out_); }

 private:
  std::vector<std::byte> out_;
};

// The same, read.  Requires: the bytes that are asked for are there.
class Reader {
 public:
  explicit Reader(std::span<const std::byte> bytes) : left_(bytes) {}

  std::span<const std::byte> raw(size_t bytes) {
    const std::span<const std::byte> taken = left_.first(bytes);
    left_ = left_.subspan(bytes);
    return taken;
  }
  uint64_t number(size_t bytes) {
    uint64_t value = 0;
    const std::span<const std::byte> taken = raw(bytes);
    for (size_t i = 0; i < bytes; ++i) value |= static_cast<uint64_t>(taken[i]) << (8 * i);
    return value;
  }
  // Nothing unless it is one that Writer::text writes, of printable bytes.
  std::optional<std::string> text(size_t room) {
    const std::span<const std::byte> taken = raw(room);
    const auto end = std::find(taken.begin(), taken.end(), std::byte{0});
    const bool zeros = std::all_of(end, taken.end(), [](std::byte b) { return b == std::byte{0}; });
    const bool printable = std::all_of(
        taken.begin(), end, [](std::byte b) { return b > std::byte{' '} && b <= std::byte{'~'}; });
    if (end == taken.begin() || end == taken.end() || !zeros || !printable) return std::nullopt;
    return std::string(reinterpret_cast<const char*>(taken.data()),
                       static_cast<size_t>(end - taken.begin()));
  }

 private:
  std::span<const std::byte> left_;
};

tl::unexpected<Error> corrupt(std::string what) {
  return fail(Code::kCorrupt, std::move(what));
}

std::optional<PackedTensor> read_tensor(Reader& in) {
  const std::optional<std::string> name = in.text(kNameRoom);
  const auto type = static_cast<uint32_t>(in.number(4));
  const std::optional<tensor::DType> dtype = tensor::dtype_of(type);
  const bool reserved = in.number(4) != 0;
  const uint64_t rows = in.number(8), cols = in.number(8), bytes = in.number(8);
  const uint64_t sum = in.number(8);
  if (!name || !dtype || reserved || rows == 0 || cols == 0 || bytes == 0) return std::nullopt;
  if (rows > kMostBytes || cols > kMostBytes || bytes > kMostBytes) return std::nullopt;
  return PackedTensor{.name = *name,
                      .dtype = *dtype,
                      .rows = static_cast<int64_t>(rows),
                      .cols = static_cast<int64_t>(cols),
                      .bytes = bytes,
                      .checksum = sum};
}

}  // namespace

std::vector<uint64_t> PackedHead::offsets() const {
  std::vector<uint64_t> offsets = {0};
  for (const PackedTensor& tensor : tensors)
    offsets.push_back(offsets.back() + tensor::Arena::rounded(tensor.bytes));
  return offsets;
}

uint64_t PackedHead::data_begin() const {
  return rounded_up(packed_head_bytes(tensors.size()), kDataAlign);
}

uint64_t PackedHead::file_bytes() const {
  return data_begin() + offsets().back();
}

size_t packed_head_bytes(size_t tensors) {
  return kFixedBytes + tensors * kEntryBytes + sizeof(uint64_t);
}

std::vector<std::byte> encode(const PackedHead& head) {
  MILL_CHECK(head.tensors.size() <= PackedHead::kMostTensors);
  Writer out(packed_head_bytes(head.tensors.size()));
  out.raw(std::as_bytes(std::span(kMagic)));
  out.number(PackedHead::kVersion, 4);
  out.number(head.tensors.size(), 4);
  out.number(head.file_bytes(), 8);
  out.raw(head.identity);
  out.text(head.layout, kLayoutRoom);
  out.number(0, 8);
  for (const PackedTensor& tensor : head.tensors) {
    out.text(tensor.name, kNameRoom);
    out.number(static_cast<uint64_t>(tensor.dtype), 4);
    out.number(0, 4);
    out.number(static_cast<uint64_t>(tensor.rows), 8);
    out.number(static_cast<uint64_t>(tensor.cols), 8);
    out.number(tensor.bytes, 8);
    out.number(tensor.checksum, 8);
  }
  out.number(checksum(out.bytes()), 8);
  return out.take();
}

Result<PackedHead> decode_packed_head(std::span<const std::byte> begin, uint64_t file_bytes) {
  if (begin.size() < kFixedBytes || file_bytes < begin.size()) return corrupt("is cut short");
  Reader in(begin);
  if (!std::ranges::equal(in.raw(kMagic.size()), std::as_bytes(std::span(kMagic))))
    return corrupt("is no file of packed weights");
  const uint64_t version = in.number(4);
  if (version != PackedHead::kVersion) {
    return corrupt(fmt::format("has version {} of the format; this program reads {}", version,
                               PackedHead::kVersion));
  }
  const auto count = static_cast<size_t>(in.number(4));
  if (count > PackedHead::kMostTensors) return corrupt(fmt::format("names {} tensors", count));
  const size_t bytes = packed_head_bytes(count);
  if (begin.size() < bytes) return corrupt("is cut short");
  const uint64_t sum = Reader(begin.subspan(bytes - 8, 8)).number(8);
  if (sum != checksum(begin.first(bytes - 8))) return corrupt("has another checksum than its head");

  // What follows was written by this program, or made to look so: no number is taken on trust.
  PackedHead head;
  const uint64_t said_bytes = in.number(8);
  std::ranges::copy(in.raw(head.identity.size()), head.identity.begin());
  const std::optional<std::string> layout = in.text(kLayoutRoom);
  if (!layout || in.number(8) != 0) return corrupt("has a head that makes no sense");
  head.layout = *layout;
  uint64_t data = 0;
  for (size_t i = 0; i < count; ++i) {
    std::optional<PackedTensor> tensor = read_tensor(in);
    if (!tensor) return corrupt(fmt::format("has a tensor {} that makes no sense", i));
    data += rounded_up(tensor->bytes, 64);
    if (data > kMostBytes) return corrupt("has more bytes of tensors than a file can hold");
    head.tensors.push_back(std::move(*tensor));
  }
  if (said_bytes != head.file_bytes()) return corrupt("has a head that makes no sense");
  if (said_bytes != file_bytes) {
    return corrupt(fmt::format("has {} bytes; its head says {}", file_bytes, said_bytes));
  }
  return head;
}

std::string difference(const PackedHead& wanted, const PackedHead& found) {
  if (found.identity != wanted.identity)
    return "is of another model, or of this one before a change";
  if (found.layout != wanted.layout) {
    return fmt::format("has its weights in the order {}, not {}", found.layout, wanted.layout);
  }
  if (found.tensors.size() != wanted.tensors.size()) {
    return fmt::format("has {} tensors, not {}", found.tensors.size(), wanted.tensors.size());
  }
  for (size_t i = 0; i < wanted.tensors.size(); ++i) {
    PackedTensor tensor = found.tensors[i];
    tensor.checksum = wanted.tensors[i].checksum;
    if (tensor != wanted.tensors[i])
      return fmt::format("has another tensor in the place of {}", wanted.tensors[i].name);
  }
  return {};
}

}  // namespace mill::model
