#include "app/perplexity.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <memory>
#include <optional>
#include <vector>

namespace mill::app {
namespace {

// -log of the probability that `logits` give to `token`.
double surprise(std::span<const float> logits, TokenId token) {
  const float highest = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const float logit : logits) sum += std::exp(static_cast<double>(logit) - highest);
  return std::log(sum) + highest - logits[static_cast<size_t>(token)];
}

// A .npy file of f32 rows, written row by row (NumPy format 1.0).
class NpyWriter {
 public:
  static Result<NpyWriter> create(const std::filesystem::path& path, int64_t rows, int64_t cols) {
    NpyWriter writer;
    writer.path_ = path;
    writer.file_.reset(std::fopen(path.c_str(), "wb"));
    if (!writer.file_) return writer.failure();
    std::string header =
        fmt::format("{{'descr': '<f4', 'fortran_order': False, 'shape': ({}, {}), }}", rows, cols);
    constexpr size_t kPreamble = 10;
    header.resize((kPreamble + header.size() + 1 + 63) / 64 * 64 - kPreamble, ' ');
    header.back() = '\n';
    std::string start = "\x93NUMPY";
    start += {'\1', '\0', static_cast<char>(header.size() & 0xFF),
              static_cast<char>(header.size() >> 8)};
    MILL_TRY_DO(writer.write((start + header).data(), kPreamble + header.size()));
    return writer;
  }

  Status write_row(std::span<const float> row) { return write(row.data(), row.size_bytes()); }
  Status finish() {
    if (std::fclose(file_.release()) != 0) return failure();
    return {};
  }

 private:
  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };

  Status write(const void* data, size_t bytes) {
    if (std::fwrite(data, 1, bytes, file_.get()) != bytes) return failure();
    return {};
  }
  tl::unexpected<Error> failure() const {
    return fail(Code::kIo, fmt::format("cannot write {}: {}", path_.string(), std::strerror(errno)),
                "logits-out");
  }

  std::filesystem::path path_;
  std::unique_ptr<std::FILE, Close> file_;
};

// One window at a time through the decoder, in chunks as large as it takes.
class WindowRunner {
 public:
  WindowRunner(model::Decoder& decoder, model::KvRoom kv, int64_t context)
      : decoder_(decoder), kv_(std::move(kv)), context_(context) {
    for (int64_t i = 0; i * tensor::kBlockTokens < context; ++i)
      blocks_.push_back(static_cast<int32_t>(i));
  }

  // Calls row(position, logits) for every position >= first_row.
  template <class Row>
  Status run(std::span<const TokenId> window, int64_t first_row, const Row& row) {
    for (int64_t position = 0; position < context_;) {
      const bool wanted = position >= first_row;
      const int64_t limit = wanted ? decoder_.limits().logit_rows : decoder_.limits().batch_tokens;
      const int64_t end = wanted ? context_ : first_row;
      const int64_t count = std::min(limit, end - position);
      const model::SequenceSlice slice{
          .tokens = window.subspan(static_cast<size_t>(position), static_cast<size_t>(count)),
          .position = position,
          .prompt_tokens = context_,
          .blocks = blocks_,
          .window_blocks = blocks_,
          .logits_from = wanted ? 0 : count};
      const tensor::ConstMatrix logits = decoder_.forward({&slice, 1}, kv_.memory());
      for (int64_t i = 0; i < logits.rows; ++i) {
        MILL_TRY_DO(row(position + i, std::span(logits.row(i), static_cast<size_t>(logits.cols))));
      }
      position += count;
    }
    return {};
  }

 private:
  model::Decoder& decoder_;
  model::KvRoom kv_;
  int64_t context_;
  std::vector<int32_t> blocks_;
};

// Sums of the surprises of scored tokens.
struct Tally {
  double sum = 0, sum_of_squares = 0;
  int64_t count = 0, windows = 0;

  void add(double surprise) {
    sum += surprise;
    sum_of_squares += surprise * surprise;
    ++count;
  }
  PerplexityResult result() const {
    const double n = static_cast<double>(count);
    const double mean = sum / n;
    const double variance = std::max(0.0, sum_of_squares / n - mean * mean);
    const double perplexity = std::exp(mean);
    return {perplexity, count > 1 ? perplexity * std::sqrt(variance / (n - 1)) : 0.0, count,
            windows};
  }
};

}  // namespace

Result<PerplexityResult> measure_perplexity(
    model::Decoder& decoder, const PerplexityJob& job,
    const std::function<void(const PerplexityResult&, int64_t windows)>& progress) {
  const int64_t context = job.context;
  int64_t windows = static_cast<int64_t>(job.tokens.size()) / context;
  if (windows == 0) {
    return fail(
        Code::kInvalid,
        fmt::format(
            "the text has {} tokens and a window takes {}: give a longer text or a smaller --ctx",
            job.tokens.size(), context),
        "file");
  }
  if (job.max_windows > 0) windows = std::min(windows, job.max_windows);
  const int64_t blocks = (context + tensor::kBlockTokens - 1) / tensor::kBlockTokens;
  MILL_TRY(model::KvRoom kv,
           model::KvRoom::reserve(decoder.kv_layout(), static_cast<size_t>(blocks)));
  WindowRunner runner(decoder, std::move(kv), context);

  Tally tally;
  std::optional<NpyWriter> npy;
  if (!job.logits_out.empty()) {
    MILL_TRY(npy, NpyWriter::create(job.logits_out, context, decoder.config().vocabulary));
  }
  for (int64_t w = 0; w < windows; ++w) {
    const auto given =
        job.tokens.subspan(static_cast<size_t>(w * context), static_cast<size_t>(context));
    std::vector<TokenId> window(given.begin(), given.end());
    if (job.bos != kNoToken) window.front() = job.bos;
    const bool write = npy && w == 0;
    MILL_TRY_DO(runner.run(window, write ? 0 : context / 2,
                           [&](int64_t position, std::span<const float> logits) -> Status {
                             if (write) MILL_TRY_DO(npy->write_row(logits));
                             const bool scored = position >= context / 2 && position + 1 < context;
                             if (scored)
                               tally.add(
                                   surprise(logits, window[static_cast<size_t>(position) + 1]));
                             return {};
                           }));
    if (write) MILL_TRY_DO(npy->finish());
    ++tally.windows;
    if (progress) progress(tally.result(), windows);
  }
  return tally.result();
}

}  // namespace mill::app
