#include <fmt/format.h>

#include "base/log.h"
#include "gateway/openai/formats.h"
#include "gateway/openai/wire.h"

namespace mill::gateway::openai {
namespace {

class ChatFormat final : public AnswerFormat {
 public:
  ChatFormat(const Call& call, const Envelope& envelope)
      : call_(call),
        chunk_head_("data: " + envelope_head(call, envelope, "chat.completion.chunk")),
        chunk_tail_(call.include_usage ? "}],\"usage\":null}\n\n" : "}]}\n\n"),
        whole_head_(envelope_head(call, envelope, "chat.completion")) {}

  void open(std::string& out, size_t choice) const override {
    begin(out, choice, R"({"role":"assistant","content":"","refusal":null})");
    out += R"(,"logprobs":null,"finish_reason":null)";
    out += chunk_tail_;
  }

  void delta(std::string& out, size_t choice, const Delta& delta) const override {
    begin(out, choice, R"({"content":)");
    append_json_string(out, delta.text);
    out += R"(},"logprobs":)";
    logprobs(out, delta);
    out += R"(,"finish_reason":null)";
    out += chunk_tail_;
  }

  void close(std::string& out, size_t choice, std::string_view finish_reason) const override {
    begin(out, choice, "{}");
    fmt::format_to(std::back_inserter(out), R"(,"logprobs":null,"finish_reason":"{}")",
                   finish_reason);
    out += chunk_tail_;
  }

  void usage(std::string& out, const work::Usage& usage) const override {
    out += chunk_head_;
    out += "],\"usage\":";
    append_usage(out, usage);
    out += "}\n\n";
  }

  std::string whole(std::span<const WholeChoice> choices, const work::Usage& usage) const override {
    std::string out = whole_head_;
    for (size_t i = 0; i < choices.size(); ++i) {
      fmt::format_to(std::back_inserter(out),
                     R"({}{{"index":{},"message":{{"role":"assistant","content":)",
                     i > 0 ? "," : "", i);
      append_json_string(out, choices[i].content.text);
      out += R"(,"refusal":null},"logprobs":)";
      logprobs(out, choices[i].content);
      fmt::format_to(std::back_inserter(out), R"(,"finish_reason":"{}"}})",
                     choices[i].finish_reason);
    }
    out += "],\"usage\":";
    append_usage(out, usage);
    out += "}";
    return out;
  }

 private:
  void begin(std::string& out, size_t choice, std::string_view delta) const {
    out += chunk_head_;
    fmt::format_to(std::back_inserter(out), R"({{"index":{},"delta":{})", choice, delta);
  }

  void logprobs(std::string& out, const Delta& delta) const {
    if (!call_.sampling.top_logprobs) {
      out += "null";
      return;
    }
    out += R"({"content":[)";
    bool first = true;
    for (const ScoredToken& token : delta.tokens) {
      if (!std::exchange(first, false)) out += ',';
      entry(out, token.token, token.logprob.value_or(0));
      out += R"(,"top_logprobs":[)";
      for (size_t i = 0; i < token.top.size(); ++i) {
        if (i > 0) out += ',';
        entry(out, token.top[i].token, token.top[i].logprob);
        out += '}';
      }
      out += "]}";
    }
    out += R"(],"refusal":null})";
  }

  // {"token":…,"logprob":…,"bytes":[…]  without its end. A control token has a name and no bytes.
  void entry(std::string& out, TokenId token, float logprob) const {
    const text::Tokenizer& tokenizer = *call_.model->tokenizer;
    const bool control = tokenizer.is_control(token);
    out += R"({"token":)";
    append_json_string(out, control ? tokenizer.piece(token) : tokenizer.bytes(token));
    out += R"(,"logprob":)";
    append_logprob(out, logprob);
    out += R"(,"bytes":)";
    if (control) {
      out += "null";
      return;
    }
    char separator = '[';
    for (const char byte : tokenizer.bytes(token)) {
      fmt::format_to(std::back_inserter(out), "{}{}", std::exchange(separator, ','),
                     static_cast<unsigned>(static_cast<unsigned char>(byte)));
    }
    out += separator == '[' ? "[]" : "]";
  }

  const Call& call_;
  const std::string chunk_head_;
  const std::string chunk_tail_;
  const std::string whole_head_;
};

}  // namespace

std::unique_ptr<AnswerFormat> chat_format(const Call& call, const Envelope& envelope) {
  return std::make_unique<ChatFormat>(call, envelope);
}

}  // namespace mill::gateway::openai
