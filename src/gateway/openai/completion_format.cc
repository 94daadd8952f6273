#include <fmt/format.h>

#include <map>

#include "base/log.h"
#include "gateway/openai/formats.h"
#include "gateway/openai/wire.h"
#include "text/split/unicode.h"

namespace mill::gateway::openai {
namespace {

class CompletionFormat final : public AnswerFormat {
 public:
  CompletionFormat(const Call& call, const Envelope& envelope)
      : call_(call),
        head_(envelope_head(call, envelope, "text_completion")),
        chunk_tail_(call.include_usage ? "}],\"usage\":null}\n\n" : "}]}\n\n") {}

  void open(std::string&, size_t) const override {}

  void delta(std::string& out, size_t choice, const Delta& delta) const override {
    out += "data: ";
    out += head_;
    body(out, choice, delta);
    out += R"(,"finish_reason":null)";
    out += chunk_tail_;
  }

  void close(std::string& out, size_t choice, std::string_view finish_reason) const override {
    out += "data: ";
    out += head_;
    fmt::format_to(std::back_inserter(out),
                   R"({{"index":{},"text":"","logprobs":null,"finish_reason":"{}")", choice,
                   finish_reason);
    out += chunk_tail_;
  }

  void usage(std::string& out, const work::Usage& usage) const override {
    out += "data: ";
    out += head_;
    out += "],\"usage\":";
    append_usage(out, usage);
    out += "}\n\n";
  }

  std::string whole(std::span<const WholeChoice> choices, const work::Usage& usage) const override {
    std::string out = head_;
    for (size_t i = 0; i < choices.size(); ++i) {
      if (i > 0) out += ',';
      body(out, i, choices[i].content);
      fmt::format_to(std::back_inserter(out), R"(,"finish_reason":"{}"}})",
                     choices[i].finish_reason);
    }
    out += "],\"usage\":";
    append_usage(out, usage);
    out += "}";
    return out;
  }

 private:
  void body(std::string& out, size_t choice, const Delta& delta) const {
    fmt::format_to(std::back_inserter(out), R"({{"index":{},"text":)", choice);
    append_json_string(out, delta.text);
    out += R"(,"logprobs":)";
    if (call_.sampling.top_logprobs) {
      logprobs(out, delta.tokens);
    } else {
      out += "null";
    }
  }

  // Four arrays, one element per token.
  void logprobs(std::string& out, const std::vector<ScoredToken>& tokens) const {
    std::string names, scores, tops, offsets;
    for (const ScoredToken& token : tokens) {
      const std::string_view comma = names.empty() ? "" : ",";
      names += comma;
      append_json_string(names, name_of(token.token));
      scores += comma;
      tops += comma;
      if (token.logprob) {
        append_logprob(scores, *token.logprob);
        append_top(tops, token);
      } else {
        scores += "null";
        tops += "null";
      }
      fmt::format_to(std::back_inserter(offsets), "{}{}", comma, token.text_offset);
    }
    tops = call_.sampling.top_logprobs == 0 ? "null" : "[" + tops + "]";
    fmt::format_to(
        std::back_inserter(out),
        R"({{"tokens":[{}],"token_logprobs":[{}],"top_logprobs":{},"text_offset":[{}]}})", names,
        scores, tops, offsets);
  }

  // The alternatives by name, the chosen token always among them; two tokens of one name keep the
  // likelier.
  void append_top(std::string& out, const ScoredToken& token) const {
    std::map<std::string, float> written;
    char separator = '{';
    const auto add = [&](TokenId id, float logprob) {
      if (!written.emplace(name_of(id), logprob).second) return;
      out += std::exchange(separator, ',');
      append_json_string(out, name_of(id));
      out += ':';
      append_logprob(out, logprob);
    };
    for (const work::TokenLogprob& top : token.top) add(top.token, top.logprob);
    add(token.token, *token.logprob);
    out += '}';
  }

  // A token that is no text of its own is named by its bytes, as this endpoint has always done.
  std::string name_of(TokenId token) const {
    const text::Tokenizer& tokenizer = *call_.model->tokenizer;
    const std::string_view bytes =
        tokenizer.is_control(token) ? tokenizer.piece(token) : tokenizer.bytes(token);
    if (text::is_sound(bytes)) return std::string(bytes);
    std::string name = "bytes:";
    for (const char byte : bytes) {
      fmt::format_to(std::back_inserter(name), "\\x{:02x}", static_cast<unsigned char>(byte));
    }
    return name;
  }

  const Call& call_;
  const std::string head_;
  const std::string chunk_tail_;
};

}  // namespace

std::unique_ptr<AnswerFormat> completion_format(const Call& call, const Envelope& envelope) {
  return std::make_unique<CompletionFormat>(call, envelope);
}

}  // namespace mill::gateway::openai
