// Writes what the fuzzing of tokenizers starts from into a folder.
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>

int main(int count, char** arguments) {
  if (count != 2) {
    std::fputs("usage: mill_tokenizer_fuzz_seeds FOLDER\n", stderr);
    return 2;
  }
  const std::string parts[] = {
      R"("pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": true, "use_regex": true})",
      R"("normalizer": {"type": "NFC"}, "pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "Split",
         "pattern": {"Regex": "\\p{N}{1,3}| ?\\w+"}, "behavior": "MergedWithNext", "invert": true}, {"type": "ByteLevel",
         "add_prefix_space": false, "use_regex": false}]})",
      R"("pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": true})",
      R"("normalizer": {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "▁"}, {"type": "Replace",
         "pattern": {"String": " "}, "content": "▁"}]})",
  };
  const std::string model =
      R"("added_tokens": [{"id": 5, "content": "<|end|>", "special": true, "lstrip": true}, {"id": 6,
      "content": "ab", "special": false, "single_word": true, "rstrip": true}], "model": {"type": "BPE", "unk_token": "<unk>",
      "fuse_unk": true, "byte_fallback": true, "vocab": {"<unk>": 0, "a": 1, "b": 2, "Ġ": 3, "Ġa": 4, "▁": 7, "▁a": 8},
      "merges": ["Ġ a", ["▁", "a"]]}})";
  const std::string word_pieces =
      R"({"normalizer": {"type": "BertNormalizer", "lowercase": true}, "pre_tokenizer": {"type":
      "BertPreTokenizer"}, "post_processor": {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "[CLS]"}},
      {"Sequence": {"id": "A"}}], "special_tokens": {"[CLS]": {"ids": [1]}}}, "model": {"type": "WordPiece", "unk_token": "[UNK]",
      "vocab": {"[UNK]": 0, "[CLS]": 1, "un": 2, "##able": 3}}})";
  const std::string lines[] = {
      "bgpt-2\nxa\nxb\nxab\nx\xC4\xA0\nyĠab\n~<|end|>\n\na b\n\xC4\xA0 ab\n\nab ab <|end|>",
      "bdeepseek-llm\nxa\nxab\n\n\nab 12 \n",
      "s\n|<unk>\nxa\nx▁\nx▁a\n~</s>\ny\t\t\n\n\na a</s>\t\t",
      "bllama-bpe\nxa\nxaa\nxaaaa\n\na a\naa "
      "aa\n\naaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};
  const std::filesystem::path folder = arguments[1];
  int number = 0;
  const auto write = [&](const std::string& text) {
    std::ofstream(folder / ("seed" + std::to_string(number++)), std::ios::binary) << text;
  };
  for (const std::string& part : parts) write("{" + part + ", " + model);
  write(word_pieces);
  for (const std::string& text : lines) write(text);
  return 0;
}
