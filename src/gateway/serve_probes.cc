// What those ask who run the server: is it alive, does it take work, how is it doing.
#include "base/log.h"
#include "gateway/ledger_metrics.h"
#include "gateway/stations.h"

namespace mill::gateway {
namespace {

net::HttpReply reply_of(std::string type, std::string body) {
  net::HttpReply reply;
  reply.content_type = std::move(type);
  reply.body = std::move(body);
  return reply;
}

}  // namespace

Task<Status> serve_health(Stations, net::HttpExchange& http, RequestRecord&) {
  net::HttpReply reply = reply_of("application/json", R"({"status":"ok"})");
  Status sent = co_await http.reply(std::move(reply));
  co_return sent;
}

Task<Status> serve_ready(Stations at, net::HttpExchange& http, RequestRecord&) {
  net::HttpReply reply = reply_of("application/json", R"({"status":"ready"})");
  if (!at.models.ready()) {
    reply.status = 503;
    reply.body = R"({"status":"loading"})";
  }
  if (at.draining) {
    reply.status = 503;
    reply.body = R"({"status":"draining"})";
  }
  Status sent = co_await http.reply(std::move(reply));
  co_return sent;
}

Task<Status> serve_metrics(Stations at, net::HttpExchange& http, RequestRecord&) {
  std::string text = at.metrics.text();
  if (maas::Office* const office = at.options.office) {
    append_ledger_metrics(text, office->book());
    if (const maas::EnergyMeter* const meter = office->till().meter())
      append_energy_metrics(text, *meter);
  }
  if (at.options.courier) append_webhook_metrics(text, *at.options.courier);
  net::HttpReply reply = reply_of("text/plain; version=0.0.4; charset=utf-8", std::move(text));
  Status sent = co_await http.reply(std::move(reply));
  co_return sent;
}

Task<Status> serve_greeting(Stations at, net::HttpExchange& http, RequestRecord&) {
  std::string body = R"({"server":)";
  append_json_string(body, at.options.version);
  body += R"(,"api":"/v1"})";
  net::HttpReply reply = reply_of("application/json", std::move(body));
  Status sent = co_await http.reply(std::move(reply));
  co_return sent;
}

}  // namespace mill::gateway
