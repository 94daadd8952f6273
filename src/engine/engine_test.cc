#include "engine/engine.h"

#include <gtest/gtest.h>

#include <atomic>
#include <random>
#include <semaphore>
#include <thread>

#include "engine/toy_forward.h"
#include "engine/trial.h"

namespace mill::engine {
namespace {

using work::FinishReason;
using work::Order;
// Reads to the end, and that nothing comes behind it.
Answer read_all(work::TokenStream& stream) {
  Answer answer;
  for (;;) {
    auto event = stream.next_blocking();
    EXPECT_TRUE(event.has_value()) << "a stream ended without Finished";
    if (!event) return answer;
    if (auto* finished = std::get_if<work::Finished>(&*event)) {
      answer.finished = *finished;
      EXPECT_FALSE(stream.next_blocking().has_value()) << "something came after Finished";
      return answer;
    }
    answer.tokens.push_back(std::get<work::Piece>(*event).token);
  }
}

std::unique_ptr<Engine> start(tensor::ThreadPool& pool, EngineOptions options = {},
                              ToyForward::Options toy = {}) {
  if (options.kv_bytes == 0) options.kv_bytes = 1 << 18;
  auto engine = Engine::start(std::make_unique<ToyForward>(std::move(toy)), pool, options);
  EXPECT_TRUE(engine.has_value()) << (engine ? "" : engine.error().message);
  return std::move(*engine);
}

void expect_idle(const Engine& engine) {
  const work::Load load = engine.load();
  EXPECT_EQ(load.running, 0);
  EXPECT_EQ(load.waiting, 0);
  EXPECT_EQ(load.kv_blocks_free, load.kv_blocks_total);
}

// Holds the model at the door of its forward until the test lets it go on.
struct Gate {
  std::counting_semaphore<> entered{0};
  std::counting_semaphore<> go{0};
  std::atomic<bool> open{false};

