// A soak: real engines, one after the other, each with too few blocks, and client threads that ask,
// leave, cancel, set deadlines and stops, and shorten answers, all at random; an engine ends at
// rest, by a drain or by being killed in the middle. What a client got is held against the answer
// that the same request gets alone. The engines are of the toy model, whose cache betrays every
// mixed-up block, and of small real decoders.
//
//   mill_soak_test [--seconds N] [--seed S]     5 seconds and a seed of chance, which is printed
//
// The seed decides what is asked and when; how the threads meet is the machine's affair.
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <cstdio>
#include <memory>
#include <random>
#include <shared_mutex>
#include <string>
#include <thread>

#include "base/log.h"
#include "engine/engine.h"
#include "engine/ngram_drafter.h"
#include "engine/toy_mill.h"
#include "model/tiny_model.h"

namespace mill::engine {
namespace {

using namespace std::chrono_literals;
using work::FinishReason;

double seconds_to_soak = 5;
uint64_t soak_seed = 0;

constexpr int kClients = 6;
constexpr Duration kStuck = 120s;  // a sanitizer on a busy machine is slow; a dead lock is for ever

class Dice {
 public:
  explicit Dice(std::initializer_list<uint64_t> seed) {
    std::seed_seq words(seed.begin(), seed.end());
    random_.seed(words);
  }
  int64_t below(int64_t end) {
    return static_cast<int64_t>(random_() % static_cast<uint64_t>(end));
  }
  int64_t from(int64_t first, int64_t last) { return first + below(last - first + 1); }
  bool one_in(int64_t n) { return below(n) == 0; }

 private:
  std::mt19937_64 random_;
};

// A model, and what it answers to each kind of wild() when nobody interferes.
class Subject {
 public:
  using Make = std::function<std::unique_ptr<Forward>(tensor::ThreadPool&)>;

  Subject(std::string of, Make forward) : name(std::move(of)), make(std::move(forward)) {
    tensor::ThreadPool alone(1);
    const std::shared_ptr<Forward> one = make(alone);
    const scheduler::PlannerLimits roomy{.blocks = 40, .max_running = 4, .step_tokens = 96};
    for (uint64_t kind = 0; kind < kWildKinds; ++kind) {
      Trial trial(one, roomy);
      whole.push_back(trial.answer(wild(kind)));
      known.emplace_back(wild(kind).prompt, whole.back().tokens);
    }
  }

  const std::string name;
  const Make make;
  std::vector<Answer> whole;                     // by kind
  std::vector<std::pair<Tokens, Tokens>> known;  // for Crib
};

Subject::Make toy(int64_t window) {
  // So many words that an answer seldom comes to the poison by itself.
  return [=](tensor::ThreadPool&) {
    return std::make_unique<ToyForward>(
        ToyForward::Options{.vocabulary = 400, .window = window, .poison = kPoison});
  };
}

Subject::Make decoder(const std::string& architecture, tensor::KvType kv_type) {
  // The decoder reads its embeddings from the file's bytes.
  const auto bytes = std::make_shared<const std::vector<std::byte>>(
      model::tiny_model(architecture, {.context = 512}).build());
  return [=](tensor::ThreadPool& pool) -> std::unique_ptr<Forward> {
    static const std::unique_ptr<tensor::Backend> backend =
        std::move(*tensor::make_backend(tensor::backend_names().front()));
    auto file = model::Gguf::parse(*bytes);
    MILL_CHECK(file.has_value());
    auto made =
        model::Decoder::load(std::make_shared<model::Gguf>(std::move(*file)), *backend, pool,
                             {.batch_tokens = 128, .logit_rows = 64, .kv_type = kv_type}, {});
    MILL_CHECK(made.has_value());
    return make_forward(std::move(*made));
  };
}

// What has happened so far, all engines together.
struct Counts {
  std::atomic<int64_t> asked{0}, refused{0}, dropped{0}, ended{0};
  std::array<std::atomic<int64_t>, 5> by_reason{};  // of FinishReason
  int64_t engines = 0, drained = 0, killed = 0;     // the main thread's alone, like what follows
  int64_t steps = 0, preemptions = 0, cached_tokens = 0, accepted = 0, rejected = 0;

