// Writes the files that the fuzzer starts from into a folder: one small model of each architecture,
// and one file with a value of every type and a tensor in every format.
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "model/tiny_model.h"

namespace mill::model {
namespace {

GgufBuilder seed_model(const std::string& architecture) {
  GgufBuilder file = tiny_model(architecture, {.layers = 1,
                                               .dim = 4,
                                               .ffn_dim = 4,
                                               .heads = 2,
                                               .kv_heads = 1,
                                               .head_dim = 2,
                                               .vocabulary = 4,
                                               .context = 16});
  file.set("tokenizer.ggml.tokens", std::vector<std::string>{"<unk>", "<s>", "</s>", "<0x0A>"})
      .set("tokenizer.ggml.scores", std::vector<float>{0, 0, 0, -1})
      .set("tokenizer.ggml.token_type", std::vector<int32_t>{2, 3, 3, 6})
      .set("tokenizer.ggml.merges", std::vector<std::string>{"a b"})
      .set(architecture + ".rope.scaling.type", "yarn")
      .set(architecture + ".rope.scaling.factor", 2.0F);
  return file;
}

GgufBuilder seed_of_everything() {
  GgufBuilder file;
  file.alignment = 64;
  file.set("general.alignment", uint32_t{64})
      .set("a", uint8_t{1})
      .set("b", int8_t{-1})
      .set("c", uint16_t{1})
      .set("d", int16_t{-1})
      .set("e", int32_t{-1})
      .set("f", uint64_t{1})
      .set("g", int64_t{-1})
      .set("h", 1.0F)
      .set("i", 1.0)
      .set("j", true)
      .set("k", "text")
      .set("l", std::vector<bool>{true, false})
      .set("m", std::vector<double>{1.0});
  for (const tensor::DType dtype : tensor::kAllDTypes)
    file.add_zeros(tensor::name(dtype), {static_cast<uint64_t>(tensor::block_elements(dtype)), 2},
                   dtype);
  return file;
}

bool write(const std::filesystem::path& path, const GgufBuilder& builder) {
  const auto bytes = builder.build();
  std::ofstream out(path, std::ios::binary);
  out.write(reinterpret_cast<const char*>(bytes.data()), static_cast<long>(bytes.size()));
  out.flush();
  return out.good();
}

}  // namespace
}  // namespace mill::model

int main(int count, char** arguments) {
  using namespace mill::model;
  if (count != 2) {
    std::fprintf(stderr, "usage: %s FOLDER\n", arguments[0]);
    return 2;
  }
  const std::filesystem::path folder = arguments[1];
  bool good = write(folder / "everything.gguf", seed_of_everything());
  for (const char* architecture : {"llama", "qwen2", "qwen3", "gemma3"})
    good &= write(folder / (std::string(architecture) + ".gguf"), seed_model(architecture));
  if (!good) std::fprintf(stderr, "cannot write the seeds to %s\n", arguments[1]);
  return good ? 0 : 1;
}