  auto hook() {
    return [this](std::span<const model::SequenceSlice>) {
      if (open) return;
      entered.release();
      go.acquire();
    };
  }
  void let_all_pass() {
    open = true;
    go.release();
  }
};

TEST(Engine, SixteenStreamsFromFourThreads) {
  tensor::ThreadPool pool(2);
  const auto engine = start(pool);
  std::vector<std::thread> clients;
  for (uint64_t client = 0; client < 4; ++client) {
    clients.emplace_back([&, client] {
      for (int round = 0; round < 5; ++round) {
        std::vector<work::TokenStream> streams;
        for (uint64_t i = 0; i < 4; ++i) {
          auto stream = engine->submit(greedy(prompt_of(20 + 60 * static_cast<int64_t>(i), i), 40));
          ASSERT_TRUE(stream.has_value());
          streams.push_back(std::move(*stream));
        }
        for (uint64_t i = 0; i < 4; ++i) {
          const Answer answer = read_all(streams[i]);
          const Tokens prompt = prompt_of(20 + 60 * static_cast<int64_t>(i), i);
          EXPECT_EQ(answer.tokens, ToyForward::greedy(prompt, 40));
          EXPECT_EQ(answer.finished->reason, FinishReason::kLength);
        }
      }
    });
  }
  for (std::thread& client : clients) client.join();
  EXPECT_TRUE(engine->drain(kNever));
  expect_idle(*engine);
  EXPECT_EQ(engine->load().generated_tokens, 4 * 5 * 4 * 40);
}

TEST(Engine, TheTimeOfItsStepsIsThatOfItsAnswers) {
  tensor::ThreadPool pool(2);
  const auto probe = std::make_shared<work::BusyProbe>();
  const auto engine = start(pool, {.busy = probe});
  Duration sum{};
  for (uint64_t i = 0; i < 3; ++i) {
    std::vector<work::TokenStream> streams;
    for (uint64_t k = 0; k < 4; ++k)
      streams.push_back(std::move(*engine->submit(greedy(prompt_of(50, 4 * i + k), 20))));
    for (work::TokenStream& stream : streams) {
      const Duration busy = read_all(stream).finished->usage.busy;
      EXPECT_GT(busy, Duration::zero());
      sum += busy;
    }
    // Whoever has the last Finished finds the probe up to date.
    EXPECT_EQ(probe->step_ns, std::chrono::nanoseconds(sum).count());
  }
}

TEST(Engine, ReadersThatLeaveAtAnyTimeFreeTheirPlaces) {
  tensor::ThreadPool pool(2);
  EngineOptions options;
  options.max_batch = 4;
  options.queue = 100;
  const auto engine = start(pool, options);
  std::vector<std::thread> clients;
  for (uint64_t client = 0; client < 3; ++client) {
    clients.emplace_back([&, client] {
      std::mt19937_64 random(client);
      for (int round = 0; round < 60; ++round) {
        auto stream = engine->submit(greedy(prompt_of(30, client), 50));
        ASSERT_TRUE(stream.has_value());
        const uint64_t pieces = random() % 50;
        for (uint64_t i = 0; i < pieces; ++i) ASSERT_TRUE(stream->next_blocking().has_value());
      }  // the stream is dropped here
    });
  }
  for (std::thread& client : clients) client.join();
  EXPECT_TRUE(engine->drain(kNever));
  expect_idle(*engine);
}

TEST(Engine, ACancelledStreamStillGetsItsFinished) {
  tensor::ThreadPool pool(1);
  const auto engine = start(pool);
  auto stream = engine->submit(greedy(prompt_of(10, 1), 60000));
  ASSERT_TRUE(stream.has_value()) << stream.error().message;
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(stream->next_blocking().has_value());
  stream->cancel();
  const Answer answer = read_all(*stream);
  EXPECT_EQ(answer.finished->reason, FinishReason::kCancelled);
  EXPECT_EQ(answer.finished->usage.completion_tokens, 5 + std::ssize(answer.tokens));
  expect_idle(*engine);
}

TEST(Engine, AFullQueueRefusesAndAFreedPlaceIsFreeAtOnce) {
  tensor::ThreadPool pool(1);
  Gate gate;
  EngineOptions options;
  options.max_batch = 2;
  options.queue = 1;
  const auto engine = start(pool, options, {.before = gate.hook()});
  std::vector<work::TokenStream> streams;
  for (uint64_t i = 0; i < 3; ++i) {
    auto stream = engine->submit(greedy(prompt_of(3, i), 4));
    ASSERT_TRUE(stream.has_value());
    streams.push_back(std::move(*stream));
  }
  const auto refused = engine->submit(greedy(prompt_of(3, 4), 4));
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, Code::kOverloaded);
  gate.let_all_pass();
  for (int round = 0; round < 200; ++round) {
    for (work::TokenStream& stream : streams) {
      EXPECT_EQ(read_all(stream).finished->reason, FinishReason::kLength);
      auto next = engine->submit(greedy(prompt_of(3, 5), 2));
      ASSERT_TRUE(next.has_value()) << "Finished was seen, so a place was free";
      stream = std::move(*next);
    }
  }
  streams.clear();
  EXPECT_TRUE(engine->drain(kNever));
}

TEST(Engine, TellsHowLongANewOrderWaits) {
  tensor::ThreadPool pool(1);
  Gate gate;
  gate.open = true;
  const auto engine = start(pool, {.max_batch = 2, .queue = 10}, {.before = gate.hook()});
  EXPECT_EQ(engine->load().drain_seconds, 0);
  for (uint64_t i = 0; i < 20; ++i) {
    auto stream = engine->submit(greedy(prompt_of(30, i), 10));
    ASSERT_TRUE(stream.has_value());
    read_all(*stream);
  }
  EXPECT_EQ(engine->load().drain_seconds, 0) << "nobody waits";
  gate.open = false;
  std::vector<work::TokenStream> streams;
  const auto ask = [&] {
    auto stream = engine->submit(greedy(prompt_of(30, streams.size()), 10));
    ASSERT_TRUE(stream.has_value());
    streams.push_back(std::move(*stream));
  };
  for (int i = 0; i < 6; ++i) ask();
  gate.entered.acquire();
  const double six = engine->load().drain_seconds;
  EXPECT_GT(six, 0);
  for (int i = 0; i < 6; ++i) ask();
  EXPECT_GT(engine->load().drain_seconds, 1.5 * six) << "twice as many are ahead";
  gate.let_all_pass();
  for (auto& stream : streams) read_all(stream);
  EXPECT_EQ(engine->load().drain_seconds, 0);
}

TEST(Engine, APromptIsSharedByThoseOfOneTenantAlone) {
  tensor::ThreadPool pool(2);
  const auto engine = start(pool);
  const auto cached = [&](uint64_t tenant) {
    Order order = greedy(prompt_of(200, 1), 5);
    order.cache_salt = {tenant, 0};
    auto stream = engine->submit(std::move(order));
    EXPECT_TRUE(stream.has_value());
    const Answer answer = read_all(*stream);
    EXPECT_EQ(answer.tokens, ToyForward::greedy(prompt_of(200, 1), 5));
    return answer.finished->usage.cached_tokens;
  };
  EXPECT_EQ(cached(1), 0);
  EXPECT_EQ(cached(2), 0);
  EXPECT_EQ(cached(1), 192);
  EXPECT_EQ(cached(2), 192);
  EXPECT_EQ(engine->load().cached_tokens, 384);
  EXPECT_EQ(engine->load().cached_blocks, 12);
  const auto off = start(pool, {.prefix_cache = false});
  for (int i = 0; i < 2; ++i) {
    auto stream = off->submit(greedy(prompt_of(200, 1), 5));
    EXPECT_EQ(read_all(*stream).finished->usage.cached_tokens, 0);
  }
}

TEST(Engine, RefusesWhatItCannotDo) {
  tensor::ThreadPool pool(1);
  const auto engine = start(pool, {.context = 64});
  const auto refusal = [&](Order order) {
    const auto stream = engine->submit(std::move(order));
    return stream ? Error{.message = "accepted"} : stream.error();
  };
  EXPECT_EQ(refusal(greedy({}, 4)).code, Code::kInvalid);
  EXPECT_EQ(refusal(greedy({1, 40}, 4)).param, "prompt");
  EXPECT_EQ(refusal(greedy({1, -1}, 4)).code, Code::kInvalid);
  EXPECT_EQ(refusal(greedy({1}, -1)).param, "max_tokens");
  EXPECT_EQ(refusal(greedy(prompt_of(60, 1), 5)).code, Code::kTooLarge);
  EXPECT_EQ(refusal(greedy(prompt_of(65, 1), 0)).code, Code::kTooLarge);
  Order hot = greedy({1}, 1);
  hot.sampling.temperature = -1;
  EXPECT_EQ(refusal(hot).param, "temperature");
  auto whole = engine->submit(greedy(prompt_of(60, 1), 4));
  ASSERT_TRUE(whole.has_value());
  EXPECT_EQ(read_all(*whole).tokens.size(), 4U) << "exactly the context";
}

TEST(Engine, DrainLetsRunningAnswersEndAndTakesNoMore) {
  tensor::ThreadPool pool(1);
  Gate gate;
  const auto engine = start(pool, {}, {.before = gate.hook()});
  auto stream = engine->submit(greedy(prompt_of(10, 1), 30));
  ASSERT_TRUE(stream.has_value());
  gate.entered.acquire();
  EXPECT_FALSE(engine->drain(now())) << "one is still running";
  const auto refused = engine->submit(greedy(prompt_of(10, 1), 30));
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, Code::kOverloaded);
  gate.let_all_pass();
  EXPECT_TRUE(engine->drain(kNever));
  const Answer answer = read_all(*stream);
  EXPECT_EQ(answer.finished->reason, FinishReason::kLength);
  EXPECT_EQ(answer.tokens, ToyForward::greedy(prompt_of(10, 1), 30));
}

