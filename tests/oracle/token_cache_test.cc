// The token cache against the tokenizer without it, with real vocabularies and real texts: random
// conversations that grow, change and come again give the same ids.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "app/model_text.h"
#include "test_files.h"
#include "text/tokenizer.h"

namespace mill {
namespace {

namespace fs = std::filesystem;
using text::TextSpan;
using text::Tokenizer;

// Every vocabulary there is: GGUF files, and a tokenizer.json.
std::vector<fs::path> vocabularies() {
  std::vector<fs::path> out;
  for (const fs::path& folder : {shared_data() / "tokenizers", test_models()}) {
    if (!fs::exists(folder)) continue;
    for (const auto& entry : fs::recursive_directory_iterator(folder)) {
      const std::string name = entry.path().filename().string();
      if (name.ends_with(".gguf") || name == "tokenizer.json" || name == "tokenizer.json.xz")
        out.push_back(entry.path());
    }
  }
  std::sort(out.begin(), out.end());
  return out;
}

Result<Tokenizer> open(const fs::path& path) {
  if (path.extension() == ".gguf") {
    MILL_TRY(const model::Gguf file, model::Gguf::open(path));
    MILL_TRY(text::Vocabulary vocabulary, app::vocabulary_of(file));
    return Tokenizer::build(std::move(vocabulary));
  }
  const std::optional<std::string> json =
      path.extension() == ".xz" ? unpacked(path) : contents_of(path);
  if (!json) return fail(Code::kUnsupported, "xz can't unpack " + path.string());
  return Tokenizer::from_tokenizer_json(*json);
}

// Texts of many languages, and hostile strings.
std::vector<std::string> all_texts() {
  std::vector<std::string> out;
  for (const char* name : {"text", "fuzz_strings"}) {
    if (!fs::exists(shared_data() / name)) continue;
    for (const auto& entry : fs::recursive_directory_iterator(shared_data() / name))
      if (entry.is_regular_file()) out.push_back(contents_of(entry.path()));
  }
  std::sort(out.begin(), out.end());
  return out;
}

std::string excerpt(std::mt19937& random, const std::vector<std::string>& texts) {
  const std::string& text = texts[random() % texts.size()];
  const size_t begin = random() % (text.size() + 1);
  return text.substr(begin, random() % 12'000);  // may begin and end within a character
}

struct Turn {
  std::string text;
  bool trusted;
};

// The next request of a conversation: one more turn, or a turn that grew, lost its beginning or was
// changed in the middle.
void go_on(std::mt19937& random, const std::vector<std::string>& texts, std::vector<Turn>& turns) {
  if (turns.empty() || random() % 2 == 0) {
    turns.push_back({excerpt(random, texts), random() % 3 == 0});
    return;
  }
  std::string& text = turns[random() % turns.size()].text;
  const std::string more = excerpt(random, texts).substr(0, random() % 200);
  switch (random() % 3) {
    case 0:
      text += more;
      break;
    case 1:
      text.insert(random() % (text.size() + 1), more);
      break;
    default:
      text.erase(0, random() % 50);
  }
}

TEST(TokenCache, GivesTheIdsOfTheTokenizerAlone) {
  const std::vector<std::string> texts = all_texts();
  const std::vector<fs::path> paths = vocabularies();
  if (texts.empty() || paths.empty()) GTEST_SKIP() << "no texts or no vocabularies";
  for (const fs::path& path : paths) {
    const auto tokenizer = open(path);
    if (!tokenizer) {
      // Some parts of files in the folders are no vocabulary; say which.
      std::printf("left out: %s: %s\n", path.c_str(), tokenizer.error().message.c_str());
      continue;
    }
    text::TokenCache cache(2 << 20);  // less than all the conversations need
    for (uint32_t seed = 0; seed < 6; ++seed) {
      std::mt19937 random(seed);
      std::vector<Turn> turns;
      for (int request = 0; request < 10; ++request) {
        go_on(random, texts, turns);
        std::vector<TextSpan> spans;
        for (const Turn& turn : turns) {
          spans.push_back({"<|im_start|>", true});
          spans.push_back({turn.text, turn.trusted});
          spans.push_back({"<|im_end|>\n", true});
        }
        ASSERT_EQ(tokenizer->encode(spans, Tokenizer::Ends::kNone, {&cache, {seed % 2, 0}}),
                  tokenizer->encode(spans, Tokenizer::Ends::kNone))
            << path << ", seed " << seed << ", request " << request;
      }
    }
    // Of a vocabulary without a mark between turns, whose words are looked up as sentences
    // (MiniLM's), few texts can be told from what is around them.
    const bool of_chats =
        path.extension() == ".gguf" ||
        tokenizer->encode("<|im_start|>", true, Tokenizer::Ends::kNone).size() == 1;
    const auto counts = cache.counts();
    EXPECT_GT(counts.hit_bytes, of_chats ? counts.missed_bytes / 2 : 0) << path;
  }
}

}  // namespace
}  // namespace mill
