#include "gateway/scripted_worker_for_test.h"

#include <algorithm>
#include <array>

#include "base/check.h"
#include "text/split/unicode.h"

namespace mill::gateway {
namespace {

using namespace std::chrono_literals;

constexpr std::string_view kWords[] = {"Hello", " world", " one", " two", " three", " four",
                                       " five", " six",   "the",  " cat", " sat",   " on",
                                       " mat",  "\n\n",   "é",    "日本", "STOP",   " END"};
constexpr std::string_view kControls[] = {"<|endoftext|>", "<|im_start|>", "<|im_end|>"};

// The printable stand-in of each byte in a byte-level vocabulary (GPT-2's).
std::string stand_in(std::string_view bytes) {
  static const std::array<uint32_t, 256> table = [] {
    std::array<uint32_t, 256> codes{};
    uint32_t next = 256;
    for (uint32_t byte = 0; byte < 256; ++byte) {
      const bool printable =
          (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
      codes[byte] = printable ? byte : next++;
    }
    return codes;
  }();
  std::string out;
  for (const char byte : bytes) text::append_utf8(out, table[static_cast<unsigned char>(byte)]);
  return out;
}

}  // namespace

text::Tokenizer tiny_tokenizer(bool add_bos) {
  text::Vocabulary vocabulary;
  vocabulary.pre = "gpt-2";
  for (int byte = 0; byte < 256; ++byte) {
    vocabulary.pieces.add(stand_in(std::string(1, static_cast<char>(byte))));
  }
  for (const std::string_view word : kWords) vocabulary.pieces.add(stand_in(word));
  vocabulary.types.assign(vocabulary.pieces.size(), text::TokenType::kNormal);
  vocabulary.bos = vocabulary.eos = static_cast<TokenId>(vocabulary.pieces.size());
  for (const std::string_view control : kControls) {
    vocabulary.pieces.add(control);
    vocabulary.types.push_back(text::TokenType::kControl);
  }
  vocabulary.add_bos = add_bos;
  auto tokenizer = text::Tokenizer::build(std::move(vocabulary));
  MILL_CHECK(tokenizer.has_value());
  return std::move(*tokenizer);
}

text::ChatTemplate tiny_template() {
  auto compiled = text::ChatTemplate::compile(
      "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\\n' + (m['content'] or '') + "
      "'<|im_end|>' + '\\n' }}{% endfor %}"
      "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}");
  MILL_CHECK(compiled.has_value());
  return std::move(*compiled);
}

ScriptedWorker::ScriptedWorker(const text::Tokenizer& tokenizer, Choose choose)
    : tokenizer_(tokenizer), choose_(std::move(choose)) {}

ScriptedWorker::~ScriptedWorker() {
  stopping_ = true;
  release();
  for (std::thread& thread : threads_) thread.join();
}

Result<work::TokenStream> ScriptedWorker::submit(work::Order order) {
  Script script = choose_(order);
  if (script.refuse) return fail(*script.refuse);
  if (script.tokens.empty()) script.tokens = cut(script.say);
  const size_t scored = order.score_prompt ? order.prompt.size() : 0;
  auto [sink, stream] = work::make_token_stream(scored + static_cast<size_t>(order.max_tokens));
  std::lock_guard lock(mutex_);
  orders_.push_back(order);
  ++running_;
  threads_.emplace_back([this, order = std::move(order), script = std::move(script),
                         sink = std::move(sink)]() mutable {
    work(std::move(order), std::move(script), std::move(sink));
  });
  return std::move(stream);
}

// The same places as a model's: cancel is seen before each token, and the token that ends the
// answer counts.
void ScriptedWorker::work(work::Order order, Script script, work::TokenSink sink) {
  work::Finished finished;
  finished.usage = script.usage;
  cached_ += script.usage.cached_tokens;
  finished.usage.prompt_tokens = static_cast<int64_t>(order.prompt.size());
  if (order.score_prompt) score_prompt(order, sink);
  int64_t& made = finished.usage.completion_tokens;
  for (size_t i = 0;; ++i) {
    if (script.hold_at == i && !hold(order, sink))
      finished.reason =
          now() >= order.deadline ? work::FinishReason::kDeadline : work::FinishReason::kCancelled;
    if (sink.cancelled() || stopping_) finished.reason = work::FinishReason::kCancelled;
    if (finished.reason != work::FinishReason::kStop) break;
    if (script.fault_at == i) {
      finished.reason = work::FinishReason::kFault;
      finished.fault = Error{Code::kInternal, "the script says: fail here", ""};
      break;
    }
    if (made == order.max_tokens) {
      finished.reason = work::FinishReason::kLength;
      break;
    }
    const bool over = i >= script.tokens.size() && !script.forever;
    const TokenId token = over ? tokenizer_.eos() : script.tokens[i % script.tokens.size()];
    ++made;
    ++generated_;
    const auto& stops = order.stop_tokens;
    if (std::find(stops.begin(), stops.end(), token) != stops.end()) break;  // kStop
    sink.deliver(piece_of(order, token));
    if (script.pace > Duration::zero()) std::this_thread::sleep_for(script.pace);
  }
  --running_;
  if (finished.reason == work::FinishReason::kCancelled) {
    std::lock_guard lock(mutex_);
    ++cancelled_;
    changed_.notify_all();
  }
  sink.finish(std::move(finished));
}

// False: cancelled, or past the order's deadline, while it waited.
bool ScriptedWorker::hold(const work::Order& order, const work::TokenSink& sink) {
  std::unique_lock lock(mutex_);
  const auto over = [&] { return sink.cancelled() || now() >= order.deadline; };
  while (!released_ && !over()) changed_.wait_for(lock, 1ms);
  return released_ && !over();
}

// Made-up numbers that a test can tell apart: each token's logprob follows from its id.
work::Piece ScriptedWorker::piece_of(const work::Order& order, TokenId token) const {
  work::Piece piece;
  piece.token = token;
  if (!order.sampling.top_logprobs) return piece;
  piece.logprob = -static_cast<float>(token % 8) / 8;
  for (int32_t i = 0; i < *order.sampling.top_logprobs; ++i) {
    piece.top.push_back({(token + i) % static_cast<TokenId>(tokenizer_.size()),
                         *piece.logprob - static_cast<float>(i)});
  }
  return piece;
}

void ScriptedWorker::score_prompt(const work::Order& order, work::TokenSink& sink) const {
  for (size_t i = 0; i < order.prompt.size(); ++i) {
    work::Piece piece = piece_of(order, order.prompt[i]);
    piece.of_prompt = true;
    if (i == 0) {
      piece.logprob.reset();
      piece.top.clear();
    }
    sink.deliver(std::move(piece));
  }
}

work::Load ScriptedWorker::load() const {
  work::Load load;
  load.running = running_;
  load.kv_blocks_total = 100;
  load.kv_blocks_free = 100 - load.running;
  load.generated_tokens = generated_;
  load.cached_tokens = cached_;
  load.drain_seconds = drain_seconds_;
  return load;
}

void ScriptedWorker::release() {
  std::lock_guard lock(mutex_);
  released_ = true;
  changed_.notify_all();
}

std::vector<work::Order> ScriptedWorker::orders() const {
  std::lock_guard lock(mutex_);
  return orders_;
}

bool ScriptedWorker::wait_for_cancels(int64_t count) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, 10s, [&] { return cancelled_ >= count; });
}

std::vector<TokenId> ScriptedWorker::cut(std::string_view text) const {
  std::vector<TokenId> tokens;
  while (!text.empty()) {
    TokenId best = static_cast<unsigned char>(text.front());
    size_t length = 1;
    for (size_t i = 0; i < std::size(kWords); ++i) {
      if (!text.starts_with(kWords[i]) || kWords[i].size() <= length) continue;
      best = static_cast<TokenId>(256 + i);
      length = kWords[i].size();
    }
    tokens.push_back(best);
    text.remove_prefix(length);
  }
  return tokens;
}

}  // namespace mill::gateway
