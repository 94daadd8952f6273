// An answer's life under fire: ended by its reader, its deadline, a stop token, its length, a fault
// or a drain at every token, with shared prefixes, guesses and too few blocks. What was delivered
// is always a beginning of the undisturbed answer, and whole where nobody interfered; Finished
// comes once (work::TokenSink sees to that); the books are as before.
//
// MILL_TEST_SEED=n replays one seed, MILL_TEST_STEPS=n makes every life n times as long.
#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <map>
#include <random>

#include "engine/toy_mill.h"

namespace mill::engine {
namespace {

using work::FinishReason;
using work::Order;

enum class End { kCancel, kDrop, kDeadline, kStop, kLength, kDrain };

// One answer among others with the same beginning, ended at its token `at`.
void end_at(End end, int64_t at, int64_t window) {
  SCOPED_TRACE("end " + std::to_string(static_cast<int>(end)) + " at " + std::to_string(at) +
               ", window " + std::to_string(window));
  const Tokens prompt = prompt_of(100, 1);
  const Tokens whole = ToyForward::greedy(prompt, 40);
  Tokens cousin = prompt;
  cousin.back() = (cousin.back() + 1) % 40;
  Crib crib;
  crib.known = {{prompt, whole}, {cousin, ToyForward::greedy(cousin, 60)}};
  crib.say = [](TokenId truth, size_t place) { return place % 3 == 2 ? (truth + 1) % 40 : truth; };
  ToyMill mill(
      {.blocks = 12, .window_blocks = 5, .max_running = 4, .step_tokens = 48, .logit_rows = 8},
      {.window = window}, crib.drafters());
  auto other = mill.submit(greedy(cousin, 60));

  Order order = greedy(prompt, 40);
  if (end == End::kLength) order.max_tokens = static_cast<int32_t>(at);
  if (end == End::kStop) order.stop_tokens = {whole[static_cast<size_t>(at)]};
  if (end == End::kDeadline) order.deadline = mill.clock + std::chrono::milliseconds(at);
  std::optional<work::TokenStream> stream(mill.submit(order));
  Answer answer;
  const bool by_hand = end == End::kCancel || end == End::kDrop || end == End::kDrain;
  while (by_hand && std::ssize(answer.tokens) < at) {
    mill.step();
    read(*stream, answer);
  }
  if (end == End::kCancel) stream->cancel();
  if (end == End::kDrop) stream.reset();
  if (end == End::kDrain) {
    mill.batch.end_all(FinishReason::kCancelled);
    mill.batch.deliver_endings();
    mill.expect_clean();
  }
  mill.run();

  if (stream) {
    read(*stream, answer);
    ASSERT_TRUE(answer.finished.has_value());
    const work::Usage& usage = answer.finished->usage;
    ASSERT_LE(answer.tokens.size(), whole.size());
    EXPECT_TRUE(std::equal(answer.tokens.begin(), answer.tokens.end(), whole.begin()));
    const bool stopped = answer.finished->reason == FinishReason::kStop;
    EXPECT_EQ(usage.completion_tokens, std::ssize(answer.tokens) + (stopped ? 1 : 0));
    EXPECT_EQ(usage.prompt_tokens, 100);
    EXPECT_LE(usage.accepted_drafts, usage.completion_tokens);
    if (end == End::kLength) {
      EXPECT_EQ(std::ssize(answer.tokens), at);
    }
    if (end == End::kStop) {
      EXPECT_EQ(answer.finished->reason, FinishReason::kStop);
    }
  }
  Answer undisturbed;
  read(other, undisturbed);
  if (end != End::kDrain) {
    EXPECT_EQ(undisturbed.tokens, ToyForward::greedy(cousin, 60));
  }
}

TEST(BatchLife, EndsAtEveryToken) {
  for (const int64_t window : {0, 33}) {
    for (const End end : {End::kCancel, End::kDrop, End::kDeadline, End::kStop, End::kDrain}) {
      for (int64_t at = 0; at < 40; ++at) end_at(end, at, window);
    }
    for (int64_t at = 1; at <= 40; ++at) end_at(End::kLength, at, window);
  }
}

TEST(BatchLife, TheContextEndsExactlyAtTheLastBlock) {
  for (int32_t blocks = 1; blocks <= 4; ++blocks) {
    ToyMill mill({.blocks = blocks});
    const auto capacity = static_cast<int32_t>(blocks * tensor::kBlockTokens);
    for (const int32_t answer : {1, 2, capacity - 1}) {
      const Tokens prompt = prompt_of(capacity - answer, 1);
      EXPECT_EQ(mill.answer(greedy(prompt, answer)).tokens, ToyForward::greedy(prompt, answer));
    }
  }
}

uint64_t from_outside(const char* name, uint64_t fallback) {
  const char* given = std::getenv(name);
  return given != nullptr ? std::strtoull(given, nullptr, 10) : fallback;
}

class Life {
 public:
  Life(uint64_t seed, int64_t window)
      : random_(seed),
        mill_({.blocks = 16,
               .window_blocks = 9,
               .max_running = 6,
               .max_waiting = 30,
               .step_tokens = 64,
               .prefill_tokens = 40,
               .logit_rows = 12,
               .priority_worth = std::chrono::milliseconds(30)},
              toy(window), crib_.drafters()) {
    for (uint64_t kind = 0; kind < kWildKinds; ++kind) {
      ToyMill alone({}, toy());
      whole_.push_back(alone.answer(wild(kind)));
      ToyMill never({}, {.vocabulary = 400});  // what a guesser says who knows no poison
      crib_.known.emplace_back(wild(kind).prompt, never.answer(wild(kind)).tokens);
    }
    crib_.say = [this](TokenId truth, size_t) {
      return chance(4) ? static_cast<TokenId>(random_() % 40) : truth;
    };
  }

