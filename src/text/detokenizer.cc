#include "text/detokenizer.h"

#include "text/split/unicode.h"

namespace mill::text {
namespace {

constexpr std::string_view kReplacementBytes = "\xEF\xBF\xBD";

}  // namespace

std::string Detokenizer::push(TokenId token) {
  held_.append(tokenizer_->bytes(token));
  std::string out;
  std::string_view rest = held_;
  while (!rest.empty()) {
    const Sequence sequence = first_sequence(rest);
    if (sequence.state == Sequence::State::kUnfinished) break;
    if (sequence.state == Sequence::State::kValid)
      out.append(rest.substr(0, sequence.bytes));
    else
      out.append(kReplacementBytes);
    rest.remove_prefix(sequence.bytes);
  }
  held_.erase(0, held_.size() - rest.size());  // at most three bytes stay
  return out;
}

std::string Detokenizer::finish() {
  if (held_.empty()) return {};
  held_.clear();
  return std::string(kReplacementBytes);
}

}  // namespace mill::text
