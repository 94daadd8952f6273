// A real trained model from its file to its published text, byte for byte: converted to GGUF,
// tokenized, milled by the engine on every backend of this machine, detokenized.
//
// The text is what llama2.c prints for `run stories260K.bin -z tok512.bin -t 0.0` (stories260K.md
// beside the model).
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "app/model_text.h"
#include "engine/engine.h"
#include "model/llama2c.h"
#include "text/detokenizer.h"

namespace mill {
namespace {

namespace fs = std::filesystem;

fs::path shared_folder() {
  const char* given = std::getenv("TOKENMILL_SHARED");
  return given ? fs::path(given) : fs::path(MILL_SOURCE_DIR) / "../shared";
}

std::string bytes_of(const fs::path& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

// The greedy sample in the model's own description.
std::string published_text(const std::string& description) {
  constexpr std::string_view kCommand = "-t 0.0\n";
  const size_t start = description.find(kCommand) + kCommand.size();
  return description.substr(start, description.find("\n```", start) - start);
}

class Stories260k : public testing::TestWithParam<std::string_view> {};
INSTANTIATE_TEST_SUITE_P(Backends, Stories260k, testing::ValuesIn(tensor::backend_names()),
                         [](const auto& about) { return std::string(about.param); });

TEST_P(Stories260k, GreedyTextIsThePublishedText) {
  const fs::path folder = shared_folder() / "data/stories260K";
  if (!fs::exists(folder / "stories260K.bin")) GTEST_SKIP() << "no model at " << folder;
  Result<model::GgufBuilder> builder =
      model::gguf_of_llama2c(bytes_of(folder / "stories260K.bin"), bytes_of(folder / "tok512.bin"));
  ASSERT_TRUE(builder) << builder.error().message;
  const std::vector<std::byte> bytes = builder->build();
  Result<model::Gguf> file = model::Gguf::parse(bytes);
  ASSERT_TRUE(file) << file.error().message;
  Result<text::Vocabulary> vocabulary = app::vocabulary_of(*file);
  ASSERT_TRUE(vocabulary) << vocabulary.error().message;
  const Result<text::Tokenizer> tokenizer = text::Tokenizer::build(std::move(*vocabulary));
  ASSERT_TRUE(tokenizer) << tokenizer.error().message;

  tensor::ThreadPool pool(2);
  const auto backend = tensor::make_backend(GetParam());
  ASSERT_TRUE(backend) << backend.error().message;
  auto decoder = model::Decoder::load(std::make_shared<model::Gguf>(std::move(*file)), **backend,
                                      pool, {}, {});
  ASSERT_TRUE(decoder) << decoder.error().message;
  auto engine = engine::Engine::start(engine::make_forward(std::move(*decoder)), pool,
                                      {.kv_bytes = size_t{64} << 20});
  ASSERT_TRUE(engine) << engine.error().message;

  // llama2.c starts from BOS alone, and stops at the next one.
  work::Order order;
  order.id = "stories";
  order.prompt = {tokenizer->bos()};
  order.sampling.temperature = 0;
  order.max_tokens = 256;
  order.stop_tokens = {tokenizer->bos(), tokenizer->eos()};
  Result<work::TokenStream> stream = (*engine)->submit(std::move(order));
  ASSERT_TRUE(stream) << stream.error().message;
  text::Detokenizer detokenizer(*tokenizer);
  std::string text;
  for (;;) {
    const std::optional<work::Event> event = stream->next_blocking();
    ASSERT_TRUE(event);
    if (const auto* piece = std::get_if<work::Piece>(&*event)) {
      text += detokenizer.push(piece->token);
      continue;
    }
    EXPECT_FALSE(std::get<work::Finished>(*event).fault);
    break;
  }
  text += detokenizer.finish();
  const std::string expected = published_text(bytes_of(folder / "stories260K.md"));
  ASSERT_GT(expected.size(), 500u);
  if (text.starts_with(' '))
    text.erase(0, 1);  // llama2.c drops the space in front of the first word, as SentencePiece does
  EXPECT_EQ(text.substr(0, expected.size()), expected);
}

}  // namespace
}  // namespace mill
