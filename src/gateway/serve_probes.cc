// What those ask who run the server: is it alive, does it take work, how is it doing.
#include "base/log.h"
#include "gateway/stations.h"

namespace mill::gateway {
namespace {

Task<Status> send(net::HttpExchange& http, int status, std::string type, std::string body) {
  net::HttpReply reply;
  reply.status = status;
  reply.content_type = std::move(type);
  reply.body = std::move(body);
  Status sent = co_await http.reply(std::move(reply));
  co_return sent;
}

}  // namespace

Task<Status> serve_health(Stations, net::HttpExchange& http, RequestRecord&) {
  Status sent = co_await send(http, 200, "application/json", R"({"status":"ok"})");
  co_return sent;
}

Task<Status> serve_ready(Stations at, net::HttpExchange& http, RequestRecord&) {
  const bool draining = at.draining;
  std::string body = draining ? R"({"status":"draining"})" : R"({"status":"ready"})";
  Status sent = co_await send(http, draining ? 503 : 200, "application/json", std::move(body));
  co_return sent;
}

Task<Status> serve_metrics(Stations at, net::HttpExchange& http, RequestRecord&) {
  std::string body = at.metrics.text();
  Status sent =
      co_await send(http, 200, "text/plain; version=0.0.4; charset=utf-8", std::move(body));
  co_return sent;
}

Task<Status> serve_greeting(Stations at, net::HttpExchange& http, RequestRecord&) {
  std::string body = R"({"server":)";
  append_json_string(body, at.options.version);
  body += R"(,"api":"/v1"})";
  Status sent = co_await send(http, 200, "application/json", std::move(body));
  co_return sent;
}

}  // namespace mill::gateway
