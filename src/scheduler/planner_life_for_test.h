// For a test: the planner, its pool and its prefix index against random life: arrivals with shared
// beginnings, tenants, priorities, deadlines and stop tokens; cancels, drafts, aborted steps,
// faults; pools that are too small. The plain model is a memory of the cache's cells: each holds a
// hash of all that a token builds on, read through the block tables as an attention would, so
// whoever builds on something else than his own tokens and tenant shows at once, and every answer
// is compared with the undisturbed one. Where there are windows a second memory holds the same for
// the windowed blocks, and every token looks at all that its window has.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <map>
#include <random>
#include <set>
#include <sstream>

#include "scheduler/step_planner.h"

namespace mill::scheduler {

inline constexpr uint64_t kNothing = 0;
inline constexpr int kTokens = 3;  // few, so that answers meet and guesses are often right

inline uint64_t after(uint64_t content, TokenId token) {
  uint64_t x = (content ^ static_cast<uint64_t>(token + 1)) * 0x9E3779B97F4A7C15ULL;
  return (x ^ (x >> 29)) * 0xBF58476D1CE4E5B9ULL + 1;
}
inline TokenId answer_to(uint64_t content) {
  return static_cast<TokenId>((content >> 33) % kTokens);
}

struct Answer {
  uint64_t tenant = 0;
  int64_t prompt = 0;
  int64_t max_tokens = 0;
  bool score = false;
  int64_t stop_after = 0;  // the answer stops by itself after so many tokens
  int64_t generated = 0;
  int64_t scored = 0;              // rows of the prompt that came
  std::vector<uint64_t> contents;  // [tokens] what each cell must hold
  uint64_t root() const { return 77 * (tenant + 1); }
};

struct Kind {
  const char* name;
  PlannerLimits limits;
  double load;         // arrivals per step
  double drafts = 0;   // how often a sequence that may draft does
  bool timed = false;  // steps take time, and the planner learns how much
  bool plain = false;  // no priorities
};

class Life {
 public:
  Life(uint64_t seed, const Kind& kind)
      : random_(seed), kind_(kind), load_(kind.load), planner_(kind.limits) {
    memory_.resize(static_cast<size_t>(limits().blocks * limits().block_tokens), kNothing);
    spoilt_.resize(static_cast<size_t>(limits().blocks), false);
    window_memory_.resize(static_cast<size_t>(limits().window_blocks * limits().block_tokens));
    window_spoilt_.resize(static_cast<size_t>(limits().window_blocks), false);
  }

  void step() {
    clock_ += std::chrono::milliseconds(1);
    arrive();
    leave();
    guess();
    if (chance(0.05)) abort_one();
    one_behind_.clear();
    for (const SequenceId id : planner_.running()) {
      if (planner_.sequence(id).one_behind()) one_behind_.insert(id);
    }
    const StepPlan& plan = planner_.plan(clock_);
    check(plan);
    if (plan.empty() || ::testing::Test::HasFailure()) return;
    write(plan);
    const std::vector<Slice> slices = plan.slices;
    planner_.commit();
    if (kind_.timed) {
      planner_.measured(std::chrono::microseconds(500 + 40 * plan.tokens + 20 * plan.logit_rows));
    }
    for (const Slice& slice : slices) draw(slice);
    if (steps_++ % 16 == 0) audit();
  }

  // Nobody arrives any more; all who are there must end.
  void drain() {
    load_ = 0;
    for (int64_t left = 2000000; !answers_.empty(); --left) {
      ASSERT_GT(left, 0) << "somebody never ends";
      ASSERT_NO_FATAL_FAILURE(step());
      if (::testing::Test::HasFailure()) return;
    }
    audit();
    EXPECT_EQ(planner_.pool().free(), limits().blocks);
    EXPECT_EQ(planner_.window_pool().free(), limits().window_blocks);
    EXPECT_EQ(planner_.totals().prompt_tokens + planner_.totals().cached_tokens, prompt_tokens_);
  }

  int64_t held_back = 0;
  int64_t ended = 0, cancelled = 0, expired = 0, refused = 0, right = 0, wrong = 0, aborted = 0;
  const StepPlanner& planner() const { return planner_; }
  int64_t steps() const { return steps_; }

