// From a worker's events to the client: as they come, or whole.
#pragma once

#include <atomic>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "base/task.h"
#include "gateway/answer_format.h"
#include "gateway/booking.h"
#include "gateway/call.h"
#include "gateway/choices.h"
#include "gateway/kept_answers.h"
#include "gateway/metrics.h"
#include "gateway/request_record.h"
#include "net/http_exchange.h"

namespace mill::gateway {

struct DeliveryOptions {
  Duration keepalive =
      std::chrono::seconds(15);  // a comment goes out when a stream is silent for so long
  std::string cors_origin;       // of Access-Control-Allow-Origin; empty: none
};

// What one delivery works with; all of it outlives the delivery.
struct Delivery {
  net::HttpExchange& http;
  const Call& call;
  const AnswerFormat& format;
  const DeliveryOptions& options;
  ModelMetrics& metrics;
  RequestRecord& record;
  Booking& booking;
  std::vector<net::Header>& headers;  // of the answer, besides those that every answer has; the
                                      // head takes them along
  const std::atomic<bool>& draining;
  KeptAnswers::Turn* kept;  // gets what is sent, to be sent again; null: nobody wants it
};

// Reads every choice up to its Finished and answers the client. When the client leaves, the choices
// are cancelled and still read to their end, so that the usage in `record` is exact; where `kept`
// is, they go on, as the client will ask again. What is booked
// is held before the first byte leaves and settled before the last. Fails with the worker's fault
// while nothing has been sent (the caller answers it), and with a later one after it went out as
// the last event of the stream. kCancelled: the client left.
Task<Status> deliver(Delivery at, Choices choices);

}  // namespace mill::gateway