  void add(const work::Load& load) {
    steps += load.steps;
    preemptions += load.preemptions;
    cached_tokens += load.cached_tokens;
    accepted += load.accepted_drafts;
    rejected += load.rejected_drafts;
  }
  void print(double seconds) const {
    std::printf(
        "%.0f s: %ld engines (%ld drained, %ld killed), %ld requests: %ld ended (%ld length, %ld "
        "stop, %ld cancelled, %ld late, %ld faults), %ld dropped, %ld refused; %ld steps, %ld "
        "preemptions, %ld cached tokens, %ld right and %ld wrong guesses\n",
        seconds, engines, drained, killed, asked.load(), ended.load(), of(FinishReason::kLength),
        of(FinishReason::kStop), of(FinishReason::kCancelled), of(FinishReason::kDeadline),
        of(FinishReason::kFault), dropped.load(), refused.load(), steps, preemptions, cached_tokens,
        accepted, rejected);
    std::fflush(stdout);
  }
  int64_t of(FinishReason reason) const { return by_reason[static_cast<size_t>(reason)]; }
};

// An engine and its clients, until it is at rest, drained or killed.
class Era {
 public:
  Era(const Subject& subject, uint64_t seed, uint64_t number, Counts& counts)
      : subject_(subject),
        seed_(seed),
        number_(number),
        counts_(counts),
        dice_({seed, number}),
        pool_(static_cast<int>(dice_.from(1, 2))) {
    crib_.known = subject.known;
    crib_.say = [this, drawn = uint64_t{0}](TokenId truth, size_t) mutable {
      return uniform_at(seed_, static_cast<uint32_t>(number_), drawn++) < 0.25 ? truth ^ 1 : truth;
    };
    auto forward = subject.make(pool_);
    const EngineOptions options =
        random_options(forward->block_bytes() + forward->window_block_bytes());
    auto started = Engine::start(std::move(forward), pool_, options);
    MILL_CHECK(started.has_value());
    engine_ = std::move(*started);
  }

  void live() {
    ++counts_.engines;
    const int64_t bouts = dice_.from(1, 3);
    for (int64_t bout = 1; bout < bouts; ++bout) {
      std::vector<std::jthread> clients = start_clients(bout);
      clients.clear();
      come_to_rest();
    }
    std::vector<std::jthread> clients = start_clients(bouts);
    std::this_thread::sleep_for(std::chrono::milliseconds(dice_.from(1, 300)));
    switch (dice_.below(3)) {
      case 0:  // at rest
        clients.clear();
        come_to_rest();
        break;
      case 1:  // drained, with more or less patience
        counts_.drained += 1;
        if (engine_->drain(now() + std::chrono::milliseconds(dice_.below(200)))) expect_idle();
        break;
      default:
        counts_.killed += 1;
    }
    counts_.add(engine_->load());
    kill();
  }

 private:
  enum class Fate { kStay, kCancel, kDrop };
  struct Request {
    uint64_t kind = 0;
    work::Order order;
    Fate fate = Fate::kStay;
    int64_t leave_at = 0;  // tokens
    Tokens tokens;         // of its answer, if nobody interferes
    FinishReason reason = FinishReason::kLength;
  };

