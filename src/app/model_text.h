// The text side of a GGUF file: its vocabulary and its chat template, read from the metadata.
#pragma once

#include <optional>
#include <string>

#include "base/result.h"
#include "model/gguf.h"
#include "text/vocabulary.h"

namespace mill::app {

// The "tokenizer.ggml.*" values, with llama.cpp's defaults where the file is silent. Fails with
// kCorrupt, kInvalid or kNotFound (and the key) when they can't be read, kUnsupported for another
// kind of tokenizer (by name).
Result<text::Vocabulary> vocabulary_of(const model::Gguf& file);

// "tokenizer.chat_template"; nothing where the file has none.
Result<std::optional<std::string>> chat_template_source_of(const model::Gguf& file);

}  // namespace mill::app
