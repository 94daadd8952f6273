#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <optional>
#include <utility>

#include "base/log.h"
#include "gateway/percent.h"
#include "gateway/reply_headers.h"
#include "gateway/stations.h"
#include "gateway/who.h"

namespace mill::gateway {
namespace {

// A price of a million as one of a single token, in decimal: "0.00000015".
std::string per_token(int64_t rate) {
  constexpr int64_t kPerUnit = 1'000'000'000'000'000;  // nano of a million -> 1e-15
  std::string text = fmt::format("{}.{:015}", rate / kPerUnit, rate % kPerUnit);
  text.erase(text.find_last_not_of('0') + 1);
  if (text.ends_with('.')) text.pop_back();
  return text;
}

// What it costs now, in the shape that OpenRouter asks of its providers: prices of one token, or of
// one request, as decimals.
void append_prices(std::string& out, const maas::Pin& pin) {
  constexpr std::pair<maas::Item, std::string_view> kNames[] = {
      {maas::Item::kInput, "prompt"},
      {maas::Item::kOutput, "completion"},
      {maas::Item::kRequest, "request"},
      {maas::Item::kInputImage, "image"},
      {maas::Item::kReasoning, "internal_reasoning"},
      {maas::Item::kCacheRead, "input_cache_read"},
      {maas::Item::kCacheWrite, "input_cache_write"}};
  out += R"(,"pricing":{)";
  for (const auto& [item, name] : kNames) {
    const int64_t rate = pin.rates[static_cast<size_t>(item)];
    if (rate == maas::kNotSold) continue;
    if (!out.ends_with('{')) out += ',';
    fmt::format_to(std::back_inserter(out), R"("{}":"{}")", name, per_token(rate));
  }
  fmt::format_to(std::back_inserter(out), R"(,"currency":"{}","tier":"{}"}})",
                 ledger::to_string(pin.currency), maas::name(pin.tier));
}

// What the key that asks may know: its prices, and models on its list.
struct Buyer {
  std::optional<maas::Caller> caller;                // nothing: an open server
  std::shared_ptr<const maas::PriceVersion> prices;  // may be null
  int64_t at_ns = 0;

  bool sees(const KnownModel& model) const {
    if (!caller || caller->allows(model.id)) return true;
    const maas::Model* sold = prices ? prices->find(model.id) : nullptr;
    return sold && std::any_of(sold->aliases.begin(), sold->aliases.end(),
                               [&](const std::string& alias) { return caller->allows(alias); });
  }
};
Result<Buyer> buyer_of(Stations at, const net::HttpExchange& http) {
  Buyer buyer;
  if (!at.options.office) return buyer;
  MILL_TRY(buyer.caller, identify(at.options, http));
  buyer.prices = at.options.office->till().prices();
  buyer.at_ns = unix_nanoseconds();
  return buyer;
}

void append_sale(std::string& out, const KnownModel& model, const Buyer& buyer) {
  const maas::Model* sold = buyer.prices ? buyer.prices->find(model.id) : nullptr;
  if (!sold) return;
  if (!sold->description.empty()) {
    out += R"(,"description":)";
    append_json_string(out, sold->description);
  }
  if (sold->max_output_tokens > 0)
    fmt::format_to(std::back_inserter(out), R"(,"max_output_length":{})", sold->max_output_tokens);
  constexpr int64_t kSecond = 1'000'000'000;
  if (sold->deprecated_at_ns)
    fmt::format_to(std::back_inserter(out), R"(,"deprecated_at":{})",
                   *sold->deprecated_at_ns / kSecond);
  if (sold->retires_at_ns)
    fmt::format_to(std::back_inserter(out), R"(,"retires_at":{})", *sold->retires_at_ns / kSecond);
  const auto pin = buyer.prices->pin({.model = sold->id,
                                      .currency = buyer.caller->currency,
                                      .tier = buyer.caller->tier,
                                      .accepted_ns = buyer.at_ns});
  if (pin) append_prices(out, *pin);
}

void append_model(std::string& out, const KnownModel& model, const Buyer& buyer) {
  out += R"({"id":)";
  append_json_string(out, model.id);
  fmt::format_to(std::back_inserter(out),
                 R"(,"object":"model","created":{},"owned_by":"tokenmill")", model.created);
  if (model.context_tokens > 0)
    fmt::format_to(std::back_inserter(out), R"(,"context_length":{})", model.context_tokens);
  append_sale(out, model, buyer);
  out += '}';
}

Task<Status> send_json(Stations at, net::HttpExchange& http, std::string body) {
  net::HttpReply reply;
  reply.content_type = "application/json";
  reply.headers = api_headers(http, at.options.delivery.cors_origin);
  reply.body = std::move(body);
  Status sent = co_await http.reply(std::move(reply));
  co_return sent;
}

}  // namespace

Task<Status> serve_models(Stations at, net::HttpExchange& http, RequestRecord&) {
  MILL_CO_TRY(const Buyer buyer, buyer_of(at, http));
  std::string body = R"({"object":"list","data":[)";
  for (const KnownModel& model : at.models.list()) {
    if (!buyer.sees(model)) continue;
    if (!body.ends_with('[')) body += ',';
    append_model(body, model, buyer);
  }
  body += "]}";
  Status sent = co_await send_json(at, http, std::move(body));
  co_return sent;
}

Task<Status> serve_model(Stations at, net::HttpExchange& http, RequestRecord&) {
  const std::string_view tail =
      http.request().path().substr(std::string_view("/v1/models/").size());
  MILL_CO_TRY(const Buyer buyer, buyer_of(at, http));
  std::optional<std::string> id = percent_decoded(tail);
  const maas::Model* sold = buyer.prices && id ? buyer.prices->find(*id) : nullptr;
  if (sold) id = sold->id;  // an alias
  for (const KnownModel& model : at.models.list()) {
    if (id != model.id || !buyer.sees(model)) continue;
    std::string body;
    append_model(body, model, buyer);
    Status sent = co_await send_json(at, http, std::move(body));
    co_return sent;
  }
  co_return fail(Code::kNotFound, "there is no such model here: GET /v1/models lists them",
                 "model");
}

}  // namespace mill::gateway
