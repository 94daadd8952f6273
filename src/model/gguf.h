// A model file in the GGUF format, versions 2 and 3, little-endian (the ggml project's
// docs/gguf.md): named values, then named tensors. Checked as a whole when opened; nothing is
// copied, names, strings and tensors are views into the file.
//
// Whatever the file says, opening it takes no more memory than the file's own pages and 64 MiB, and
// no array is made before its length has been held against the bytes that are there.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "model/mapped_file.h"
#include "tensor/dtype.h"

namespace mill::model {

// The numbers are the file's.
enum class GgufType : uint32_t {
  kU8 = 0,
  kI8 = 1,
  kU16 = 2,
  kI16 = 3,
  kU32 = 4,
  kI32 = 5,
  kF32 = 6,
  kBool = 7,
  kString = 8,
  kArray = 9,
  kU64 = 10,
  kI64 = 11,
  kF64 = 12,
};

// One named value, still in the file's bytes. Read it with Gguf::get and Gguf::array.
struct GgufValue {
  std::string_view key;
  // Of the value, or of the elements when it is an array; never kArray.
  GgufType type = GgufType::kU8;
  bool is_array = false;
  uint64_t count = 1;  // elements
  // The elements as in the file; each string with its u64 length in front.
  std::span<const std::byte> bytes;
};

struct GgufTensor {
  std::string_view name;
  tensor::DType dtype = tensor::DType::kF32;
  int rank = 1;  // 1 to 4
  // In the file's order: shape[0] runs fastest in memory. A matrix that maps `in` values to `out`
  // is {in, out, 1, 1}.
  std::array<int64_t, 4> shape = {1, 1, 1, 1};
  // rows() × row_bytes(dtype, cols()) bytes, at the file's alignment (8 at least).
  std::span<const std::byte> data;

  int64_t cols() const { return shape[0]; }
  int64_t rows() const { return shape[1] * shape[2] * shape[3]; }
};

// "[64, 512]": the first `rank` dimensions in the file's order.
std::string shape_text(const GgufTensor& tensor);

// Text from a file, made fit for a message: in single quotes, unprintable bytes as \xNN, cut after
// 80 characters.
std::string shown(std::string_view text);

// Movable; the views it hands out live as long as the file that it owns, wherever the object moves.
// Const calls are safe from several threads.
class Gguf {
 public:
  static constexpr uint64_t kMaxValues = 1 << 16;   // named values in a file
  static constexpr uint64_t kMaxTensors = 1 << 16;  // tensors in a file
  static constexpr uint64_t kMaxArray = 1 << 20;    // elements of an array that is read
  static constexpr uint64_t kMaxKey = 65535;        // bytes of a key
  static constexpr uint64_t kMaxTensorName = 64;    // bytes of a tensor's name
  static constexpr uint64_t kMinAlignment = 8;      // of the tensors' data
  static constexpr uint64_t kMaxAlignment = uint64_t{64} << 10;

  // Maps and checks the file. Fails with kNotFound, kPermission, kIo, kInvalid (not a regular
  // file), kCorrupt (breaks the format; says where), kUnsupported (another version or byte order, a
  // split file, a tensor in a format that is not built), kTooLarge (over a limit above).
  static Result<Gguf> open(const std::filesystem::path& path);

  // The same over bytes in memory, which must outlive the Gguf and be aligned to 8.
  static Result<Gguf> parse(std::span<const std::byte> bytes);

  uint32_t version() const { return version_; }
  uint64_t alignment() const { return alignment_; }
  std::span<const std::byte> bytes() const { return bytes_; }  // the whole file

  // In the file's order.
  std::span<const GgufValue> values() const { return values_; }
  std::span<const GgufTensor> tensors() const { return tensors_; }

  // Null when there is none of that name.
  const GgufValue* find_value(std::string_view key) const;
  const GgufTensor* find(std::string_view tensor) const;
  bool has(std::string_view key) const { return find_value(key) != nullptr; }

  // T is bool, int32_t, uint32_t, int64_t, uint64_t, float or std::string_view. An integer of any
  // width is taken when its value fits T; a float also from an f64 in range; bool and string only
  // from themselves. Fails with kNotFound when the key is absent, kCorrupt when its type or value
  // does not fit; `param` is the key.
  template <class T>
  Result<T> get(std::string_view key) const;

  // `fallback` when the key is absent; a value that does not fit is an error all the same.
  template <class T>
  Result<T> get_or(std::string_view key, T fallback) const {
    return has(key) ? get<T>(key) : Result<T>(fallback);
  }

  // All elements of an array, by the rules of get. T also uint8_t. Fails besides with kTooLarge
  // over kMaxArray elements.
  template <class T>
  Result<std::vector<T>> array(std::string_view key) const;

  // What the system said of the file when it was opened; nothing after parse().
  std::optional<FileStamp> stamp() const {
    return file_.bytes().empty() ? std::nullopt : std::optional(file_.stamp());
  }
  // Whether it says the same now.
  bool unchanged() const { return file_.unchanged(); }

  // Takes the file's pages out of this process's resident memory (nothing happens after parse()).
  // Reading stays possible.
  void drop_pages() const { file_.drop_pages(); }
  // The same for the pages that hold `part` of bytes().
  void drop_pages(std::span<const std::byte> part) const {
    if (!file_.bytes().empty()) file_.drop_pages(part);
  }

 private:
  friend class GgufParser;

  MappedFile file_;
  std::span<const std::byte> bytes_;
  uint32_t version_ = 0;
  uint64_t alignment_ = 32;
  std::vector<GgufValue> values_;
  std::vector<GgufTensor> tensors_;
  std::vector<uint32_t> values_by_key_;    // indices into values_, sorted by key
  std::vector<uint32_t> tensors_by_name_;  // indices into tensors_, sorted by name
};

}  // namespace mill::model