  EngineOptions random_options(size_t block_bytes) {
    const auto batch = static_cast<int32_t>(dice_.from(2, 8));
    EngineOptions options{.kv_bytes = static_cast<size_t>(dice_.from(10, 24)) * block_bytes,
                          .max_batch = batch,
                          .queue = static_cast<int32_t>(dice_.from(0, 16)),
                          .step_tokens = static_cast<int32_t>(dice_.from(batch, 128)),
                          .prefill_chunk = static_cast<int32_t>(dice_.from(1, 64)),
                          .itl_target = dice_.one_in(2) ? Duration{} : 2ms,
                          .ttft_target = dice_.one_in(2) ? Duration{} : 20ms,
                          .prefix_cache = !dice_.one_in(8)};
    if (dice_.one_in(4)) {
      options.drafters = [] { return std::make_unique<NgramDrafter>(); };
    } else {
      options.drafters = crib_.drafters();
    }
    return options;
  }

  std::vector<std::jthread> start_clients(int64_t bout) {
    const Instant until = now() + std::chrono::milliseconds(dice_.from(50, 500));
    std::vector<std::jthread> clients;
    for (uint64_t client = 0; client < kClients; ++client) {
      clients.emplace_back([this, bout, client, until] {
        Dice dice({seed_, number_, static_cast<uint64_t>(bout), client});
        while (now() < until && ask_some(dice)) {
        }
      });
    }
    return clients;
  }

  // A few requests at once, their answers read one after the other. False: the engine is gone.
  bool ask_some(Dice& dice) {
    std::vector<std::pair<Request, work::TokenStream>> open;
    bool there = true;
    for (int64_t wanted = dice.from(1, 4); there && std::ssize(open) < wanted;) {
      if (dice.one_in(20)) there = ask_nonsense(dice);
      Request request = random_request(dice);
      std::shared_lock holds_it(door_);
      there = there && engine_ != nullptr;
      if (!there) break;
      auto stream = engine_->submit(request.order);
      if (!stream) {
        EXPECT_EQ(stream.error().code, Code::kOverloaded) << stream.error().message;
        ++counts_.refused;
        break;
      }
      ++counts_.asked;
      open.emplace_back(std::move(request), std::move(*stream));
    }
    while (!open.empty()) {
      const auto next = open.begin() + dice.below(std::ssize(open));
      follow(next->first, next->second, dice);
      open.erase(next);
    }
    if (dice.one_in(2)) std::this_thread::sleep_for(1ms);  // or refusals would be all there is
    return there && !::testing::Test::HasFailure();
  }

  // What must be refused, whatever the state of the engine.
  bool ask_nonsense(Dice& dice) {
    work::Order order = wild(0);
    if (dice.one_in(2)) {
      order.prompt.clear();
    } else {
      order.prompt.back() = 1 << 20;
    }
    std::shared_lock holds_it(door_);
    if (!engine_) return false;
    const auto stream = engine_->submit(std::move(order));
    EXPECT_FALSE(stream.has_value());
    if (!stream) {
      EXPECT_EQ(stream.error().code, Code::kInvalid);
    }
    return true;
  }

  Request random_request(Dice& dice) {
    const auto kind = static_cast<uint64_t>(dice.below(kWildKinds));
    const Answer& whole = subject_.whole[kind];
    Request request{.kind = kind,
                    .order = wild(kind),
                    .tokens = whole.tokens,
                    .reason = whole.finished->reason};
    work::Order& order = request.order;
    order.priority = static_cast<int32_t>(dice.from(-2, 2));
    order.tenant = static_cast<uint64_t>(dice.below(3));
    order.cache_salt = {order.tenant, 0};
    if (dice.one_in(2)) order.yield = std::chrono::milliseconds(dice.from(-1500, 3000));
    order.speculate = !dice.one_in(4);
    if (dice.one_in(4)) {
      order.max_tokens = static_cast<int32_t>(dice.from(1, order.max_tokens));
      if (std::ssize(request.tokens) >= order.max_tokens) {
        request.tokens.resize(static_cast<size_t>(order.max_tokens));
        request.reason = FinishReason::kLength;
      }
    }
    if (dice.one_in(4) && !request.tokens.empty()) {
      const TokenId stop =
          request.tokens[static_cast<size_t>(dice.below(std::ssize(request.tokens)))];
      order.stop_tokens = {stop};
      request.tokens.erase(std::find(request.tokens.begin(), request.tokens.end(), stop),
                           request.tokens.end());
      request.reason = FinishReason::kStop;
    }
    if (dice.one_in(8)) order.deadline = now() + std::chrono::milliseconds(dice.below(50));
    if (dice.one_in(3)) {
      request.fate = dice.one_in(2) ? Fate::kCancel : Fate::kDrop;
      request.leave_at = dice.below(80);
    }
    return request;
  }

