#include "text/split/pre_tokenizer.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "text/split/runs.h"
#include "text/split/words.h"

namespace mill::text {
namespace {

using Contractions = WordPattern::Contractions;
using Tail = WordPattern::Tail;
using Lead = Runs::Lead;

template <class T, class... Arguments>
void add(Stages& stages, Arguments&&... arguments) {
  stages.push_back(std::make_unique<T>(std::forward<Arguments>(arguments)...));
}

CodeClass kinds(Kinds of) {
  return {of, {}};
}
CodeClass ranges(std::vector<CodeRange> of) {
  return {0, std::move(of)};
}

void numbers(Stages& stages, uint32_t most) {
  add<Runs>(stages, kinds(kNumber), Lead::kNone, Runs::Count{.most = most});
}
void three_digits(Stages& stages) {
  add<Runs>(stages, ranges({{'0', '9'}}), Lead::kNone, Runs::Count{.least = 3, .most = 3});
}
void newlines(Stages& stages) {
  add<Runs>(stages, ranges({{'\n', '\n'}, {'\r', '\r'}}), Lead::kNone, Runs::Count{.most = 1});
}

// The letters with a case that the DeepSeek models' published pattern lists.
constexpr CodeRange kDeepseekCased[] = {
    {0x41, 0x5A},       {0x61, 0x7A},       {0xB5, 0xB5},       {0xC0, 0xD6},
    {0xD8, 0xF6},       {0xF8, 0x1BA},      {0x1BC, 0x1BF},     {0x1C4, 0x293},
    {0x295, 0x2AF},     {0x370, 0x373},     {0x376, 0x377},     {0x37B, 0x37D},
    {0x37F, 0x37F},     {0x386, 0x386},     {0x388, 0x38A},     {0x38C, 0x38C},
    {0x38E, 0x3A1},     {0x3A3, 0x3F5},     {0x3F7, 0x481},     {0x48A, 0x52F},
    {0x531, 0x556},     {0x10A0, 0x10C5},   {0x13A0, 0x13F5},   {0x13F8, 0x13FD},
    {0x1C90, 0x1CBA},   {0x1CBD, 0x1CBF},   {0x1D00, 0x1D2B},   {0x1D6B, 0x1D77},
    {0x1D79, 0x1D9A},   {0x1E00, 0x1F15},   {0x1F18, 0x1F1D},   {0x1F20, 0x1F45},
    {0x1F48, 0x1F4D},   {0x1F50, 0x1F57},   {0x1F59, 0x1F59},   {0x1F5B, 0x1F5B},
    {0x1F5D, 0x1F5D},   {0x1F5F, 0x1F7D},   {0x1F80, 0x1FB4},   {0x1FB6, 0x1FBC},
    {0x1FBE, 0x1FBE},   {0x1FC2, 0x1FC4},   {0x1FC6, 0x1FCC},   {0x1FD0, 0x1FD3},
    {0x1FD6, 0x1FDB},   {0x1FE0, 0x1FEC},   {0x1FF2, 0x1FF4},   {0x1FF6, 0x1FFC},
    {0x2102, 0x2102},   {0x2107, 0x2107},   {0x210A, 0x2113},   {0x2115, 0x2115},
    {0x2119, 0x211D},   {0x2124, 0x2124},   {0x2126, 0x2126},   {0x2128, 0x2128},
    {0x212A, 0x212D},   {0x212F, 0x2134},   {0x2139, 0x2139},   {0x213C, 0x213F},
    {0x2145, 0x2149},   {0x214E, 0x214E},   {0x2183, 0x2184},   {0x2C00, 0x2C7B},
    {0x2C7E, 0x2CE4},   {0x2CEB, 0x2CEE},   {0x2CF2, 0x2CF3},   {0xA640, 0xA66D},
    {0xA680, 0xA69B},   {0xA722, 0xA76F},   {0xA771, 0xA787},   {0xA78B, 0xA78E},
    {0xAB70, 0xABBF},   {0xFB00, 0xFB06},   {0xFB13, 0xFB17},   {0xFF21, 0xFF3A},
    {0xFF41, 0xFF5A},   {0x10400, 0x1044F}, {0x104B0, 0x104D3}, {0x104D8, 0x104FB},
    {0x10C80, 0x10CB2}, {0x10CC0, 0x10CF2}, {0x118A0, 0x118DF}, {0x1E900, 0x1E943},
};

// [一-龥ࠀ-一가-퟿] less its white space, which the peer takes out of all ranges beyond ASCII
// (and out of [　-。] below).
CodeClass deepseek_cjk() {
  return ranges({{0x800, 0x167F},
                 {0x1681, 0x1FFF},
                 {0x200B, 0x2027},
                 {0x202A, 0x202E},
                 {0x2030, 0x205E},
                 {0x2060, 0x2FFF},
                 {0x3001, 0x9FA5},
                 {0xAC00, 0xD7FF}});
}

// ---- one function for each set of stages, in the order of kNames ----

void gpt2(Stages& stages) {
  add<Gpt2Words>(stages);
}

void single_digits(Stages& stages) {  // StarCoder, SmolLM, …
  numbers(stages, 1);
  gpt2(stages);
}

void usual(Stages& stages) {  // "default"
  add<Runs>(stages,
            CodeClass(kPunctuation,
                      {{'$', '$'}, {'+', '+'}, {'<', '>'}, {'^', '^'}, {'|', '|'}, {'~', '~'}}));
  gpt2(stages);
  numbers(stages, UINT32_MAX);
  three_digits(stages);
}

void falcon(Stages& stages) {
  add<Runs>(
      stages,
      CodeClass(
          kPunctuation,
          {{'$', '$'}, {'+', '+'}, {'<', '>'}, {'^', '^'}, {'`', '`'}, {'|', '|'}, {'~', '~'}}));
  gpt2(stages);
  three_digits(stages);
}

void llama3(Stages& stages) {
  add<Words>(stages, WordPattern{.digits = 3});
}
void qwen2(Stages& stages) {
  add<Words>(stages, WordPattern{});
}
void qwen35(Stages& stages) {
  add<Words>(stages, WordPattern{.letters = kLetter | kMark,
                                 .not_other = kSpace | kLetter | kMark | kNumber});
}
void seed_coder(Stages& stages) {
  add<Words>(stages, WordPattern{.tail = Tail::kNone});
}
void ufakzeka(Stages& stages) {
  add<Words>(stages, WordPattern{.contractions = Contractions::kNone});
}
void minicpm5(Stages& stages) {
  numbers(stages, 3);
  add<Words>(stages, WordPattern{.digits = 0});
}
void laguna(Stages& stages) {
  add<Runs>(stages, ranges({{'\n', '\n'}}));  // [^\n]+|[\n]+: what lies between is a piece as well
  qwen2(stages);
}

WordPattern o200k() {
  return {.contractions = Contractions::kAfter,
          .digits = 3,
          .tail = Tail::kNewlinesAndSlash,
          .cased = true,
          .ascii_case = true};
}
void gpt_4o(Stages& stages) {
  add<Words>(stages, o200k());
}
void tekken(Stages& stages) {
  WordPattern pattern = o200k();
  pattern.contractions = Contractions::kNone;
  pattern.digits = 1;
  add<Words>(stages, pattern);
}
void granite_small(Stages& stages) {
  WordPattern pattern = o200k();
  pattern.letters = kLetter | kMark;
  add<Words>(stages, pattern);
}

void deepseek_llm(Stages& stages) {
  newlines(stages);
  add<Runs>(stages, ranges({std::begin(kDeepseekCased), std::end(kDeepseekCased)}),
            Lead::kAnySpace);
  add<Runs>(stages,
            ranges({{'!', '/'},
                    {':', '~'},
                    {0x2018, 0x201F},
                    {0x3001, 0x3002},
                    {0xFF01, 0xFF0F},
                    {0xFF1A, 0xFF5E}}),
            Lead::kAnySpace);
  add<EndSpace>(stages);
  add<Runs>(stages, deepseek_cjk());
  numbers(stages, UINT32_MAX);
}
void deepseek_coder(Stages& stages) {
  newlines(stages);
  add<Runs>(stages, kinds(kLetter), Lead::kAnySpace);
  add<Runs>(stages, kinds(kPunctuation), Lead::kAnySpace);
  add<Runs>(stages, deepseek_cjk());
  numbers(stages, 1);
}
void deepseek_v3(Stages& stages) {
  numbers(stages, 3);
  add<Runs>(stages, ranges({{0x3040, 0x30FF}, {0x4E00, 0x9FA5}}));
  add<DeepseekWords>(stages);
}

//  ?[^(\s|.,!?…。，、।۔،)]+
void bloom(Stages& stages) {
  add<Runs>(stages,
            CodeClass(kSpace,
                      {{'!', '!'},
                       {'(', ')'},
                       {',', ','},
                       {'.', '.'},
                       {'?', '?'},
                       {'|', '|'},
                       {0x60C, 0x60C},
                       {0x6D4, 0x6D4},
                       {0x964, 0x964},
                       {0x2026, 0x2026},
                       {0x3001, 0x3002},
                       {0xFF0C, 0xFF0C}},
                      true),
            Lead::kBlank);
}
void viking(Stages& stages) {
  bloom(stages);
  numbers(stages, 1);
}

struct Named {
  std::string_view name;
  void (*stages)(Stages&);
  PreTokenizerTraits traits = {};
};
constexpr PreTokenizerTraits kWholeWords = {.whole_words = true};
constexpr PreTokenizerTraits kWholeWordsAndBos = {.whole_words = true, .adds_bos = true};

constexpr Named kNames[] = {
    {"", usual},
    {"default", usual},
    {"gpt-2", gpt2},
    {"phi-2", gpt2},
    {"jina-es", gpt2},
    {"jina-de", gpt2},
    {"jina-v2-es", gpt2},
    {"jina-v2-de", gpt2},
    {"gigachat", gpt2},
    {"a.x-4.0", gpt2},
    {"mellum", gpt2},
    {"modern-bert", gpt2},
    {"exaone4", gpt2},
    {"mpt", gpt2},
    {"olmo", gpt2},
    {"jais", gpt2},
    {"trillion", gpt2},
    {"granite-docling", gpt2},
    {"starcoder", single_digits},
    {"refact", single_digits},
    {"command-r", single_digits},
    {"smollm", single_digits},
    {"codeshell", single_digits},
    {"exaone", single_digits},
    {"minerva-7b", single_digits},
    {"mellum2", single_digits},
    {"falcon", falcon},
    {"llama3", llama3, kWholeWordsAndBos},
    {"llama-v3", llama3, kWholeWordsAndBos},
    {"llama-bpe", llama3, kWholeWordsAndBos},
    {"falcon3", llama3, kWholeWordsAndBos},
    {"falcon-h1", llama3, kWholeWordsAndBos},
    {"pixtral", llama3, kWholeWordsAndBos},
    {"midm-2.0", llama3, kWholeWordsAndBos},
    {"lfm2", llama3, kWholeWordsAndBos},
    {"jina-v5-nano", llama3, kWholeWordsAndBos},
    {"dbrx", llama3},
    {"smaug-bpe", llama3},
    {"glm4", llama3},
    {"chatglm-bpe", llama3},
    {"qwen2", qwen2},
    {"deepseek-r1-qwen", qwen2},
    {"kormo", qwen2},
    {"f2llmv2", qwen2},
    {"megrez", qwen2},
    {"stablelm2", qwen2},
    {"hunyuan", qwen2},
    {"solar-open", qwen2},
    {"grok-2", qwen2},
    {"bailingmoe", qwen2},
    {"bailingmoe2", qwen2},
    {"llada-moe", qwen2},
    {"qwen35", qwen35},
    {"seed-coder", seed_coder},
    {"ufakzeka", ufakzeka},
    {"minicpm5", minicpm5, kWholeWords},
    {"laguna", laguna},
    {"gpt-4o", gpt_4o},
    {"llama4", gpt_4o},
    {"kanana2", gpt_4o},
    {"talkie", gpt_4o},
    {"minimax-m2", gpt_4o},
    {"tekken", tekken, kWholeWordsAndBos},
    {"granite-embed-multi-97m", granite_small, kWholeWords},
    {"deepseek-llm", deepseek_llm},
    {"deepseek-coder", deepseek_coder},
    {"deepseek-v3", deepseek_v3},
    {"hunyuan-dense", deepseek_v3},
    {"joyai-llm", deepseek_v3},
    {"hy_v4", deepseek_v3},
    {"bloom", bloom},
    {"gpt3-finnish", bloom},
    {"poro-chat", bloom},
    {"viking", viking},
};

const Named* find(std::string_view name) {
  const auto found = std::find_if(std::begin(kNames), std::end(kNames),
                                  [name](const Named& named) { return named.name == name; });
  return found == std::end(kNames) ? nullptr : found;
}

}  // namespace

Result<PreTokenizer> PreTokenizer::named(std::string_view name) {
  const Named* const found = find(name);
  if (found == nullptr)
    return fail(Code::kUnsupported,
                fmt::format("the model's pre-tokenizer '{}' is not built in; use a model with one "
                            "of the others, or a newer release",
                            name),
                "tokenizer.ggml.pre");
  Stages stages;
  found->stages(stages);
  return PreTokenizer(std::move(stages));
}

void PreTokenizer::cut(std::string_view text, Pieces& pieces) const {
  pieces.clear();
  if (text.empty()) return;
  pieces.push_back(text);
  Pieces finer;
  for (const auto& stage : stages_) {
    finer.clear();
    for (const std::string_view piece : pieces) stage->cut(piece, finer);
    pieces.swap(finer);
  }
}

// By induction over the stages: what one leaves joined at the border, the next one sees as a text
// with that border in it.
bool PreTokenizer::cuts_at_spaces() const {
  bool cuts = false;
  for (const auto& stage : stages_) {
    if (stage->at_space() == AtSpace::kNotKnown) return false;
    cuts |= stage->at_space() == AtSpace::kCuts;
  }
  return cuts;
}

PreTokenizerTraits traits_of_pre_tokenizer(std::string_view name) {
  const Named* const found = find(name);
  return found == nullptr ? PreTokenizerTraits{} : found->traits;
}

}  // namespace mill::text