 private:
  const PlannerLimits& limits() const { return kind_.limits; }
  int64_t upto(int64_t most) { return std::uniform_int_distribution<int64_t>(0, most)(random_); }
  bool chance(double p) { return std::bernoulli_distribution(p)(random_); }

  // The content of a cell behind `content`. Where answers are apart, it is another for a token of
  // an answer.
  uint64_t after_in(const Sequence& s, uint64_t content, int64_t position, TokenId token) const {
    const bool apart = limits().answers_apart && position >= s.prompt_tokens;
    return after(content, apart ? token + 1000 : token);
  }

  // Beginnings are of a few families, so that many are alike for a while, or what a sequence that
  // has ended was: the next turn of a chat.
  std::vector<TokenId> prompt_of(int64_t size) {
    if (last_.size() > 1 && chance(0.2)) {
      std::vector<TokenId> prompt = last_;
      while (std::ssize(prompt) < size) prompt.push_back(static_cast<TokenId>(upto(kTokens - 1)));
      prompt.resize(static_cast<size_t>(size));
      return prompt;
    }
    const auto family = static_cast<uint64_t>(upto(2));
    const int64_t alike = chance(0.7) ? upto(size) : 0;
    std::vector<TokenId> prompt;
    for (int64_t p = 0; p < size; ++p) {
      prompt.push_back(p < alike ? answer_to(after(family, static_cast<TokenId>(p)))
                                 : static_cast<TokenId>(upto(kTokens - 1)));
    }
    return prompt;
  }

  void arrive() {
    while (load_ > 0 && chance(load_)) {
      const int64_t capacity = planner_.capacity_tokens();
      const int64_t answer = chance(0.5) ? capacity / 3 : capacity;
      Answer a{.tenant = static_cast<uint64_t>(upto(1))};
      a.prompt = 1 + (chance(0.1) ? upto(capacity - 1) : upto(capacity / 4));
      a.score = chance(0.15);
      a.max_tokens = a.score && a.prompt > 1 && chance(0.5) ? 0 : 1 + upto(answer);
      a.stop_after = 1 + upto(answer);
      NewSequence call{.prompt = prompt_of(a.prompt),
                       .max_tokens = a.max_tokens,
                       .score_prompt = a.score,
                       .tenant = a.tenant,
                       .salt = {.high = a.tenant, .low = 5}};
      for (const TokenId token : call.prompt) {
        a.contents.push_back(after(a.contents.empty() ? a.root() : a.contents.back(), token));
      }
      if (chance(0.1)) call.deadline = clock_ + std::chrono::milliseconds(upto(60));
      if (!kind_.plain && chance(0.2)) call.yield = std::chrono::milliseconds(upto(300) - 100);
      if (!kind_.plain && chance(0.2)) call.priority = static_cast<int32_t>(upto(6)) - 3;
      const bool fits = a.prompt + a.max_tokens <= capacity;
      const bool room = planner_.size() < limits().max_running + limits().max_waiting;
      const auto id = planner_.add(std::move(call), clock_);
      ASSERT_EQ(id.has_value(), fits && room);
      if (!id) {
        ASSERT_EQ(id.error().code, fits ? Code::kOverloaded : Code::kTooLarge);
        ++refused;
        continue;
      }
      ASSERT_TRUE(answers_.emplace(*id, std::move(a)).second) << "a place was given twice";
    }
  }

  void leave() {
    if (!answers_.empty() && chance(0.03)) {
      const auto who = std::next(answers_.begin(), upto(static_cast<int64_t>(answers_.size()) - 1));
      ++cancelled;
      if (chance(0.3)) spoil(who->first);
      end(who->first);
    }
    const auto late = planner_.expired(clock_);
    for (const SequenceId id : std::vector<SequenceId>(late.begin(), late.end())) {
      ASSERT_LE(planner_.sequence(id).deadline, clock_);
      ++expired;
      end(id);
    }
  }