  // Reads an answer to its end, or to where its reader leaves.
  void follow(const Request& request, work::TokenStream& stream, Dice& dice) {
    if (dice.one_in(10)) std::this_thread::sleep_for(std::chrono::milliseconds(dice.below(20)));
    Answer got;
    bool left = false;
    while (!got.finished) {
      if (!left && request.fate != Fate::kStay && std::ssize(got.tokens) >= request.leave_at) {
        if (request.fate == Fate::kDrop) {
          ++counts_.dropped;
          return;  // the caller drops the stream
        }
        stream.cancel();
        left = true;
      }
      auto event = stream.next_blocking(now() + kStuck);
      if (!event) {
        ADD_FAILURE() << name_of(request) << ": stuck, or ended without Finished";
        return;
      }
      if (auto* finished = std::get_if<work::Finished>(&*event)) {
        got.finished = *finished;
      } else {
        keep(std::get<work::Piece>(std::move(*event)), got);
      }
    }
    EXPECT_FALSE(stream.next_blocking().has_value()) << "something came after Finished";
    ++counts_.ended;
    ++counts_.by_reason[static_cast<size_t>(got.finished->reason)];
    check(request, got, left);
  }

  static void keep(work::Piece piece, Answer& answer) {
    if (piece.of_prompt) {
      answer.scored.push_back(std::move(piece));
    } else {
      answer.tokens.push_back(piece.token);
      answer.logprobs.push_back(piece.logprob);
    }
  }

  std::string name_of(const Request& request) const {
    return subject_.name + ", engine " + std::to_string(number_) + ", kind " +
           std::to_string(request.kind);
  }

  // What came is a beginning of the undisturbed answer, and all of it unless somebody interfered.
  void check(const Request& request, const Answer& got, bool left) {
    SCOPED_TRACE(name_of(request));
    const Answer& whole = subject_.whole[request.kind];
    const FinishReason reason = got.finished->reason;
    ASSERT_LE(got.tokens.size(), request.tokens.size());
    EXPECT_TRUE(std::equal(got.tokens.begin(), got.tokens.end(), request.tokens.begin()));
    EXPECT_TRUE(std::equal(got.logprobs.begin(), got.logprobs.end(), whole.logprobs.begin()));
    ASSERT_LE(got.scored.size(), whole.scored.size());
    for (size_t i = 0; i < got.scored.size(); ++i) {
      EXPECT_EQ(got.scored[i].logprob, whole.scored[i].logprob) << i;
    }
    const work::Usage& usage = got.finished->usage;
    const bool stopped = reason == FinishReason::kStop;
    EXPECT_EQ(usage.prompt_tokens, std::ssize(request.order.prompt));
    EXPECT_EQ(usage.completion_tokens, std::ssize(got.tokens) + (stopped ? 1 : 0));
    EXPECT_LE(usage.cached_tokens, usage.prompt_tokens);
    EXPECT_LE(usage.accepted_drafts, usage.completion_tokens);
    if (!request.order.speculate) {
      EXPECT_EQ(usage.accepted_drafts + usage.rejected_drafts, 0);
    }
    if (reason == FinishReason::kDeadline) {
      EXPECT_NE(request.order.deadline, kNever);
    } else if (reason == FinishReason::kCancelled) {
      EXPECT_TRUE(left || killed_);
    } else {
      EXPECT_EQ(reason, request.reason);
      EXPECT_EQ(got.tokens.size(), request.tokens.size());
      EXPECT_EQ(got.scored.size(), whole.scored.size());
    }
    EXPECT_EQ(got.finished->fault.has_value(), reason == FinishReason::kFault);
  }

