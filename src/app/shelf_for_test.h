// A whole server over a ModelShelf whose models weigh nothing and do as they are told.
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <boost/json.hpp>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "app/model_shelf.h"
#include "base/log.h"
#include "gateway/gateway.h"
#include "gateway/scripted_worker_for_test.h"
#include "net/raw_client_for_test.h"

namespace mill::app {

// How the load of a model is to go; changed by tests at any time.
struct FakeModelScript {
  int64_t bytes = 1000;
  bool hold = false;          // the load waits until release()
  std::optional<Error> fail;  // the load fails
  gateway::Script answer;     // to every request
};

class FakeModel final : public LoadedModel {
 public:
  FakeModel(const std::string& id, const text::Tokenizer& tokenizer, FakeModelScript script,
            std::atomic<int>& alive)
      : door_(tokenizer, script.answer), bytes_(script.bytes), alive_(alive) {
    served_.id = id;
    served_.tokenizer = &tokenizer;
    served_.worker = &door_;
    served_.context_tokens = 100000;
    ++alive_;
  }
  ~FakeModel() override { --alive_; }

  const gateway::ServedModel& served() const override { return served_; }
  int64_t memory_bytes() const override { return bytes_; }
  std::string warning() const override { return ""; }
  void end() override {
    EXPECT_FALSE(ended_.exchange(true)) << "a model ends once";
    bytes_ = 0;
    door_.end();
  }

 private:
  class Door final : public work::Worker {
   public:
    Door(const text::Tokenizer& tokenizer, gateway::Script answer)
        : worker_(std::make_unique<gateway::ScriptedWorker>(
              tokenizer, [answer](const work::Order&) { return answer; })) {}
    Result<work::TokenStream> submit(work::Order order) override {
      std::shared_lock lock(mutex_);
      if (worker_) return worker_->submit(std::move(order));
      return mill::fail(Code::kOverloaded, "ended");
    }
    work::Load load() const override {
      std::shared_lock lock(mutex_);
      return worker_ ? worker_->load() : work::Load();
    }
    void end() {
      std::unique_lock lock(mutex_);
      worker_.reset();
    }
    void release() {
      std::shared_lock lock(mutex_);
      if (worker_) worker_->release();
    }

   private:
    mutable std::shared_mutex mutex_;
    std::unique_ptr<gateway::ScriptedWorker> worker_;
  };

  Door door_;
  gateway::ServedModel served_;
  std::atomic<int64_t> bytes_;
  std::atomic<bool> ended_{false};
  std::atomic<int>& alive_;
};

class FakeLoader final : public ModelLoader {
 public:
  FakeLoader() : tokenizer_(gateway::tiny_tokenizer()) {}

  Result<int64_t> file_bytes(const ModelPlan& plan) override {
    std::lock_guard lock(mutex_);
    return scripts_[plan.id].bytes;
  }
  Result<std::unique_ptr<LoadedModel>> load(const ModelPlan& plan, int64_t kv_bytes,
                                            const model::OnProgress& progress) override {
    EXPECT_EQ(++loading_, 1) << "one load at a time";
    ++loads_;
    FakeModelScript script;
    bool goes_on = progress(0.25);
    {
      std::unique_lock lock(mutex_);
      kv_bytes_[plan.id] = kv_bytes;
      while (scripts_[plan.id].hold && goes_on) {
        changed_.wait_for(lock, std::chrono::milliseconds(1));
        lock.unlock();
        goes_on = progress(0.5);
        lock.lock();
      }
      script = scripts_[plan.id];
    }
    --loading_;
    if (!goes_on) return fail(Code::kCancelled, "the load was given up");
    if (script.fail) return fail(*script.fail);
    return std::unique_ptr<LoadedModel>(
        std::make_unique<FakeModel>(plan.id, tokenizer_, std::move(script), alive_));
  }

