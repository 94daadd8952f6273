#include "app/model_summary.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>

#include "app/progress.h"
#include "tensor/dtype.h"

namespace mill::app {
namespace {

// Text from the file, made fit for a terminal and short; "" where there is none.
std::string text_of(const model::Gguf& file, const std::string& key) {
  constexpr size_t kLongest = 120;
  const auto value = file.get<std::string_view>(key);
  if (!value) return "";
  std::string text;
  for (const char c : value->substr(0, kLongest))
    text += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c;
  return text;
}

std::optional<int64_t> number_of(const model::Gguf& file, const std::string& key) {
  const auto value = file.get<int64_t>(key);
  if (value) return *value;
  return std::nullopt;
}

std::vector<TensorKind> kinds_of(const model::Gguf& file) {
  std::vector<TensorKind> kinds;
  for (const model::GgufTensor& tensor : file.tensors()) {
    const std::string dtype(tensor::name(tensor.dtype));
    auto at = std::find_if(kinds.begin(), kinds.end(),
                           [&](const TensorKind& kind) { return kind.dtype == dtype; });
    if (at == kinds.end()) at = kinds.insert(kinds.end(), TensorKind{.dtype = dtype});
    at->tensors += 1;
    at->parameters += tensor.rows() * tensor.cols();
    at->bytes += static_cast<int64_t>(tensor.data.size());
  }
  std::stable_sort(kinds.begin(), kinds.end(),
                   [](const TensorKind& a, const TensorKind& b) { return a.bytes > b.bytes; });
  return kinds;
}

std::string count_text(int64_t count) {
  const auto value = static_cast<double>(count);
  if (count >= 1'000'000'000) return fmt::format("{:.2f} billion", value / 1e9);
  return count >= 1'000'000 ? fmt::format("{:.1f} million", value / 1e6) : fmt::format("{}", count);
}

std::string row(std::string_view label, std::string_view value) {
  return fmt::format("{:<14} {}\n", label, value);
}

std::string row(std::string_view label, const std::optional<int64_t>& value,
                std::string_view unit) {
  return value ? row(label, fmt::format("{} {}", *value, unit)) : "";
}

}  // namespace

ModelSummary summarize(const model::Gguf& file) {
  ModelSummary summary;
  summary.name = text_of(file, "general.name");
  summary.architecture = text_of(file, "general.architecture");
  summary.licence = text_of(file, "general.license");
  summary.made_by = text_of(file, "general.organization");
  if (summary.made_by.empty()) summary.made_by = text_of(file, "general.author");
  summary.tokenizer = text_of(file, "tokenizer.ggml.model");
  summary.pre_tokenizer = text_of(file, "tokenizer.ggml.pre");
  if (const auto* tokens = file.find_value("tokenizer.ggml.tokens");
      tokens != nullptr && tokens->is_array) {
    summary.vocabulary = static_cast<int64_t>(tokens->count);
  }
  const std::string prefix = summary.architecture + ".";
  summary.context = number_of(file, prefix + "context_length");
  summary.layers = number_of(file, prefix + "block_count");
  summary.width = number_of(file, prefix + "embedding_length");
  summary.heads = number_of(file, prefix + "attention.head_count");
  summary.kv_heads = number_of(file, prefix + "attention.head_count_kv");
  summary.chat_template = file.has("tokenizer.chat_template");
  summary.format_version = file.version();
  summary.file_bytes = static_cast<int64_t>(file.bytes().size());
  summary.kinds = kinds_of(file);
  for (const TensorKind& kind : summary.kinds) summary.parameters += kind.parameters;
  return summary;
}

std::string summary_text(const ModelSummary& s) {
  const auto or_unknown = [](const std::string& text) {
    return text.empty() ? std::string("not said in the file") : text;
  };
  std::string text =
      row("name", or_unknown(s.name)) + row("architecture", or_unknown(s.architecture));
  text += row("parameters", count_text(s.parameters));
  text += row("file", fmt::format("GGUF version {}, {}", s.format_version,
                                  bytes_text(static_cast<uint64_t>(s.file_bytes))));
  text += row("licence", or_unknown(s.licence));
  if (!s.made_by.empty()) text += row("made by", s.made_by);
  text += row("context", s.context, "tokens") + row("vocabulary", s.vocabulary, "tokens");
  const std::string pre = s.pre_tokenizer.empty() ? "" : fmt::format(", {}", s.pre_tokenizer);
  text += row("tokenizer", or_unknown(s.tokenizer) + pre);
  text += row("chat template", s.chat_template ? "yes" : "none");
  text += row("layers", s.layers, "") + row("width", s.width, "");
  if (s.heads) {
    const std::string kv = s.kv_heads ? fmt::format(", {} for keys and values", *s.kv_heads) : "";
    text += row("heads", fmt::format("{}{}", *s.heads, kv));
  }
  text += "weights\n";
  for (const TensorKind& kind : s.kinds) {
    text +=
        fmt::format("  {:<8} {:>5} tensors {:>14} parameters {:>10}\n", kind.dtype, kind.tensors,
                    count_text(kind.parameters), bytes_text(static_cast<uint64_t>(kind.bytes)));
  }
  return text;
}

std::string summary_json(const ModelSummary& s) {
  boost::json::array kinds;
  for (const TensorKind& kind : s.kinds) {
    kinds.push_back(boost::json::object{{"type", kind.dtype},
                                        {"tensors", kind.tensors},
                                        {"parameters", kind.parameters},
                                        {"bytes", kind.bytes}});
  }
  const auto optional = [](const std::optional<int64_t>& value) {
    return value ? boost::json::value(*value) : boost::json::value();
  };
  const boost::json::object all{{"name", s.name},
                                {"architecture", s.architecture},
                                {"parameters", s.parameters},
                                {"format_version", s.format_version},
                                {"file_bytes", s.file_bytes},
                                {"licence", s.licence},
                                {"made_by", s.made_by},
                                {"context", optional(s.context)},
                                {"vocabulary", optional(s.vocabulary)},
                                {"tokenizer", s.tokenizer},
                                {"pre_tokenizer", s.pre_tokenizer},
                                {"chat_template", s.chat_template},
                                {"layers", optional(s.layers)},
                                {"width", optional(s.width)},
                                {"heads", optional(s.heads)},
                                {"kv_heads", optional(s.kv_heads)},
                                {"weights", std::move(kinds)}};
  return boost::json::serialize(all) + "\n";
}

}  // namespace mill::app
