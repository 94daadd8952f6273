#include "app/model_shelf.h"

#include <random>

#include "app/shelf_for_test.h"

namespace mill::app {
namespace {

namespace json = boost::json;
using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;

gateway::Script held() {
  gateway::Script script;
  script.say = "Hello world one two three";
  script.hold_at = 1;
  return script;
}

gateway::Script endless() {
  gateway::Script script;
  script.say = " cat";
  script.forever = true;
  script.pace = milliseconds(1);
  return script;
}

ModelPlan leaving(const std::string& id) {
  ModelPlan plan = plan_for_test(id);
  plan.idle_unload = seconds(60);
  return plan;
}

std::string state_in(const net::RawResponse& response) {
  return std::string(json::parse(response.body).at("state").as_string());
}

TEST(ModelShelf, a_request_brings_the_model_it_names) {
  ShelfMill mill({plan_for_test("a"), plan_for_test("b")});
  EXPECT_EQ(mill.status("a").state, "unloaded");
  EXPECT_EQ(mill.complete("a").status, 200);
  EXPECT_EQ(mill.status("a").state, "ready");
  EXPECT_EQ(mill.status("b").state, "unloaded");
  EXPECT_EQ(mill.complete("c").status, 404);
  const json::value listed = json::parse(mill.ask("GET", "/v1/models").body);
  EXPECT_EQ(listed.at("data").as_array().size(), 2U);
}

TEST(ModelShelf, a_hundred_requests_load_it_once) {
  ShelfMill mill({plan_for_test("a")});
  mill.loader.set("a", {.hold = true});
  std::vector<net::RawClient> clients;
  for (int i = 0; i < 100; ++i) clients.push_back(mill.begin_completion("a"));
  ASSERT_TRUE(ShelfMill::soon([&] { return mill.status("a").waiting == 100; }));
  mill.loader.release("a");
  for (net::RawClient& client : clients) EXPECT_EQ(client.response().status, 200);
  EXPECT_EQ(mill.loader.loads(), 1);
  EXPECT_TRUE(ShelfMill::soon([&] { return mill.status("a").requests == 0; }));
}

TEST(ModelShelf, a_load_holds_up_nobody_else) {
  ShelfMill mill({plan_for_test("a"), plan_for_test("b")});
  EXPECT_EQ(mill.complete("b").status, 200);
  mill.loader.set("a", {.hold = true});
  net::RawClient waiting = mill.begin_completion("a");
  ASSERT_TRUE(mill.becomes("a", "loading"));
  EXPECT_EQ(mill.complete("b").status, 200);
  EXPECT_EQ(mill.ask("GET", "/health").status, 200);
  mill.loader.release("a");
  EXPECT_EQ(waiting.response().status, 200);
}

TEST(ModelShelf, a_failed_load_is_told_to_all_who_wait_and_not_tried_again_at_once) {
  ShelfMill mill({plan_for_test("a")});
  const Error broken{Code::kCorrupt, "/secret/path/a.gguf is no GGUF file", ""};
  mill.loader.set("a", {.hold = true, .fail = broken});
  std::vector<net::RawClient> clients;
  for (int i = 0; i < 5; ++i) clients.push_back(mill.begin_completion("a"));
  ASSERT_TRUE(ShelfMill::soon([&] { return mill.status("a").waiting == 5; }));
  mill.loader.release("a");
  for (net::RawClient& client : clients) {
    const net::RawResponse response = client.response();
    EXPECT_EQ(response.status, 500);
    EXPECT_EQ(response.body.find("/secret"), std::string::npos) << response.body;
    EXPECT_NE(response.body.find("'a' can't be loaded"), std::string::npos) << response.body;
  }
  EXPECT_EQ(mill.status("a").state, "failed");
  EXPECT_EQ(mill.status("a").reason, broken.message);
  EXPECT_EQ(mill.complete("a").status, 500);
  EXPECT_EQ(mill.loader.loads(), 1);
  // An operator is told why, and need not wait to try again.
  const net::RawResponse told = mill.ask("POST", "/admin/models", R"({"model":"a","wait":true})");
  EXPECT_EQ(told.status, 500);
  EXPECT_NE(told.body.find("/secret"), std::string::npos);
  mill.loader.set("a", {});
  EXPECT_EQ(mill.ask("POST", "/admin/models", R"({"model":"a","wait":true})").status, 200);
  EXPECT_EQ(mill.complete("a").status, 200);
}

TEST(ModelShelf, a_request_waits_for_a_load_no_longer_than_its_deadline) {
  ShelfMill mill({plan_for_test("a")}, {.load_deadline = milliseconds(30)});
  mill.loader.set("a", {.hold = true});
  const net::RawResponse response = mill.complete("a");
  EXPECT_EQ(response.status, 503);
  EXPECT_EQ(response.header("Retry-After"), "1");
  EXPECT_NE(response.body.find("still being loaded"), std::string::npos) << response.body;
  EXPECT_EQ(mill.status("a").waiting, 0);
  mill.loader.release("a");
  ASSERT_TRUE(mill.becomes("a", "ready"));
  EXPECT_EQ(mill.complete("a").status, 200);
  EXPECT_EQ(mill.loader.loads(), 1);
}

TEST(ModelShelf, operators_take_models_in_and_off) {
  ShelfMill mill({});
  EXPECT_EQ(mill.complete("a").status, 404);
  const net::RawResponse taken = mill.ask("POST", "/admin/models", R"({"model":"a","wait":true})");
  EXPECT_EQ(taken.status, 200);
  EXPECT_EQ(state_in(taken), "ready");
  EXPECT_EQ(mill.complete("a").status, 200);
  EXPECT_EQ(mill.ask("GET", "/v1/models/a").status, 200);
  EXPECT_NE(mill.ask("GET", "/metrics").body.find(R"(tokenmill_model_loaded{model="a"} 1)"),
            std::string::npos);
  const net::RawResponse gone = mill.ask("DELETE", "/admin/models/a?wait=true");
  EXPECT_EQ(gone.status, 200) << gone.body;
  EXPECT_EQ(mill.complete("a").status, 404);
  EXPECT_EQ(mill.ask("GET", "/v1/models/a").status, 404);
  EXPECT_EQ(mill.ask("DELETE", "/admin/models/a").status, 404);
  EXPECT_EQ(mill.loader.alive(), 0);
  // By a name with a slash, without waiting, and kept when unloaded.
  const net::RawResponse begun = mill.ask("POST", "/admin/models", R"({"model":"b","id":"org/b"})");
  EXPECT_TRUE(begun.status == 202 || begun.status == 200);
  ASSERT_TRUE(mill.becomes("org/b", "ready"));
  EXPECT_EQ(mill.ask("DELETE", "/admin/models/org%2Fb?keep=true&wait=true").status, 200);
  EXPECT_EQ(mill.status("org/b").state, "unloaded");
  EXPECT_EQ(mill.complete("org/b").status, 200);
}

TEST(ModelShelf, what_operators_ask_for_is_checked) {
  ShelfMill mill({plan_for_test("a", true)});
  for (const char* body : {"", "[]", "{}", R"({"model":["a"]})", R"({"model":"a","wait":"yes"})"}) {
    EXPECT_EQ(mill.ask("POST", "/admin/models", body).status, 400) << body;
  }
  EXPECT_EQ(mill.ask("DELETE", "/admin/models/a?drop=true").status, 400);
  EXPECT_EQ(mill.ask("DELETE", "/admin/models/%zz").status, 400);
  EXPECT_EQ(mill.ask("POST", "/admin/models", R"({"model":"a","wait":true})").status, 200);
  // The same again changes nothing; with other fields it is a mistake.
  EXPECT_EQ(mill.ask("POST", "/admin/models", R"({"model":"a","wait":true})").status, 200);
  EXPECT_EQ(mill.loader.loads(), 1);
  EXPECT_EQ(mill.ask("POST", "/admin/models", R"({"model":"a","share":2})").status, 400);
  // Taken in and not loaded.
  EXPECT_EQ(mill.ask("POST", "/admin/models", R"({"model":"z","preload":false})").status, 200);
  EXPECT_EQ(mill.status("z").state, "unloaded");
  EXPECT_EQ(mill.complete("z").status, 200);
}

TEST(ModelShelf, there_is_an_end_to_how_many_it_holds) {
  std::vector<ModelPlan> plans;
  for (size_t i = 0; i < kMostModels; ++i) plans.push_back(plan_for_test(std::to_string(i)));
  ShelfMill mill(std::move(plans));
  EXPECT_EQ(mill.ask("POST", "/admin/models", R"({"model":"a"})").status, 503);
  EXPECT_EQ(mill.ask("DELETE", "/admin/models/7").status, 200);
  EXPECT_EQ(mill.ask("POST", "/admin/models", R"({"model":"a","wait":true})").status, 200);
}

TEST(ModelShelf, how_models_stand_is_json) {
  ModelPlan half = leaving("half");
  half.share = 0.5;
  ShelfMill mill({half, plan_for_test("whole")});
  EXPECT_EQ(mill.complete("half").status, 200);
  const net::RawResponse listed = mill.ask("GET", "/admin/models");
  EXPECT_EQ(listed.status, 200);
  const json::value body = json::parse(listed.body);
  const json::object& first = body.at("data").at(0).as_object();
  EXPECT_EQ(first.at("id").as_string(), "half");
  EXPECT_EQ(first.at("state").as_string(), "ready");
  EXPECT_EQ(first.at("share").as_double(), 0.5);
  EXPECT_EQ(first.at("idle_unload_seconds").to_number<double>(), 60);
  EXPECT_EQ(first.at("memory_bytes").as_int64(), 1000);
  EXPECT_EQ(first.at("load").at("running").as_int64(), 0);
  const json::object& second = body.at("data").at(1).as_object();
  EXPECT_EQ(second.at("share").to_number<double>(), 1);
  EXPECT_FALSE(second.contains("memory_bytes"));
}

TEST(ModelShelf, two_operators_at_once_load_it_once) {
  ShelfMill mill({});
  mill.loader.set("a", {.hold = true});
  net::RawClient first = mill.send("POST", "/admin/models", R"({"model":"a","wait":true})");
  net::RawClient second = mill.send("POST", "/admin/models", R"({"model":"a","wait":true})");
  ASSERT_TRUE(ShelfMill::soon([&] { return mill.status("a").waiting == 2; }));
  mill.loader.release("a");
  EXPECT_EQ(first.response().status, 200);
  EXPECT_EQ(second.response().status, 200);
  EXPECT_EQ(mill.loader.loads(), 1);
}

TEST(ModelShelf, unloading_gives_up_a_load) {
  ShelfMill mill({plan_for_test("a"), plan_for_test("b")});
  mill.loader.set("a", {.hold = true});
  net::RawClient waiting = mill.begin_completion("a");
  ASSERT_TRUE(ShelfMill::soon([&] { return mill.loader.loads() == 1; }));
  net::RawClient queued = mill.begin_completion("b");
  ASSERT_TRUE(mill.becomes("b", "loading"));  // behind a
  EXPECT_EQ(mill.ask("DELETE", "/admin/models/b?wait=true").status, 200);
  EXPECT_EQ(queued.response().status, 503);
  EXPECT_EQ(mill.ask("DELETE", "/admin/models/a?wait=true").status, 200);
  EXPECT_EQ(waiting.response().status, 503);
  EXPECT_EQ(mill.loader.alive(), 0);
  EXPECT_TRUE(mill.shelf->status().empty());
  EXPECT_EQ(mill.complete("a").status, 404);
  EXPECT_EQ(mill.loader.loads(), 1);
}

TEST(ModelShelf, who_asks_while_a_load_is_given_up_gets_the_next_one) {
  ShelfMill mill({plan_for_test("a")});
  mill.loader.set("a", {.hold = true});
  net::RawClient first = mill.begin_completion("a");
  ASSERT_TRUE(ShelfMill::soon([&] { return mill.loader.loads() == 1; }));
  net::RawClient unload = mill.send("DELETE", "/admin/models/a?keep=true&wait=true");
  EXPECT_EQ(first.response().status, 503);
  net::RawClient second = mill.begin_completion("a");
  const int unloaded = unload.response().status;  // by then it may be loading again
  EXPECT_TRUE(unloaded == 200 || unloaded == 202) << unloaded;
  mill.loader.release("a");
  EXPECT_EQ(second.response().status, 200);
}

TEST(ModelShelf, running_answers_end_before_their_model_goes) {
  ShelfMill mill({plan_for_test("a")});
  mill.loader.set("a", {.answer = endless()});
  net::RawClient running = mill.begin_completion("a", 150);
  ASSERT_TRUE(ShelfMill::soon([&] { return mill.status("a").requests == 1; }));
  EXPECT_EQ(state_in(mill.ask("DELETE", "/admin/models/a?keep=true")), "draining");
  mill.loader.set("a", {});
  net::RawClient next = mill.begin_completion("a");  // waits for the model to come back
  const net::RawResponse whole = running.response();
  EXPECT_EQ(whole.status, 200);
  EXPECT_EQ(json::parse(whole.body).at("usage").at("completion_tokens").as_int64(), 150);
  EXPECT_EQ(next.response().status, 200);
  EXPECT_EQ(mill.loader.loads(), 2);
}

TEST(ModelShelf, a_drain_that_lasts_too_long_cuts_answers_off) {
  ShelfMill mill({plan_for_test("a")}, {.drain_deadline = milliseconds(40)});
  mill.loader.set("a", {.answer = endless()});
  net::RawClient running = mill.begin_completion("a", 90000);
  ASSERT_TRUE(ShelfMill::soon([&] { return mill.status("a").requests == 1; }));
  EXPECT_EQ(mill.ask("DELETE", "/admin/models/a?wait=true").status, 200);
  EXPECT_GE(running.response().status, 500);
  EXPECT_TRUE(ShelfMill::soon([&] { return mill.loader.alive() == 0; }));
}

TEST(ModelShelf, a_model_that_is_taken_off_can_be_taken_in_again_before_it_is_gone) {
  ShelfMill mill({plan_for_test("a", true)});
  mill.loader.set("a", {.answer = endless()});
  net::RawClient running = mill.begin_completion("a", 100);
  ASSERT_TRUE(ShelfMill::soon([&] { return mill.status("a").requests == 1; }));
  EXPECT_EQ(mill.ask("DELETE", "/admin/models/a").status, 202);
  EXPECT_EQ(mill.complete("a").status, 404);
  mill.loader.set("a", {});
  EXPECT_EQ(mill.ask("POST", "/admin/models", R"({"model":"a","wait":true})").status, 200);
  EXPECT_EQ(running.response().status, 200);
  EXPECT_EQ(mill.complete("a").status, 200);
}

TEST(ModelShelf, an_idle_model_goes_and_comes_back) {
  ShelfMill mill({leaving("a"), plan_for_test("b")});
  EXPECT_EQ(mill.complete("a").status, 200);
  EXPECT_EQ(mill.complete("b").status, 200);
  ASSERT_TRUE(ShelfMill::soon([&] { return mill.status("a").requests == 0; }));
  EXPECT_GT(mill.shelf->tend(now()), now() + seconds(50));
  EXPECT_EQ(mill.status("a").state, "ready");
  EXPECT_EQ(mill.shelf->tend(now() + seconds(61)), kNever);
  ASSERT_TRUE(mill.becomes("a", "unloaded"));
  EXPECT_EQ(mill.status("b").state, "ready");  // stays for ever
  EXPECT_EQ(mill.complete("a").status, 200);
  EXPECT_EQ(mill.loader.loads(), 3);
}

TEST(ModelShelf, a_model_with_a_running_answer_is_not_idle) {
  ShelfMill mill({leaving("a")});
  mill.loader.set("a", {.answer = endless()});
  net::RawClient running = mill.begin_completion("a", 60);
  ASSERT_TRUE(ShelfMill::soon([&] { return mill.status("a").requests == 1; }));
  mill.shelf->tend(now() + hours(5));
  EXPECT_EQ(mill.status("a").state, "ready");
  EXPECT_EQ(running.response().status, 200);
}

TEST(ModelShelf, a_model_past_its_time_is_forgotten) {
  ModelPlan plan = plan_for_test("a");
  plan.ttl = hours(1);
  ShelfMill mill({plan});
  EXPECT_EQ(mill.complete("a").status, 200);
  mill.shelf->tend(now() + milliseconds(3'500'000));
  EXPECT_EQ(mill.status("a").state, "ready");
  mill.shelf->tend(now() + hours(1));
  ASSERT_TRUE(ShelfMill::soon([&] { return mill.shelf->status().empty(); }));
  EXPECT_EQ(mill.complete("a").status, 404);
}

constexpr int64_t kMiB = int64_t{1} << 20;

TEST(ModelShelf, an_idle_model_makes_room_for_another) {
  ShelfMill mill({leaving("a"), leaving("b"), leaving("c")}, {}, 600 * kMiB);
  for (const char* id : {"a", "b", "c"}) mill.loader.set(id, {.bytes = 200 * kMiB});
  EXPECT_EQ(mill.complete("a").status, 200);
  EXPECT_EQ(mill.complete("b").status, 200);
  EXPECT_EQ(mill.complete("c").status, 200);
  EXPECT_EQ(mill.status("a").state, "unloaded");  // the one that was not used for longest
  EXPECT_EQ(mill.status("b").state, "ready");
  EXPECT_EQ(mill.complete("b").status, 200);
  EXPECT_EQ(mill.complete("a").status, 200);
  EXPECT_EQ(mill.status("c").state, "unloaded");
}

TEST(ModelShelf, neither_busy_models_nor_those_that_stay_make_room) {
  ShelfMill mill({leaving("busy"), plan_for_test("stays"), leaving("new")}, {}, 600 * kMiB);
  mill.loader.set("busy", {.bytes = 200 * kMiB, .answer = endless()});
  mill.loader.set("stays", {.bytes = 200 * kMiB});
  mill.loader.set("new", {.bytes = 200 * kMiB});
  EXPECT_EQ(mill.complete("stays").status, 200);
  net::RawClient running = mill.begin_completion("busy", 300);
  ASSERT_TRUE(ShelfMill::soon([&] { return mill.status("busy").requests == 1; }));
  const net::RawResponse refused = mill.complete("new");
  EXPECT_EQ(refused.status, 503) << refused.body;
  EXPECT_NE(mill.status("new").reason.find("of memory to be loaded"), std::string::npos);
  EXPECT_EQ(running.response().status, 200);
  EXPECT_EQ(mill.status("stays").state, "ready");
  // With the busy one idle there is room, for an operator at once.
  EXPECT_EQ(mill.ask("POST", "/admin/models", R"({"model":"new","wait":true})").status, 200);
  EXPECT_EQ(mill.status("busy").state, "unloaded");
}

TEST(ModelShelf, memory_for_keys_and_values_follows_the_shares) {
  ModelPlan large = plan_for_test("large");
  large.share = 3;
  ModelPlan own = plan_for_test("own");
  own.kv_bytes = 10 * kMiB;
  ShelfMill mill({plan_for_test("small"), large, own}, {.kv_total = 50 * kMiB});
  for (const char* id : {"small", "large", "own"}) EXPECT_EQ(mill.complete(id).status, 200);
  EXPECT_EQ(mill.loader.kv_bytes("small"), 10 * kMiB);
  EXPECT_EQ(mill.loader.kv_bytes("large"), 30 * kMiB);
  EXPECT_EQ(mill.loader.kv_bytes("own"), 10 * kMiB);
}

TEST(ModelShelf, ready_when_all_that_is_to_be_there_is) {
  ShelfMill mill({plan_for_test("a", true), plan_for_test("b", true), plan_for_test("c")});
  mill.loader.set("b", {.hold = true});
  EXPECT_EQ(mill.ask("GET", "/ready").status, 503);
  mill.shelf->preload();
  ASSERT_TRUE(mill.becomes("a", "ready"));
  EXPECT_EQ(mill.ask("GET", "/ready").status, 503);
  EXPECT_FALSE(mill.shelf->preloaded().has_value());
  mill.loader.release("b");
  ASSERT_TRUE(mill.becomes("b", "ready"));
  ASSERT_TRUE(mill.shelf->preloaded().has_value());
  EXPECT_TRUE(mill.shelf->preloaded()->has_value());
  EXPECT_EQ(mill.ask("GET", "/ready").status, 200);
  EXPECT_EQ(mill.status("c").state, "unloaded");
}

TEST(ModelShelf, a_preload_that_fails_says_why) {
  ShelfMill mill({plan_for_test("a", true)});
  mill.loader.set("a", {.fail = Error{Code::kNotFound, "there is no file a", ""}});
  mill.shelf->preload();
  ASSERT_TRUE(ShelfMill::soon([&] { return mill.shelf->preloaded().has_value(); }));
  ASSERT_FALSE(mill.shelf->preloaded()->has_value());
  EXPECT_EQ(mill.shelf->preloaded()->error().message, "there is no file a");
  EXPECT_EQ(mill.ask("GET", "/ready").status, 503);
}

TEST(ModelShelf, close_lets_nobody_wait) {
  ShelfMill mill({plan_for_test("a"), plan_for_test("b")});
  mill.loader.set("a", {.hold = true});
  net::RawClient a = mill.begin_completion("a");
  net::RawClient b = mill.begin_completion("b");
  ASSERT_TRUE(
      ShelfMill::soon([&] { return mill.status("b").waiting == 1 && mill.loader.loads() == 1; }));
  mill.shelf->close();
  EXPECT_EQ(a.response().status, 503);
  EXPECT_EQ(b.response().status, 503);
  EXPECT_EQ(mill.complete("b").status, 503);
  EXPECT_EQ(mill.loader.loads(), 1);
}

TEST(ModelShelf, ends_while_clients_wait_and_answers_run) {
  ShelfMill mill({plan_for_test("a"), plan_for_test("b")});
  mill.loader.set("a", {.answer = held()});
  mill.loader.set("b", {.hold = true});
  net::RawClient running = mill.begin_completion("a");
  ASSERT_TRUE(ShelfMill::soon([&] { return mill.status("a").requests == 1; }));
  net::RawClient waiting = mill.begin_completion("b");
  ASSERT_TRUE(mill.becomes("b", "loading"));
  mill.server.reset();
  mill.door.reset();
  mill.shelf.reset();
  EXPECT_EQ(mill.loader.alive(), 0);
}

TEST(ModelShelf, idle_models_go_by_themselves) {
  FakeLoader loader;
  ModelPlan plan = plan_for_test("a", true);
  plan.idle_unload = milliseconds(20);
  ModelShelf shelf({plan}, loader, {.free_bytes = [](int64_t) { return int64_t{1} << 40; }});
  shelf.preload();
  EXPECT_TRUE(ShelfMill::soon([&] { return loader.loads() == 1; }));
  EXPECT_TRUE(ShelfMill::soon([&] { return shelf.status()[0].state == "unloaded"; }));
}

TEST(ModelShelf, a_load_is_given_up_at_any_moment) {
  for (int round = 0; round < 100; ++round) {
    ShelfMill mill({plan_for_test("a")});
    mill.loader.set("a", {.hold = round % 2 == 0});
    net::RawClient first = mill.begin_completion("a");
    std::this_thread::sleep_for(std::chrono::microseconds(20 * round));
    net::RawClient unload = mill.send("DELETE", "/admin/models/a?keep=true&wait=true");
    net::RawClient second = mill.begin_completion("a");
    const int unloaded = unload.response().status;
    EXPECT_TRUE(unloaded == 200 || unloaded == 202) << unloaded;
    mill.loader.release("a");
    const int status = first.response().status;
    EXPECT_TRUE(status == 200 || status == 503) << status;
    const int next = second.response().status;
    EXPECT_TRUE(next == 200 || next == 503) << next;  // the unload may come after it
  }
}

// Everything at once, from many threads: nothing hangs, every answer is one that makes sense, each
// model ends once, and nothing is left behind.
TEST(ModelShelf, any_mix_of_requests_loads_and_unloads) {
  const uint32_t seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  ShelfMill mill({leaving("a"), leaving("b"), plan_for_test("c")},
                 {.drain_deadline = milliseconds(20)}, 700 * kMiB);
  for (const char* id : {"a", "b", "c"}) mill.loader.set(id, {.bytes = 200 * kMiB});
  gateway::Script slow = endless();
  mill.loader.set("b", {.bytes = 200 * kMiB, .answer = slow});
  std::atomic<int> strange{0};
  std::vector<std::thread> threads;
  for (uint32_t t = 0; t < 6; ++t) {
    threads.emplace_back([&, t] {
      std::mt19937 random(seed + t);
      for (int i = 0; i < 60; ++i) {
        const std::string id(1, static_cast<char>('a' + random() % 3));
        const std::string wait = random() % 2 ? "true" : "false";
        net::RawResponse response;
        const uint32_t what = random() % 8;
        switch (what) {
          case 0:
            response = mill.ask("DELETE", "/admin/models/" + id + "?wait=" + wait);
            break;
          case 1:
            response = mill.ask("DELETE", "/admin/models/" + id + "?keep=true&wait=" + wait);
            break;
          case 2:
          case 3:
            response = mill.ask("POST", "/admin/models",
                                R"({"model":")" + id + R"(","wait":)" + wait + "}");
            break;
          case 4:
            mill.shelf->tend(now() + seconds(random() % 120));
            response = mill.ask("GET", "/admin/models");
            break;
          default:
            response = mill.begin_completion(id, 5).response();
        }
        const bool known = response.status == 200 || response.status == 202 ||
                           response.status == 404 || response.status == 503 ||
                           response.status == 400 || response.status == 500;
        if (!known || !response.whole) {
          ++strange;
          ADD_FAILURE() << "request " << what << " of " << id << ", wait " << wait << ": status "
                        << response.status << (response.whole ? "" : ", cut") << ' '
                        << response.body;
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(strange, 0);
  EXPECT_TRUE(ShelfMill::soon([&] {
    for (const gateway::ModelStatus& status : mill.shelf->status()) {
      const bool at_rest =
          status.state == "ready" || status.state == "unloaded" || status.state == "failed";
      if (!at_rest || status.requests != 0 || status.waiting != 0) return false;
    }
    return true;
  }));
  mill.server.reset();
  mill.door.reset();
  mill.shelf.reset();
  EXPECT_EQ(mill.loader.alive(), 0);
}

}  // namespace
}  // namespace mill::app