  void set(const std::string& id, FakeModelScript script) {
    std::lock_guard lock(mutex_);
    scripts_[id] = std::move(script);
  }
  void release(const std::string& id) {
    std::lock_guard lock(mutex_);
    scripts_[id].hold = false;
    changed_.notify_all();
  }
  int64_t kv_bytes(const std::string& id) {
    std::lock_guard lock(mutex_);
    return kv_bytes_[id];
  }
  int loads() const { return loads_; }
  int alive() const { return alive_; }  // models that were not destroyed

 private:
  const text::Tokenizer tokenizer_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, FakeModelScript> scripts_;
  std::map<std::string, int64_t> kv_bytes_;
  std::atomic<int> loading_{0};
  std::atomic<int> loads_{0};
  std::atomic<int> alive_{0};
};

inline ModelPlan plan_for_test(const std::string& id, bool preload = false) {
  ModelPlan plan;
  plan.model = plan.id = id;
  plan.preload = preload;
  return plan;
}

// Fields of a wish that the tests use: model, id, share, preload.
inline Result<ModelPlan> wish_for_test(const gateway::ModelWish& wish) {
  ModelPlan plan;
  for (const auto& [name, text] : wish) {
    if (name == "model") plan.model = text;
    if (name == "id") plan.id = text;
    if (name == "share") plan.share = std::stod(text);
    if (name == "preload") plan.preload = text == "true";
  }
  if (plan.id.empty()) plan.id = plan.model;
  if (plan.id.empty()) return fail(Code::kInvalid, "'model' must name a model", "model");
  return plan;
}

struct ShelfMill {
  // `memory`: of the machine; 0: without bounds.
  explicit ShelfMill(std::vector<ModelPlan> plans, ShelfOptions options = {}, int64_t memory = 0) {
    set_log_level(LogLevel::kError);
    options.tends_itself = false;
    options.plan_of = wish_for_test;
    if (memory == 0) memory = int64_t{1} << 40;
    options.free_bytes = [memory](int64_t promised) { return memory - promised; };
    shelf = std::make_unique<ModelShelf>(std::move(plans), loader, std::move(options));
    gateway::Options door_options;
    door_options.limits.answers = 8;
    door = std::make_unique<gateway::Gateway>(*shelf, door_options);
    net::HttpServerOptions server_options;
    server_options.refusal_reply = gateway::refusal_reply;
    auto listening = net::HttpServer::listen(std::move(server_options), door->handler());
    EXPECT_TRUE(listening.has_value());
    server = std::move(*listening);
    server->start();
  }

  // Sends a request on a connection of its own; its response() is to be read from there.
  net::RawClient send(const std::string& method, const std::string& path,
                      const std::string& body = "") const {
    net::RawClient client(server->port());
    client.send(method + " " + path + " HTTP/1.1\r\nHost: localhost\r\nContent-Length: " +
                std::to_string(body.size()) + "\r\n\r\n" + body);
    return client;
  }
  net::RawResponse ask(const std::string& method, const std::string& path,
                       const std::string& body = "") const {
    return send(method, path, body).response();
  }
  net::RawClient begin_completion(const std::string& id, int tokens = 8) const {
    return send(
        "POST", "/v1/completions",
        R"({"prompt":"x","model":")" + id + R"(","max_tokens":)" + std::to_string(tokens) + "}");
  }
  net::RawResponse complete(const std::string& id) const { return begin_completion(id).response(); }

  gateway::ModelStatus status(const std::string& id) const {
    for (gateway::ModelStatus& status : shelf->status()) {
      if (status.id == id) return std::move(status);
    }
    return {};
  }
  // Waits until the model is in that state; false after 10 s.
  bool becomes(const std::string& id, std::string_view state) const {
    return soon([&] { return status(id).state == state; });
  }
  static bool soon(const std::function<bool()>& holds) {
    const Instant end = now() + std::chrono::seconds(10);
    while (!holds()) {
      if (now() > end) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return true;
  }

  FakeLoader loader;
  std::unique_ptr<ModelShelf> shelf;
  std::unique_ptr<gateway::Gateway> door;
  std::unique_ptr<net::HttpServer> server;
};

}  // namespace mill::app
