// libFuzzer target: any bytes as a model file. Whatever is accepted must be safe to read as a whole
// and to build a rotation from.
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "model/config.h"
#include "model/gguf.h"
#include "model/rope.h"
#include "tensor/reference/dequantize.h"

namespace mill::model {
namespace {

// Reads every value as everything it could be.
size_t read_values(const Gguf& file) {
  size_t read = 0;
  for (const GgufValue& value : file.values()) {
    MILL_CHECK(file.find_value(value.key) != nullptr);
    read += file.get<bool>(value.key).has_value() + file.get<int32_t>(value.key).has_value() +
            file.get<uint64_t>(value.key).has_value() + file.get<float>(value.key).has_value() +
            file.get<std::string_view>(value.key).has_value();
    if (const auto texts = file.array<std::string_view>(value.key))
      for (const std::string_view text : *texts) read += shown(text).size();
    read += file.array<int64_t>(value.key).has_value() + file.array<float>(value.key).has_value() +
            file.array<bool>(value.key).has_value();
  }
  return read;
}

void read_tensors(const Gguf& file) {
  for (const GgufTensor& tensor : file.tensors()) {
    MILL_CHECK(file.find(tensor.name) == &tensor);
    const int64_t row_bytes = tensor::row_bytes(tensor.dtype, tensor.cols());
    MILL_CHECK(static_cast<int64_t>(tensor.data.size()) == tensor.rows() * row_bytes);
    std::vector<float> row(static_cast<size_t>(tensor.cols()));
    for (int64_t i = 0; i < tensor.rows(); ++i)
      tensor::dequantize_row(tensor.dtype, tensor.data.data() + i * row_bytes, row);
  }
}

void turn(const RopeConfig& config) {
  const Rope rope(config, {});
  std::vector<float> cos(static_cast<size_t>(rope.dims() / 2));
  std::vector<float> sin(cos.size());
  rope.angles(1 << 20, cos.data(), sin.data());
  for (size_t i = 0; i < cos.size(); ++i)
    MILL_CHECK(std::isfinite(cos[i]) && std::isfinite(sin[i]));
}

}  // namespace

void fuzz(std::span<const std::byte> bytes) {
  const auto file = Gguf::parse(bytes);
  if (!file) {
    MILL_CHECK(!file.error().message.empty());
    return;
  }
  read_values(*file);
  read_tensors(*file);
  const auto config = decoder_config_of(*file);
  if (!config) return;
  turn(config->rope);
  turn(config->local_rope);
  const Status fits = check_tensors(*file, *config);
  if (fits) MILL_CHECK(file->find("token_embd.weight")->rows() == config->vocabulary);
}

}  // namespace mill::model

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  mill::model::fuzz(std::as_bytes(std::span(data, size)));
  return 0;
}
