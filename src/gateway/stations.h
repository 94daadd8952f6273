// What the handlers of the routes work with. Internal to gateway.
#pragma once

#include <atomic>
#include <string>
#include <utility>

#include "base/result.h"
#include "base/task.h"
#include "gateway/gateway.h"
#include "gateway/openai/common_fields.h"
#include "gateway/request_record.h"
#include "net/http_exchange.h"

namespace mill::gateway {

// Belongs to the Gateway, which outlives every request.
struct Stations {
  ModelDirectory& models;
  const Options& options;
  Metrics& metrics;
  net::SideThreads& side_threads;
  net::SideThreads& desk_thread;
  const std::atomic<bool>& draining;
  const CacheSalts& cache_salts;
  text::TokenCache& token_cache;
  KeptAnswers& kept_answers;

  // `credentials` as of credentials_of().
  openai::Catalogue catalogue(std::string credentials) const {
    openai::Catalogue out{.models = &models, .limits = options.limits};
    out.asker = {&cache_salts, std::move(credentials), &token_cache};
    if (options.office) {
      out.prices = options.office->till().prices();
      out.unix_ns = unix_nanoseconds();
      out.sells = true;
    }
    return out;
  }
};

// A handler answers through `http`, or fails, and then the error is the answer.
Task<Status> serve_chat(Stations at, net::HttpExchange& http, RequestRecord& record);
Task<Status> serve_completion(Stations at, net::HttpExchange& http, RequestRecord& record);
Task<Status> serve_models(Stations at, net::HttpExchange& http, RequestRecord& record);
Task<Status> serve_model(Stations at, net::HttpExchange& http, RequestRecord& record);
Task<Status> serve_health(Stations at, net::HttpExchange& http, RequestRecord& record);
Task<Status> serve_ready(Stations at, net::HttpExchange& http, RequestRecord& record);
Task<Status> serve_metrics(Stations at, net::HttpExchange& http, RequestRecord& record);
Task<Status> serve_admin_models(Stations at, net::HttpExchange& http, RequestRecord& record);
Task<Status> serve_admin_load(Stations at, net::HttpExchange& http, RequestRecord& record);
Task<Status> serve_admin_unload(Stations at, net::HttpExchange& http, RequestRecord& record);
Task<Status> serve_greeting(Stations at, net::HttpExchange& http, RequestRecord& record);

}  // namespace mill::gateway
