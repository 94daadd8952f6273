// What is remembered of a request while it is served: for its log line and the metrics.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "work/event.h"

namespace mill::gateway {

struct RequestRecord {
  std::string_view route;  // the name of the route, "" for none
  std::string model;       // empty until a served one was named
  std::string
      finish_reason;  // of the choices, "stop" or "stop,length"; empty when there was no answer
  work::Usage usage;  // of all choices; the prompt once
  std::optional<Instant> first_token;
  Instant last_token{};
  std::string organization, key;  // external ids of who asked; empty on an open server
  std::string receipt;            // the request's id in the books
  int64_t charge = 0;             // in 1e-9 of the organization's currency
  // Why it was turned away, of a fixed set of words: "key", "forbidden", "limit", "credit", "busy",
  // "no_price", "books", "queue", "draining", "overloaded"; empty: it was not. With "limit" also
  // which and whose.
  std::string_view reason, limit, level;
  int status = 0;
  int64_t retry_after = 1;  // seconds, of a 503
};

}  // namespace mill::gateway