  // What this sequence computed is bad: nobody may get such a block before it was zeroed.
  void spoil(SequenceId id) {
    const Sequence& s = planner_.sequence(id);
    for (size_t k = 0; k < std::min(s.chain.size(), s.window_blocks.size()); ++k) {
      if (s.window_blocks[k] != kNoBlock) continue;
      const BlockId block = planner_.window_index().find(s.chain[k]);  // behind, but to be found
      if (block != kNoBlock) window_spoilt_[static_cast<size_t>(block)] = true;
    }
    planner_.taint(id);
    for (const BlockId block : s.blocks) {
      spoilt_[static_cast<size_t>(block)] = true;
      ASSERT_FALSE(planner_.index().holds(block));
    }
    for (size_t k = 0; k < s.window_blocks.size(); ++k) {
      const BlockId block = s.window_blocks[k];
      if (block != kNoBlock) {
        window_spoilt_[static_cast<size_t>(block)] = true;
        ASSERT_FALSE(planner_.window_index().holds(block));
      } else if (k < s.chain.size()) {
        ASSERT_EQ(planner_.window_index().find(s.chain[k]), kNoBlock);
      }
    }
  }

  void end(SequenceId id) {
    prompt_tokens_ += planner_.sequence(id).prompt_seen;
    last_ = planner_.sequence(id).tokens;
    planner_.finish(id);
    answers_.erase(id);
    ++ended;
  }

  void guess() {
    if (kind_.drafts == 0) return;
    for (const SequenceId id : planner_.running()) {
      if (!planner_.may_draft(id) || !chance(kind_.drafts)) continue;
      uint64_t content = answers_.at(id).contents.back();
      const Sequence& s = planner_.sequence(id);
      std::vector<TokenId> drafts;
      for (int64_t left = upto(9); left > 0; --left) {
        const TokenId right_one = answer_to(content);
        drafts.push_back(chance(0.8) ? right_one : static_cast<TokenId>(upto(kTokens)));
        content = after_in(s, content, s.prompt_tokens, drafts.back());
      }
      planner_.draft(id, drafts);
    }
  }

  void abort_one() {
    const std::string before = fingerprint();
    if (planner_.plan(clock_).empty()) return;
    ASSERT_TRUE(planner_.audit().has_value()) << planner_.audit().error().message;
    planner_.abort();
    ++aborted;
    ASSERT_EQ(fingerprint(), before) << "an aborted step left a trace";
  }

  // All the books, to the order of the free blocks.
  std::string fingerprint() const {
    std::ostringstream out;
    for (const auto& [id, answer] : answers_) {
      const Sequence& s = planner_.sequence(id);
      out << id << ':' << static_cast<int>(s.state) << ' ' << s.tokens.size() << ' ' << s.computed
          << ' ' << s.logits_from << ' ' << s.published << ' ' << s.cached_tokens << ' '
          << s.prompt_seen << ' ' << s.chain.size() << ' ' << s.drafts.size() << ' ' << s.drafted_at
          << " [";
      for (const BlockId block : s.blocks) out << block << ' ';
      out << "] " << s.slid << ' ' << s.lent << " [";
      for (const BlockId block : s.window_blocks) out << block << ' ';
      out << "]\n";
    }
    for (const SequenceId id : planner_.running()) out << id << ' ';
    for (const auto& place : planner_.waiting()) out << '-' << place.id << ' ';
    const auto print = [&](const BlockPool& pool, const PrefixIndex& index) {
      out << "\nfree ";
      for (const BlockId block : pool.line()) out << block << ' ';
      for (BlockId block = 0; block < pool.total(); ++block) {
        out << pool.owners(block);
        if (index.holds(block)) out << '=' << index.name_of(block).first;
        out << ' ';
      }
    };
    print(planner_.pool(), planner_.index());
    print(planner_.window_pool(), planner_.window_index());
    const StepPlanner::Totals& t = planner_.totals();
    out << t.preemptions << ' ' << t.prompt_tokens << ' ' << t.cached_tokens;
    return out.str();
  }