  // Nobody asks any more; those who were dropped end within two steps. The engine then audits its
  // own books (Engine::wait_for_work), and every block is back.
  void come_to_rest() {
    const Instant deadline = now() + kStuck;
    const auto busy = [&] {
      const work::Load load = engine_->load();
      return load.running > 0 || load.waiting > 0;
    };
    while (busy() && now() < deadline) std::this_thread::sleep_for(1ms);
    expect_idle();
  }

  void expect_idle() const {
    const work::Load load = engine_->load();
    EXPECT_EQ(load.running, 0);
    EXPECT_EQ(load.waiting, 0);
    EXPECT_EQ(load.kv_blocks_free, load.kv_blocks_total);
    EXPECT_EQ(load.kv_window_blocks_free, load.kv_window_blocks_total);
  }

  void kill() {
    std::unique_ptr<Engine> dying;
    {
      std::unique_lock nobody_submits(door_);
      killed_ = true;
      dying = std::move(engine_);
    }
  }

  const Subject& subject_;
  const uint64_t seed_, number_;
  Counts& counts_;
  Dice dice_;
  tensor::ThreadPool pool_;
  Crib crib_;               // of the engine's step thread
  std::shared_mutex door_;  // held shared by who uses the engine, alone by who takes it away
  std::unique_ptr<Engine> engine_;
  std::atomic<bool> killed_{false};
};

TEST(Soak, NothingIsLostWrongOrLeakedWhateverClientsDo) {
  set_log_level(LogLevel::kError);
  std::printf("seed %lu, %.0f s\n", soak_seed, seconds_to_soak);
  const std::array subjects = {Subject("toy", toy(0)), Subject("toy with windows", toy(50)),
                               Subject("llama", decoder("llama", tensor::KvType::kI8)),
                               Subject("gemma3", decoder("gemma3", tensor::KvType::kBF16))};
  Counts counts;
  const Instant start = now();
  double told = 0;
  for (uint64_t number = 1; !HasFailure(); ++number) {
    const double seconds = to_seconds(now() - start);
    if (seconds >= seconds_to_soak) break;
    if (seconds >= told + 60) counts.print(told = seconds);
    // Every second engine is of the toy: its forward costs nothing, so that it sees the most.
    const size_t turn = number % 2 == 0 ? 0 : number / 2 % 2 + 1;
    SCOPED_TRACE("--seed " + std::to_string(soak_seed));
    Era(subjects[turn], soak_seed, number, counts).live();
  }
  counts.print(to_seconds(now() - start));
  EXPECT_GT(counts.ended, 100);
  EXPECT_GT(counts.of(FinishReason::kCancelled), 0);
  EXPECT_GT(counts.of(FinishReason::kFault), 0);
  EXPECT_GT(counts.dropped, 0);
  EXPECT_GT(counts.preemptions, 0);
  EXPECT_GT(counts.cached_tokens, 0);
  EXPECT_GT(counts.accepted, 0);
}

}  // namespace
}  // namespace mill::engine

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  mill::engine::soak_seed = std::random_device{}();
  for (int i = 1; i < argc; i += 2) {
    const std::string flag = argv[i];
    if (i + 1 == argc || (flag != "--seconds" && flag != "--seed")) {
      std::fprintf(stderr, "usage: %s [--seconds N] [--seed S]\n", argv[0]);
      return 2;
    }
    if (flag == "--seconds") mill::engine::seconds_to_soak = std::stod(argv[i + 1]);
    if (flag == "--seed") mill::engine::soak_seed = std::stoull(argv[i + 1]);
  }
  return RUN_ALL_TESTS();
}