TEST(Engine, TheEndOfTheEngineEndsEverything) {
  tensor::ThreadPool pool(1);
  Gate gate;
  auto engine = start(pool, {.max_batch = 1}, {.before = gate.hook()});
  std::vector<work::TokenStream> streams;
  for (uint64_t i = 0; i < 3; ++i) {  // one runs, one waits in the batch or the intake, as it comes
    auto stream = engine->submit(greedy(prompt_of(3, i), 50000));
    ASSERT_TRUE(stream.has_value());
    streams.push_back(std::move(*stream));
    if (i == 0) gate.entered.acquire();
  }
  std::thread opener([&] { gate.let_all_pass(); });
  engine.reset();
  opener.join();
  for (auto& stream : streams)
    EXPECT_EQ(read_all(stream).finished->reason, FinishReason::kCancelled);
}

TEST(Engine, DeadlineOfTheOrder) {
  tensor::ThreadPool pool(1);
  const auto engine = start(pool);
  Order order = greedy(prompt_of(3, 1), 60000);
  order.deadline = now() + std::chrono::milliseconds(20);
  auto stream = engine->submit(std::move(order));
  ASSERT_TRUE(stream.has_value());
  EXPECT_EQ(read_all(*stream).finished->reason, FinishReason::kDeadline);
  Order past = greedy(prompt_of(3, 1), 5);
  past.deadline = now();
  auto none = engine->submit(std::move(past));
  ASSERT_TRUE(none.has_value());
  const Answer answer = read_all(*none);
  EXPECT_EQ(answer.finished->reason, FinishReason::kDeadline);
  EXPECT_TRUE(answer.tokens.empty());
}