  void check(const StepPlan& plan) {
    ASSERT_EQ(plan.empty(), answers_.empty());
    if (plan.empty()) return;
    int64_t tokens = 0;
    int64_t rows = 0;
    int64_t prefill = 0;
    bool decodes = false;
    std::map<SequenceId, int> seen;
    for (const Slice& slice : plan.slices) {
      const Sequence& s = planner_.sequence(slice.sequence);
      ASSERT_EQ(++seen[slice.sequence], 1) << "two slices of one sequence";
      ASSERT_EQ(s.state, Sequence::State::kRunning);
      ASSERT_EQ(slice.first, s.computed);
      ASSERT_GT(slice.count, slice.drafts);
      ASSERT_LE(slice.first + slice.count - slice.drafts, s.goal());
      ASSERT_GE(std::ssize(s.blocks) * limits().block_tokens, slice.first + slice.count);
      ASSERT_EQ(slice.logit_rows, std::max<int64_t>(0, slice.first + slice.count - s.logits_from));
      tokens += slice.count;
      rows += slice.logit_rows;
      const bool decode = one_behind_.contains(slice.sequence);
      decodes = decodes || decode;
      // A prompt of one token that came in ahead of others is one behind from its start.
      const bool tiny = slice.first == 0 && s.goal() == 1;
      if (!decode && !tiny) prefill += slice.count - slice.drafts;
      if (slice.drafts > 0) {
        ASSERT_EQ(s.goal() - slice.first, 1);
      }
      check_memory(s, answers_.at(slice.sequence));
    }
    ASSERT_EQ(tokens, plan.tokens);
    ASSERT_EQ(rows, plan.logit_rows);
    ASSERT_LE(tokens, limits().step_tokens);
    ASSERT_LE(rows, limits().logit_rows);
    if (decodes) {
      ASSERT_LE(prefill, limits().prefill_tokens);
    }
    check_order(seen);
    check_shares(seen);
  }

  // Who decodes moves in every step, unless its turn is still to come while another tenant's has;
  // or it is the last, for whom there is no block.
  void check_shares(const std::map<SequenceId, int>& seen) {
    const std::span<const SequenceId> running = planner_.running();
    const auto due = [&](SequenceId id) { return planner_.sequence(id).rank <= clock_; };
    for (const SequenceId id : running) {
      if (!one_behind_.contains(id) || seen.contains(id) || id == running.back()) continue;
      const uint64_t tenant = planner_.sequence(id).tenant;
      ASSERT_FALSE(due(id)) << "its turn had come";
      ASSERT_TRUE(std::any_of(running.begin(), running.end(), [&](SequenceId other) {
        return due(other) && planner_.sequence(other).tenant != tenant;
      })) << "nobody was in its way";
      ++held_back;
    }
  }

  void check_order(const std::map<SequenceId, int>& seen) {
    ASSERT_TRUE(seen.contains(planner_.running().front())) << "the first did not move";
    if (planner_.waiting().empty()) return;
    const Sequence& runs = planner_.sequence(planner_.running().front());
    const StepPlanner::Place& waits = *planner_.waiting().begin();
    ASSERT_LT(std::pair(runs.rank, runs.arrival), std::pair(waits.rank, waits.arrival))
        << "the first of all waits";
    if (!kind_.plain) return;
    for (const SequenceId id : planner_.running()) {
      ASSERT_LT(planner_.sequence(id).arrival, waits.arrival) << "somebody was overtaken";
    }
  }

  // Every token that counts as computed lies where the block table says.
  void check_memory(const Sequence& s, const Answer& a) {
    for (int64_t p = 0; p < s.computed; ++p) {
      ASSERT_EQ(cell(s, p), a.contents[static_cast<size_t>(p)]) << "it builds on something else";
    }
    check_window(s, s.computed);
  }

  // What the token at `position` sees of the windowed blocks is there.
  void check_window(const Sequence& s, int64_t position) {
    if (limits().window == 0) return;
    for (int64_t p = std::max<int64_t>(position - limits().window + 1, 0); p < position; ++p) {
      const BlockId block = s.window_blocks[static_cast<size_t>(p / limits().block_tokens)];
      ASSERT_NE(block, kNoBlock) << "what a window shows was released";
      ASSERT_EQ(window_cell(s, p), cell(s, p)) << "a window shows something else";
    }
  }

  uint64_t& window_cell(const Sequence& s, int64_t p) {
    const int64_t block = s.window_blocks[static_cast<size_t>(p / limits().block_tokens)];
    return window_memory_[static_cast<size_t>(block * limits().block_tokens +
                                              p % limits().block_tokens)];
  }

  uint64_t& cell(const Sequence& s, int64_t p) {
    const int64_t block = s.blocks[static_cast<size_t>(p / limits().block_tokens)];
    return memory_[static_cast<size_t>(block * limits().block_tokens + p % limits().block_tokens)];
  }