  void live(int64_t steps) {
    for (int64_t step = 0; step < steps || mill_.batch.size() > 0; ++step) {
      if (step < steps && chance(8) && mill_.batch.size() < 36) arrive();
      if (!live_.empty() && chance(40)) leave();
      mill_.step();
      std::erase_if(live_, [&](One& one) { return look(one); });
      if (::testing::Test::HasFailure()) return;
      if (step % 50 == 0) {
        const Status books = mill_.batch.audit();
        ASSERT_TRUE(books.has_value()) << books.error().message;
      }
    }
    EXPECT_TRUE(live_.empty());
    mill_.expect_clean();
    const work::Load load = mill_.batch.load();
    EXPECT_EQ(load.generated_tokens, generated_);
    std::printf(
        "%ld ended, %ld faults, %ld late; %ld preemptions, %ld cached tokens, %ld right and"
        " %ld wrong guesses\n",
        ended_, faults_, late_, load.preemptions, load.cached_tokens, load.accepted_drafts,
        load.rejected_drafts);
    EXPECT_GT(ended_, 20);
    EXPECT_GT(faults_, 0);
    EXPECT_GT(load.cached_tokens, 0);
    EXPECT_GT(load.accepted_drafts, 0);
  }

 private:
  struct One {
    std::optional<work::TokenStream> stream;
    uint64_t kind;
    bool left;
    Answer answer;
  };

  static ToyForward::Options toy(int64_t window = 0) {
    ToyForward::Options options;
    options.window = window;
    options.vocabulary = 400;  // so that an answer seldom comes to the poison by itself
    options.poison = kPoison;
    return options;
  }
  bool chance(uint64_t one_in) { return random_() % one_in == 0; }

  void arrive() {
    const uint64_t kind = random_() % kWildKinds;
    Order order = wild(kind);
    order.tenant = random_() % 3;
    if (chance(2)) {
      order.yield = std::chrono::milliseconds(static_cast<int64_t>(random_() % 300) - 100);
    }
    if (chance(10)) order.deadline = mill_.clock + std::chrono::milliseconds(random_() % 100);
    live_.push_back({mill_.submit(std::move(order)), kind, false, {}});
  }

  void leave() {
    One& one = live_[random_() % live_.size()];
    one.stream->cancel();
    one.left = true;
  }

  // Whether it has ended; then it must have been as it should.
  bool look(One& one) {
    read(*one.stream, one.answer);
    if (!one.answer.finished) return false;
    ++ended_;
    const Answer& whole = whole_[one.kind];
    const Answer& got = one.answer;
    const work::Usage& usage = got.finished->usage;
    EXPECT_LE(got.tokens.size(), whole.tokens.size());
    EXPECT_TRUE(std::equal(got.tokens.begin(), got.tokens.end(), whole.tokens.begin()));
    EXPECT_LE(got.scored.size(), whole.scored.size());
    EXPECT_EQ(usage.completion_tokens, std::ssize(got.tokens));
    EXPECT_EQ(usage.prompt_tokens, std::ssize(wild(one.kind).prompt));
    EXPECT_LE(usage.cached_tokens, usage.prompt_tokens);
    EXPECT_LE(usage.accepted_drafts, usage.completion_tokens);
    generated_ += usage.completion_tokens;
    const FinishReason reason = got.finished->reason;
    if (reason == FinishReason::kDeadline) {
      ++late_;
    } else if (!one.left) {
      EXPECT_EQ(reason, whole.finished->reason);
      EXPECT_EQ(got.tokens.size(), whole.tokens.size());
      EXPECT_EQ(got.scored.size(), whole.scored.size());
    }
    faults_ += reason == FinishReason::kFault ? 1 : 0;
    return true;
  }

  std::mt19937_64 random_;
  Crib crib_;
  ToyMill mill_;
  std::vector<Answer> whole_;  // by kind, undisturbed
  std::vector<One> live_;
  int64_t ended_ = 0, faults_ = 0, late_ = 0, generated_ = 0;
};

TEST(BatchLife, Random) {
  for (uint64_t i = 1; i <= 4; ++i) {
    const uint64_t seed = from_outside("MILL_TEST_SEED", i);
    SCOPED_TRACE("MILL_TEST_SEED=" + std::to_string(seed));
    for (const int64_t window : {0, 40}) {
      Life life(seed, window);
      ASSERT_NO_FATAL_FAILURE(
          life.live(1500 * static_cast<int64_t>(from_outside("MILL_TEST_STEPS", 1))));
    }
  }
}

}  // namespace
}  // namespace mill::engine
