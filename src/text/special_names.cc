#include "text/special_names.h"

#include <algorithm>
#include <iterator>

namespace mill::text {
namespace {

// The lists that llama.cpp goes by.
constexpr std::string_view kEnds[] = {
    "<|eot_id|>", "<|im_end|>", "<|end|>", "<|return|>", "<|call|>", "<|flush|>", "<|calls|>",
    "<end_of_turn>", "<|endoftext|>", "</s>", "<|eom_id|>", "<EOT>", "_<EOT>", "[EOT]", "[EOS]",
    "<|end_of_text|>", "<end_of_utterance>", "<eos>", "<turn|>", "<|tool_response>",
    "<｜end▁of▁sentence｜>", "[e~[",
    // Fill-in-the-middle: padding, repository and file marks, behind which a model has nothing more
    // to say.
    "<|fim_pad|>", "<fim-pad>", "<fim_pad>", "<PAD>", "[PAD]", "<|fim_repo|>", "<|repo_name|>",
    "<fim-repo>", "<REPO>", "<reponame>", "<|file_sep|>"};
constexpr std::string_view kOthers[] = {
    "<|fim_prefix|>", "<fim-prefix>",    "<fim_prefix>",    "<｜fim▁begin｜>", "<PRE>",
    "▁<PRE>",         "<|code_prefix|>", "<|prefix|>",      "<|fim_suffix|>",  "<fim-suffix>",
    "<fim_suffix>",   "<｜fim▁hole｜>",  "<SUF>",           "▁<SUF>",          "<|code_suffix|>",
    "<|suffix|>",     "<|fim_middle|>",  "<fim-middle>",    "<fim_middle>",    "<｜fim▁end｜>",
    "<MID>",          "▁<MID>",          "<|code_middle|>", "<|middle|>"};

template <class List>
bool has(const List& list, std::string_view name) {
  return std::find(std::begin(list), std::end(list), name) != std::end(list);
}

}  // namespace

bool is_end_name(std::string_view piece) {
  return has(kEnds, piece);
}
bool is_control_name(std::string_view piece) {
  return has(kEnds, piece) || has(kOthers, piece);
}

void settle_ends(const StringTable& pieces, std::vector<TokenId>& ends) {
  std::sort(ends.begin(), ends.end());
  ends.erase(std::unique(ends.begin(), ends.end()), ends.end());
  const auto has_end = [&](std::string_view name) {
    return std::any_of(ends.begin(), ends.end(),
                       [&](TokenId id) { return pieces[static_cast<size_t>(id)] == name; });
  };
  // Where messages within one answer end with <|end|>, it is others that end the answer.
  const bool call = has_end("<|call|>") || has_end("<|calls|>");
  if (call && (has_end("<|return|>") || has_end("<|flush|>")))
    std::erase_if(ends, [&](TokenId id) { return pieces[static_cast<size_t>(id)] == "<|end|>"; });
}

}  // namespace mill::text