  void write(const StepPlan& plan) {
    for (const BlockId block : plan.scrub) spoilt_[static_cast<size_t>(block)] = false;
    for (const BlockId block : plan.scrub_windowed) {
      window_spoilt_[static_cast<size_t>(block)] = false;
    }
    for (const Slice& slice : plan.slices) {
      const Sequence& s = planner_.sequence(slice.sequence);
      uint64_t content =
          slice.first == 0 ? answers_.at(slice.sequence).root() : cell(s, slice.first - 1);
      int64_t p = slice.first;
      for (const TokenId token : planner_.tokens(slice)) {
        const BlockId block = s.blocks[static_cast<size_t>(p / limits().block_tokens)];
        ASSERT_EQ(planner_.pool().owners(block), 1) << "somebody else reads what is written";
        ASSERT_FALSE(planner_.index().holds(block)) << "a cached prefix is written over";
        ASSERT_FALSE(spoilt_[static_cast<size_t>(block)]) << "a bad block was not zeroed";
        cell(s, p) = content = after_in(s, content, p, token);
        write_windowed(s, p++, content);
      }
    }
  }

  void write_windowed(const Sequence& s, int64_t p, uint64_t content) {
    if (limits().window == 0) return;
    ASSERT_NO_FATAL_FAILURE(check_window(s, p));
    const BlockId block = s.window_blocks[static_cast<size_t>(p / limits().block_tokens)];
    ASSERT_NE(block, kNoBlock);
    ASSERT_EQ(planner_.window_pool().owners(block), 1) << "somebody else reads what is written";
    ASSERT_FALSE(planner_.window_index().holds(block)) << "a cached prefix is written over";
    ASSERT_FALSE(window_spoilt_[static_cast<size_t>(block)]) << "a bad block was not zeroed";
    window_cell(s, p) = content;
  }

  void draw(const Slice& slice) {
    Answer& a = answers_.at(slice.sequence);
    const int64_t end_of_slice = slice.first + slice.count;
    const auto size = std::ssize(a.contents);
    for (int64_t next = end_of_slice - slice.logit_rows + 1; next <= end_of_slice; ++next) {
      if (next < size) {
        ++a.scored;
        continue;
      }
      const Sequence& s = planner_.sequence(slice.sequence);
      const TokenId token = answer_to(cell(s, next - 1));
      ASSERT_EQ(token, answer_to(a.contents.back())) << "not the undisturbed answer";
      if (slice.drafts > 0 && chance(0.02)) {
        planner_.retract(slice.sequence);
        return;
      }
      const bool ends = ++a.generated == a.max_tokens || a.generated == a.stop_after;
      if (ends && chance(0.5)) return finish_answer(slice.sequence, a);  // by a stop token
      const bool guessed = planner_.drafted(slice.sequence, token);
      const bool more = planner_.accept(slice.sequence, token);
      ASSERT_EQ(more, guessed);
      a.contents.push_back(after_in(s, a.contents.back(), s.prompt_tokens, token));
      (more ? right : wrong) += slice.drafts > 0 ? 1 : 0;
      if (ends) return finish_answer(slice.sequence, a);
      if (!more) return;
    }
    const Sequence& s = planner_.sequence(slice.sequence);
    if (!s.generates && s.computed == s.goal()) finish_answer(slice.sequence, a);
  }

  void finish_answer(SequenceId id, const Answer& a) {
    ASSERT_EQ(a.scored, a.score ? a.prompt - 1 : 0) << "a row was asked for twice, or never";
    const Sequence& s = planner_.sequence(id);
    ASSERT_EQ(s.prompt_seen, a.max_tokens == 0 ? a.prompt - 1 : a.prompt);
    if (a.score) {
      ASSERT_EQ(s.cached_tokens, 0);
    }
    end(id);
  }

  void audit() {
    const Status books = planner_.audit();
    ASSERT_TRUE(books.has_value()) << books.error().message;
  }

  std::mt19937_64 random_;
  const Kind kind_;
  double load_;
  StepPlanner planner_;
  std::map<SequenceId, Answer> answers_;
  std::vector<uint64_t> memory_;         // [blocks * block_tokens]
  std::vector<bool> spoilt_;             // [blocks]
  std::vector<uint64_t> window_memory_;  // [window_blocks * block_tokens]
  std::vector<bool> window_spoilt_;      // [window_blocks]
  std::set<SequenceId> one_behind_;      // of those who ran before the plan
  Instant clock_{};
  int64_t steps_ = 0;
  int64_t prompt_tokens_ = 0;
  std::vector<TokenId> last_;  // prompt and answer of the last that ended
};

}  // namespace mill::scheduler
