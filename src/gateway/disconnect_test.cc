// Clients that leave, stall or come in crowds.
#include <future>
#include <thread>

#include "gateway/mill_for_test.h"

namespace mill::gateway {
namespace {

using namespace std::chrono_literals;
namespace json = boost::json;

std::string chat(const std::string& more, const std::string& content = "hi") {
  return R"({"model":"org/tiny","messages":[{"role":"user","content":")" + content + "\"}]" + more +
         "}";
}

// Says " cat" for ever and waits before token `at`.
ScriptedWorker::Choose holds_at(size_t at) {
  return [at](const work::Order&) {
    Script script;
    script.say = " cat";
    script.forever = true;
    script.hold_at = at;
    return script;
  };
}

// Waits until at least `count` events of a stream have come.
bool receive_events(net::RawClient& client, size_t count) {
  const auto events = [&] {
    size_t found = 0;
    for (size_t at = 0; (at = client.received().find("data: ", at)) != std::string::npos; ++at)
      ++found;
    return found;
  };
  while (events() < count) {
    if (!client.receive()) return false;
  }
  return true;
}

TEST(Disconnect, at_any_token_of_a_stream_cancels_the_answer) {
  for (const bool reset : {false, true}) {
    for (size_t at = 0; at < 8; ++at) {
      MillForTest mill(holds_at(at));
      net::RawClient client = mill.client();
      client.send(
          MillForTest::request("POST", "/v1/chat/completions", chat(R"(,"stream":true,"n":2)")));
      if (at > 0) {
        // Everything up to the hold has come, from both choices.
        ASSERT_TRUE(receive_events(client, 2 * at + 2));
      } else {
        while (mill.worker.load().running < 2) std::this_thread::yield();
      }
      if (reset) {
        client.reset();
      } else {
        client.close();
      }
      EXPECT_TRUE(mill.worker.wait_for_cancels(2)) << at;
      EXPECT_EQ(mill.worker.generated(), static_cast<int64_t>(2 * at));
    }
  }
}

TEST(Disconnect, cancels_an_answer_that_is_not_streamed) {
  for (const bool reset : {false, true}) {
    MillForTest mill(holds_at(3));
    net::RawClient client = mill.client();
    client.send(
        MillForTest::request("POST", "/v1/completions", R"({"model":"base","prompt":"x"})"));
    while (mill.worker.generated() < 3) std::this_thread::yield();
    if (reset) {
      client.reset();
    } else {
      client.close();
    }
    EXPECT_TRUE(mill.worker.wait_for_cancels(1));
    EXPECT_EQ(mill.worker.generated(), 3);
  }
}

TEST(Disconnect, of_one_leaves_the_others_their_own_answers) {
  MillForTest mill([](const work::Order& order) {
    Script script;  // says its own prompt: the bytes are tokens
    script.tokens = order.prompt;
    script.pace = 1ms;
    return script;
  });
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 12; ++i) {
        const std::string nonce = "nonce-" + std::to_string(t) + "-" + std::to_string(i);
        const std::string body = R"({"model":"base","stream":true,"prompt":")" + nonce + "\"}";
        net::RawClient client = mill.client();
        client.send(MillForTest::request("POST", "/v1/completions", body));
        if ((t + i) % 2 == 0) {
          client.receive_until("\"text\":\"n\"");
          continue;  // leaves in the middle
        }
        const net::RawResponse response = client.response();
        std::string text;
        for (const std::string& event : events_of(response.body)) {
          if (event != "[DONE]")
            text += json::parse(event).at("choices").at(0).at("text").as_string();
        }
        EXPECT_EQ(text, nonce);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST(Disconnect, of_a_reader_that_stalls_comes_at_the_deadline) {
  MillForTest::Setup setup;
  setup.server.limits.write_stall = 100ms;
  setup.server.send_buffer_bytes = 16 << 10;
  setup.context_tokens = 1 << 20;
  MillForTest mill(
      [](const work::Order&) {
        Script script;
        script.say = " cat";
        script.forever = true;
        return script;
      },
      std::move(setup));
  net::RawClient client(mill.server->port(), 4096);
  client.send(MillForTest::request("POST", "/v1/chat/completions", chat(R"(,"stream":true)")));
  EXPECT_TRUE(mill.worker.wait_for_cancels(1));
  EXPECT_EQ(mill.server->probe().writes_stalled, 1);
}

TEST(Deadline, at_any_token_ends_the_answer_with_an_error) {
  for (size_t at = 0; at < 6; ++at) {
    MillForTest::Setup setup;
    setup.options.answer_time = 30ms;
    MillForTest mill(holds_at(at), std::move(setup));
    const net::RawResponse whole = mill.post("/v1/chat/completions", chat(R"(,"n":2)"));
    EXPECT_EQ(whole.status, 504);
    EXPECT_EQ(json::parse(whole.body).at("error").at("code"), "deadline_exceeded");

    const net::RawResponse streamed = mill.post("/v1/chat/completions", chat(R"(,"stream":true)"));
    EXPECT_EQ(mill.worker.generated(), static_cast<int64_t>(3 * at));
    if (at == 0) {
      EXPECT_EQ(streamed.status, 504) << "nothing had been sent yet";
      continue;
    }
    EXPECT_EQ(streamed.status, 200);
    EXPECT_TRUE(streamed.whole);
    const std::vector<std::string> events = events_of(streamed.body);
    EXPECT_EQ(events.size(), at + 2) << "the role, the tokens, the error";
    EXPECT_EQ(json::parse(events.back()).at("error").at("code"), "deadline_exceeded");
  }
}

TEST(Stream, brings_each_token_when_it_is_made) {
  MillForTest mill(holds_at(2));
  net::RawClient client = mill.client();
  client.send(MillForTest::request("POST", "/v1/chat/completions",
                                   chat(R"(,"stream":true,"max_tokens":4)")));
  ASSERT_TRUE(client.receive_until("\" cat\"}"));
  ASSERT_TRUE(receive_events(client, 3));
  EXPECT_EQ(client.received().find("[DONE]"), std::string::npos);
  mill.worker.release();
  EXPECT_TRUE(client.receive_until("[DONE]"));
}

TEST(Stream, is_kept_alive_by_comments_while_the_model_thinks) {
  MillForTest::Setup setup;
  setup.options.delivery.keepalive = 20ms;
  MillForTest mill(holds_at(0), std::move(setup));
  net::RawClient client = mill.client();
  client.send(MillForTest::request("POST", "/v1/chat/completions",
                                   chat(R"(,"stream":true,"max_tokens":1)")));
  ASSERT_TRUE(client.receive_until(": keepalive\n\n"));
  EXPECT_TRUE(client.receive_until(": keepalive\n\n\r\n"));
  mill.worker.release();
  const net::RawResponse response = client.response();
  EXPECT_TRUE(response.whole);
  EXPECT_EQ(events_of(response.body.substr(response.body.find("data: "))).back(), "[DONE]");
}

TEST(Stream, ends_with_an_error_and_no_done_when_the_model_fails) {
  for (const std::string choices : {"1", "3"}) {
    MillForTest mill([](const work::Order& order) {
      Script script;
      script.say = " cat";
      script.forever = true;
      if (order.sampling.choice == 0) {
        script.fault_at = 4;
      } else {
        script.hold_at = 2;  // ended by the fault of the first
      }
      script.pace = 1ms;
      return script;
    });
    net::RawClient client = mill.client();
    client.send(MillForTest::request("POST", "/v1/chat/completions",
                                     chat(R"(,"stream":true,"n":)" + choices)));
    const net::RawResponse response = client.response();
    EXPECT_EQ(response.status, 200);
    EXPECT_TRUE(response.whole);
    const std::string last = events_of(response.body).back();
    EXPECT_EQ(json::parse(last).at("error").at("code"), "internal_error") << last;
    EXPECT_EQ(response.body.find("[DONE]"), std::string::npos);
  }
}

TEST(Stream, of_several_choices_tells_them_apart) {
  MillForTest mill([](const work::Order& order) {
    Script script;
    script.say = order.sampling.choice == 0   ? "the cat"
                 : order.sampling.choice == 1 ? " one two"
                                              : "Hello";
    return script;
  });
  const net::RawResponse response =
      mill.post("/v1/chat/completions",
                chat(R"(,"stream":true,"n":3,"stream_options":{"include_usage":true})"));
  std::string texts[3];
  int ends[3] = {};
  for (const std::string& event : events_of(response.body)) {
    if (event == "[DONE]") continue;
    const json::value chunk = json::parse(event);
    for (const json::value& choice : chunk.at("choices").as_array()) {
      const auto index = static_cast<size_t>(choice.at("index").as_int64());
      if (const auto* content = choice.at("delta").as_object().if_contains("content"))
        texts[index] += content->as_string();
      EXPECT_EQ(ends[index], 0) << "something came after the end of a choice";
      if (!choice.at("finish_reason").is_null()) ++ends[index];
    }
  }
  EXPECT_EQ(texts[0], "the cat");
  EXPECT_EQ(texts[1], " one two");
  EXPECT_EQ(texts[2], "Hello");
  for (const int end : ends) EXPECT_EQ(end, 1);
}

TEST(Seed, goes_to_the_worker_and_is_random_when_none_is_given) {
  MillForTest mill(says("Hello"));
  for (int i = 0; i < 2; ++i) mill.post("/v1/chat/completions", chat(R"(,"seed":7,"n":2)"));
  for (int i = 0; i < 2; ++i) mill.post("/v1/chat/completions", chat(""));
  const std::vector<work::Order> orders = mill.worker.orders();
  ASSERT_EQ(orders.size(), 6u);
  EXPECT_EQ(orders[0].sampling.seed, 7u);
  EXPECT_EQ(orders[3].sampling.seed, 7u);
  EXPECT_EQ(orders[0].sampling.choice, 0u);
  EXPECT_EQ(orders[1].sampling.choice, 1u);
  EXPECT_NE(orders[4].sampling.seed, orders[5].sampling.seed);
}

TEST(Prompt, gets_one_bos_whoever_writes_it) {
  MillForTest::Setup setup;
  setup.add_bos = true;
  MillForTest mill(says("Hello"), std::move(setup));
  const TokenId bos = mill.tokenizer.bos();
  EXPECT_EQ(mill.post("/v1/completions", R"({"model":"base","prompt":"a"})").status, 200);
  EXPECT_EQ(mill.post("/v1/completions",
                      R"({"model":"base","prompt":"<|endoftext|>a","parse_special":true})")
                .status,
            200);
  EXPECT_EQ(mill.post("/v1/completions", R"({"model":"base","prompt":""})").status, 200);
  for (const work::Order& order : mill.worker.orders()) {
    EXPECT_EQ(order.prompt.front(), bos);
    EXPECT_EQ(std::count(order.prompt.begin(), order.prompt.end(), bos), 1);
  }
}

TEST(Drain, refuses_new_answers_and_ends_running_ones) {
  MillForTest mill(holds_at(1));
  net::RawClient running = mill.client();
  running.send(MillForTest::request("POST", "/v1/chat/completions", chat(R"(,"max_tokens":2)")));
  net::RawClient other = mill.client();
  other.send(MillForTest::request("GET", "/ready", ""));
  EXPECT_EQ(other.response().status, 200);
  while (mill.worker.generated() < 1) std::this_thread::yield();
  mill.gateway->begin_drain();
  other.send(MillForTest::request("GET", "/ready", ""));
  EXPECT_EQ(other.response().status, 503);
  other.send(MillForTest::request("POST", "/v1/chat/completions", chat("")));
  EXPECT_EQ(other.response().status, 503);
  auto drained = std::async(std::launch::async, [&] { return mill.server->drain(now() + 10s); });
  mill.worker.release();
  const net::RawResponse response = running.response();
  EXPECT_EQ(response.status, 200);
  running.close();
  EXPECT_TRUE(drained.get());
}

TEST(Drain, cancels_what_outlives_the_deadline) {
  MillForTest mill(holds_at(1));
  net::RawClient client = mill.client();
  client.send(MillForTest::request("POST", "/v1/chat/completions", chat(R"(,"stream":true)")));
  while (mill.worker.generated() < 1) std::this_thread::yield();
  mill.gateway->begin_drain();
  EXPECT_TRUE(mill.server->drain(now() + 50ms));
  EXPECT_TRUE(mill.worker.wait_for_cancels(1));
}

TEST(SideThreads, outlive_a_server_that_is_taken_down) {
  MillForTest::Setup setup;
  setup.context_tokens = 1 << 24;
  MillForTest mill(says("Hello"), std::move(setup));
  net::RawClient client = mill.client();
  client.send(
      MillForTest::request("POST", "/v1/chat/completions", chat("", std::string(1 << 20, 'x'))));
  while (mill.server->probe().requests == 0) std::this_thread::yield();
  mill.server.reset();
  client.receive_all();
  EXPECT_TRUE(client.ended());
}

TEST(SideThreads, keep_the_io_thread_free_while_a_huge_prompt_is_read) {
  MillForTest::Setup setup;
  setup.context_tokens = 1 << 24;
  MillForTest mill(says("Hello"), std::move(setup));
  const std::string huge(2 << 20, 'x');
  auto answer = std::async(std::launch::async, [&] {
    net::RawClient client = mill.client();
    client.send(MillForTest::request("POST", "/v1/chat/completions", chat("", huge)));
    return client.response(false, 120);
  });
  int answered = 0;
  while (answer.wait_for(0s) != std::future_status::ready) {
    const Instant begun = now();
    EXPECT_EQ(mill.get("/health").status, 200);
    EXPECT_LT(now() - begun, 1s);
    ++answered;
  }
  EXPECT_EQ(answer.get().status, 200);
  EXPECT_GT(answered, 1);
}

}  // namespace
}  // namespace mill::gateway