TEST(Engine, SeveralEnginesShareOnePool) {
  tensor::ThreadPool pool(2);
  const auto first = start(pool, {}, {.vocabulary = 4000});
  const auto second = start(pool, {}, {.vocabulary = 4001});
  const auto ask = [](Engine& engine, int64_t vocabulary) {
    std::vector<work::TokenStream> streams;
    for (uint64_t i = 0; i < 10; ++i) {
      auto stream = engine.submit(greedy(prompt_of(30, i), 20));
      ASSERT_TRUE(stream.has_value());
      streams.push_back(std::move(*stream));
    }
    for (uint64_t i = 0; i < 10; ++i) {
      EXPECT_EQ(read_all(streams[i]).tokens,
                ToyForward::greedy(prompt_of(30, i), 20, {.vocabulary = vocabulary}));
    }
  };
  std::thread other([&] { ask(*second, 4001); });
  ask(*first, 4000);
  other.join();
}

TEST(Engine, TheContextIsTheLeastOfModelOptionAndMemory) {
  tensor::ThreadPool pool(1);
  const size_t block = ToyForward({}).block_bytes();
  EXPECT_EQ(start(pool, {.kv_bytes = block * 10})->context_tokens(), 320);
  EXPECT_EQ(start(pool, {.kv_bytes = block * 10, .context = 100})->context_tokens(), 100);
  EXPECT_EQ(start(pool, {.kv_bytes = block * 10}, {.context = 50})->context_tokens(), 50);
  const auto small = start(pool, {.kv_bytes = block * 100000, .context = 64, .max_batch = 3});
  EXPECT_EQ(small->load().kv_blocks_total, 6) << "no more than three sequences can use";
  EXPECT_EQ(small->load().kv_bytes_total, static_cast<int64_t>(6 * block));
}

TEST(Engine, OptionsOutOfBoundsAreNamed) {
  tensor::ThreadPool pool(1);
  const auto field = [&](EngineOptions options) {
    const auto engine =
        Engine::start(std::make_unique<ToyForward>(ToyForward::Options{}), pool, options);
    return engine ? std::string("none") : engine.error().param;
  };
  const EngineOptions good{.kv_bytes = 1 << 20};
  EXPECT_EQ(field(good), "none");
  EXPECT_EQ(field({.free_bytes = 1 << 20}), "none");
  EXPECT_EQ(field({}), "kv_bytes");
  EXPECT_EQ(field({.kv_bytes = 10}), "kv_bytes");
  EXPECT_EQ(field({.kv_bytes = 1 << 20, .max_batch = 65}), "max_batch");
  EXPECT_EQ(field({.kv_bytes = 1 << 20, .max_batch = 0}), "max_batch");
  EXPECT_EQ(field({.kv_bytes = 1 << 20, .queue = -1}), "queue");
  EXPECT_EQ(field({.kv_bytes = 1 << 20, .queue = 2000000000}), "queue");
  EXPECT_EQ(field({.kv_bytes = 1 << 20, .step_tokens = 513}), "step_tokens");
  EXPECT_EQ(field({.kv_bytes = 1 << 20, .step_tokens = 63}), "step_tokens");
  EXPECT_EQ(field({.kv_bytes = 1 << 20, .prefill_chunk = 0}), "prefill_chunk");
  EXPECT_EQ(field({.kv_bytes = 1 << 20, .context = -1}), "context");
  EXPECT_EQ(field({.kv_bytes = 1 << 20, .itl_target = Duration(-1)}), "itl_target");
  EXPECT_EQ(field({.kv_bytes = 1 << 20, .ttft_target = Duration(-1)}), "ttft_target");
}

}  // namespace
}  // namespace mill::engine
