// A worker that says what it is told, and the smallest vocabulary that can say anything: for tests
// of the gateway.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "gateway/served_model.h"
#include "work/worker.h"

namespace mill::gateway {

// 256 tokens of one byte each, some words of several, and control tokens: <|endoftext|> (BOS and
// EOS), <|im_start|>, <|im_end|>.
text::Tokenizer tiny_tokenizer(bool add_bos = false);
// <|im_start|>role\ncontent<|im_end|>\n for each message, then the opening of the assistant's.
text::ChatTemplate tiny_template();

// What to say to an order.
struct Script {
  std::string say;                 // cut into tokens, the longest pieces first
  std::vector<TokenId> tokens;     // said instead of `say` where not empty
  bool forever = false;            // says it again and again, up to max_tokens
  std::optional<Error> refuse;     // submit fails
  work::Usage usage;               // its cached_tokens, drafts and busy are reported as they stand
  std::optional<size_t> fault_at;  // the model fails before this token
  std::optional<size_t> hold_at;   // waits before this token until release() or a cancel
  Duration pace = Duration::zero();  // between tokens
};

class ScriptedWorker final : public work::Worker {
 public:
  using Choose = std::function<Script(const work::Order&)>;

  // `choose` is called on the thread that submits; the tokenizer must outlive the worker.
  ScriptedWorker(const text::Tokenizer& tokenizer, Choose choose);
  ~ScriptedWorker() override;  // cancels and joins what runs

  Result<work::TokenStream> submit(work::Order order) override;
  work::Load load() const override;

  void release();                           // lets every answer that holds go on, now and later
  std::vector<work::Order> orders() const;  // all that were submitted
  // Waits until `count` answers have ended by a cancel; false after 10 s.
  bool wait_for_cancels(int64_t count);
  // What load() says besides the counts.
  void set_drain_seconds(double seconds) { drain_seconds_ = seconds; }
  // The tokens that were given in all.
  int64_t generated() const { return generated_; }

  std::vector<TokenId> cut(std::string_view text) const;

 private:
  void work(work::Order order, Script script, work::TokenSink sink);
  bool hold(const work::Order& order, const work::TokenSink& sink);
  work::Piece piece_of(const work::Order& order, TokenId token) const;
  void score_prompt(const work::Order& order, work::TokenSink& sink) const;

  const text::Tokenizer& tokenizer_;
  const Choose choose_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::thread> threads_;
  std::vector<work::Order> orders_;
  bool released_ = false;
  int64_t cancelled_ = 0;
  std::atomic<bool> stopping_{false};
  std::atomic<int64_t> running_{0};
  std::atomic<int64_t> generated_{0};
  std::atomic<int64_t> cached_{0};
  std::atomic<double> drain_seconds_{0};
};

}  // namespace mill::gateway
