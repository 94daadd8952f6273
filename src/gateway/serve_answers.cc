// The two endpoints that make a model write: each a story in five stations.
#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <functional>
#include <optional>

#include "gateway/choices.h"
#include "gateway/deliver.h"
#include "gateway/openai/formats.h"
#include "gateway/openai/parse_chat.h"
#include "gateway/openai/parse_completion.h"
#include "gateway/reply_headers.h"
#include "gateway/stations.h"
#include "gateway/who.h"
#include "net/request_id.h"

namespace mill::gateway {
namespace {

using Parse = Result<Call> (*)(std::string_view body, const openai::Catalogue& catalogue);
using Format = std::unique_ptr<AnswerFormat> (*)(const Call&, const openai::Envelope&);

Result<Call> parse_chat_now(std::string_view body, const openai::Catalogue& catalogue) {
  return openai::parse_chat(body, catalogue, unix_seconds());
}

// Parses on a side thread when that would hold up the others of this io thread.
Task<Result<Call>> parse_beside(Stations at, std::shared_ptr<const std::string> body, Parse parse,
                                std::string credentials) {
  openai::Catalogue catalogue = at.catalogue(std::move(credentials));
  if (body->size() <= at.options.inline_body_bytes) co_return parse(*body, catalogue);
  std::function<Result<Call>()> work = [catalogue = std::move(catalogue), parse, body] {
    return parse(*body, catalogue);
  };
  Result<Call> call = co_await at.side_threads.run(std::move(work));
  co_return call;
}

// Waits where the model has to be loaded first, and then reads the body again, as tokens are the
// model's. A lease is held meanwhile, so that it is there.
Task<Result<Call>> read_call(Stations at, std::string bytes, Parse parse, std::string credentials) {
  const auto body = std::make_shared<const std::string>(std::move(bytes));
  Result<Call> call = co_await parse_beside(at, body, parse, credentials);
  if (!call || call->model) co_return call;
  MILL_CO_TRY(const ModelLease lease, co_await at.models.wait_for(call->absent));
  call = co_await parse_beside(at, body, parse, credentials);
  if (call && !call->model) {
    co_return fail(Code::kOverloaded, "the model '" + call->absent + "' is being unloaded",
                   "model");
  }
  co_return call;
}

openai::Envelope envelope(std::string_view prefix, const Options& options) {
  return {fmt::format("{}-{:016x}{:016x}", prefix, net::random_bits(), net::random_bits()),
          unix_seconds(), options.system_fingerprint};
}

// How good a place in the line a tier has: lower is better.
int standing(maas::Tier tier) {
  switch (tier) {
    case maas::Tier::kPriority:
      return 0;
    case maas::Tier::kDefault:
      return 1;
    case maas::Tier::kFlex:
      return 2;
    case maas::Tier::kBatch:
      break;
  }
  return 3;
}

// The tier that an answer is served and sold in: the client's choice of its project's and those
// behind it. What a project may have at best is the operator's to say.
Result<maas::Tier> tier_of(maas::Tier own, std::optional<maas::Tier> wish) {
  if (!wish || standing(*wish) >= standing(own)) return wish.value_or(own);
  return fail(Code::kPermission,
              fmt::format("the service_tier {} is better than this project's, which is {}",
                          name(*wish), name(own)),
              "service_tier");
}

// What one answer is sold as: the order to the till. kPermission where the key may not ask it.
Result<Booking::Terms> terms_of(Stations at, maas::Caller caller, const Call& call) {
  const Status listed = caller.may_infer(call.model->id);
  if (!listed && (call.asked == call.model->id || !caller.may_infer(call.asked)))
    return fail(listed.error());
  MILL_TRY(caller.tier, tier_of(caller.tier, call.tier));
  return Booking::Terms{.office = at.options.office,
                        .caller = std::move(caller),
                        .prompt_tokens = call.prompt_tokens(),
                        .most_output = call.output_tokens(),
                        .revoked_ends = at.options.revoked_streams_end};
}

void note_caller(const maas::Caller& caller, RequestRecord& record) {
  record.organization = maas::to_string(maas::IdKind::kOrganization, caller.org_id);
  record.key = maas::to_string(maas::IdKind::kKey, caller.key_id);
}

std::string_view reason_of(maas::Denial::Kind kind) {
  using Kind = maas::Denial::Kind;
  switch (kind) {
    case Kind::kLimit:
      return "limit";
    case Kind::kCredit:
      return "credit";
    case Kind::kBusy:
      return "busy";
    case Kind::kNoPrice:
      return "no_price";
    case Kind::kBooks:
      break;
  }
  return "books";
}

Task<Status> refuse(Stations at, net::HttpExchange& http, RequestRecord& record,
                    const maas::Denial& denial, double drain_seconds) {
  record.reason = reason_of(denial.kind);
  if (denial.limit) {
    record.limit = name(denial.limit->meter);
    record.level = name(denial.limit->level);
  }
  net::HttpReply reply = denial_reply(denial, drain_seconds);
  auto common = api_headers(http, at.options.delivery.cors_origin);
  std::move(common.begin(), common.end(), std::back_inserter(reply.headers));
  const Status sent = co_await http.reply(std::move(reply));
  (void)sent;
  co_return fail(denial.error);
}

Task<Status> answer_again(Stations at, net::HttpExchange& http, RequestRecord& record,
                          std::shared_ptr<const KeptAnswer> kept) {
  record.receipt = kept->receipt;
  MILL_CO_TRY_DO(
      co_await at.options.office->book().durable({.seq = kept->seq}, now() + Booking::kPatience));
  net::HttpReply reply{.content_type = kept->content_type, .body = kept->body};
  reply.headers = api_headers(http, at.options.delivery.cors_origin);
  reply.headers.push_back({"Idempotent-Replayed", "true"});
  reply.headers.push_back({"X-Tokenmill-Receipt", kept->receipt});
  Status sent = co_await http.reply(std::move(reply));
  co_return sent;
}

Task<Status> refuse_key(Stations at, net::HttpExchange& http, KeptAnswers::Refusal refusal) {
  net::HttpReply reply =
      wire_reply({refusal.status, "idempotency_error", "idempotency_error"}, refusal.message);
  if (refusal.status == 409) reply.headers.push_back({"Retry-After", "1"});
  auto common = api_headers(http, at.options.delivery.cors_origin);
  std::move(common.begin(), common.end(), std::back_inserter(reply.headers));
  const Status sent = co_await http.reply(std::move(reply));
  (void)sent;
  co_return fail(Code::kInvalid, std::move(refusal.message), "Idempotency-Key");
}

// Its place in the line. Among tenants a client's own priority may only put it further back: what
// goes ahead of others is a matter of shares and tiers.
void give_way(std::vector<work::Order>& orders, const Booking& booking) {
  for (work::Order& order : orders) {
    order.yield = booking.yield();
    order.tenant = booking.tenant();
    order.priority = std::min(order.priority, 0) + booking.level();
  }
}

// What the client should know of a model that goes away (RFC 9745, RFC 8594).
void append_deprecation(std::vector<net::Header>& headers, Stations at, const Call& call) {
  if (!at.options.office) return;
  const auto prices = at.options.office->till().prices();
  const maas::Model* sold = prices ? prices->find(call.model->id) : nullptr;
  if (!sold || !sold->deprecated(unix_nanoseconds())) return;
  constexpr int64_t kSecond = 1'000'000'000;
  headers.push_back({"Deprecation", fmt::format("@{}", *sold->deprecated_at_ns / kSecond)});
  if (!sold->retires_at_ns) return;
  const auto retires = static_cast<std::time_t>(*sold->retires_at_ns / kSecond);
  headers.push_back({"Sunset", fmt::format("{:%a, %d %b %Y %H:%M:%S} GMT", fmt::gmtime(retires))});
}

// What an endpoint is made of.
struct Endpoint {
  Parse parse;
  Format format;
  std::string_view id_prefix;
};

// From a caller who may ask to the last byte. `kept`: as of Delivery.
Task<Status> answer(Stations at, net::HttpExchange& http, RequestRecord& record, Endpoint endpoint,
                    std::optional<maas::Caller> caller, KeptAnswers::Turn* kept) {
  std::string body = http.take_body();
  std::string credentials(credentials_of(http.request()));
  MILL_CO_TRY(const Call call,
              co_await read_call(at, std::move(body), endpoint.parse, std::move(credentials)));
  http.drop_body();
  record.model = call.model->id;
  ModelMetrics& metrics = at.metrics.of(*call.model);
  const bool timed = at.options.answer_time > Duration::zero();
  const Instant deadline = timed ? now() + at.options.answer_time : kNever;
  Booking booking;
  std::vector<net::Header> headers;
  if (caller) {
    MILL_CO_TRY(Booking::Terms terms, terms_of(at, std::move(*caller), call));
    tl::expected<Booking, maas::Denial> booked =
        book(std::move(terms), call.model->id, call.stream, call.model->worker->load());
    if (!booked) {
      const double drain_seconds = call.model->worker->load().drain_seconds;
      Status refused = co_await refuse(at, http, record, booked.error(), drain_seconds);
      co_return refused;
    }
    booking = std::move(*booked);
    record.receipt = booking.id();
    headers = booking.headers();
    append_deprecation(headers, at, call);
  }
  std::vector<work::Order> orders = orders_of(call, {http.id(), deadline});
  if (booking.booked()) give_way(orders, booking);
  Result<Choices> taken = Choices::submit(*call.model->worker, std::move(orders));
  if (!taken) {
    record.reason = taken.error().code == Code::kOverloaded ? "queue" : "";
    record.retry_after = retry_after(call.model->worker->load().drain_seconds);
    co_return fail(std::move(taken).error());
  }
  Choices choices = std::move(*taken);
  openai::Envelope head = envelope(endpoint.id_prefix, at.options);
  if (booking.booked()) head.service_tier = name(booking.tier());
  const auto format = endpoint.format(call, head);
  const Delivery delivery{http,   call,    *format, at.options.delivery, metrics,
                          record, booking, headers, at.draining,         kept};
  Status delivered = co_await deliver(delivery, std::move(choices));
  metrics.answered(record, now() - http.received());
  co_return delivered;
}

Task<Status> serve_answers(Stations at, net::HttpExchange& http, RequestRecord& record,
                           Endpoint endpoint) {
  if (at.draining) {
    record.reason = "draining";
    co_return fail(Code::kOverloaded, "the server is shutting down: try again");
  }
  std::optional<maas::Caller> caller;
  if (at.options.office) {
    MILL_CO_TRY(caller, identify(at.options, http));
    note_caller(*caller, record);
    if (caller->admin) co_return caller->may_infer({});
  }
  const auto key = http.request().header("Idempotency-Key");
  if (!key || !caller) {  // an open server charges nobody, and does not know who asks
    Status answered = co_await answer(at, http, record, endpoint, std::move(caller), nullptr);
    co_return answered;
  }
  auto found = at.kept_answers.begin(caller->payer.key, *key, http.request().path(),
                                     http.request().body, now());
  if (auto* refusal = std::get_if<KeptAnswers::Refusal>(&found)) {
    Status refused = co_await refuse_key(at, http, std::move(*refusal));
    co_return refused;
  }
  auto& turn_or_answer = std::get<KeptAnswers::Found>(found);
  if (auto* kept = std::get_if<std::shared_ptr<const KeptAnswer>>(&turn_or_answer)) {
    Status again = co_await answer_again(at, http, record, *kept);
    co_return again;
  }
  auto& turn = std::get<KeptAnswers::Turn>(turn_or_answer);
  Status answered = co_await answer(at, http, record, endpoint, std::move(caller), &turn);
  co_return answered;
}

}  // namespace

Task<Status> serve_chat(Stations at, net::HttpExchange& http, RequestRecord& record) {
  return serve_answers(at, http, record, {parse_chat_now, openai::chat_format, "chatcmpl"});
}

Task<Status> serve_completion(Stations at, net::HttpExchange& http, RequestRecord& record) {
  return serve_answers(at, http, record,
                       {openai::parse_completion, openai::completion_format, "cmpl"});
}

}  // namespace mill::gateway
