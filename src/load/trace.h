// Recorded loads of real services, replayed.
//
// Two formats, told apart by their first byte:
// - Azure's LLM inference trace: CSV with the columns TIMESTAMP (YYYY-MM-DD HH:MM:SS.fraction),
//   ContextTokens, GeneratedTokens (github.com/Azure/AzurePublicDataset).
// - Mooncake's: one JSON object a line with timestamp (ms), input_length, output_length and
// hash_ids,
//   one id per 512 tokens of the prompt; equal ids are equal tokens
//   (github.com/kvcache-ai/Mooncake).
#pragma once

#include <cstdint>
#include <filesystem>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "load/ask.h"

namespace mill::load {

inline constexpr int32_t kMooncakeBlock = 512;  // tokens of a hash id

struct TraceOptions {
  int64_t requests = 0;    // at most so many, from the beginning; 0: all
  int32_t max_prompt = 0;  // longer prompts are cut to so many tokens; 0: none is
  int32_t max_output = 0;  // likewise for answers
  double speed = 1;        // the trace's time passes so many times as fast
  double per_second = 0;   // instead of `speed`: the mean rate; 0: as `speed` says
};

// The requests of a trace in order of time, the first at 0. A request without prompt or answer
// tokens is asked with one. Fails with kCorrupt, naming the line and what is wrong with it.
Result<std::vector<Ask>> parse_trace(std::string_view text, const TraceOptions& options);

// The same of a file. Besides: kNotFound, kIo, kTooLarge (over 1 GiB).
Result<std::vector<Ask>> read_trace(const std::filesystem::path& file, const TraceOptions& options);

// Prompts in words, one JSON object a line: {"prompt": "…", "output_tokens": 64}; the second may be
// left out (`output_tokens` then holds). Fails as above.
Result<std::vector<Ask>> parse_prompts(std::string_view text, int32_t output_tokens);
Result<std::vector<Ask>> read_prompts(const std::filesystem::path& file, int32_t output_tokens);

}  // namespace mill::load
