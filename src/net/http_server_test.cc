#include "net/http_server.h"

#include <gtest/gtest.h>

#include "net/raw_client_for_test.h"

namespace mill::net {
namespace {

using namespace std::chrono_literals;

Task<void> echo(HttpExchange& http) {
  HttpReply reply;
  reply.content_type = "text/plain";
  reply.body = http.request().method + " " + http.request().target + " " + http.request().body;
  const Status sent = co_await http.reply(std::move(reply));
  (void)sent;
}

std::unique_ptr<HttpServer> serve(HttpHandler handler, HttpServerOptions options = {}) {
  auto server = HttpServer::listen(std::move(options), std::move(handler));
  EXPECT_TRUE(server);
  (*server)->start();
  return std::move(*server);
}

TEST(HttpServer, answers_and_keeps_the_connection) {
  const auto server = serve(echo);
  RawClient client(server->port());
  for (int i = 0; i < 3; ++i) {
    client.send("POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi");
    const RawResponse response = client.response();
    EXPECT_EQ(response.status, 200);
    EXPECT_EQ(response.body, "POST /a hi");
    EXPECT_EQ(response.header("X-Request-Id").substr(0, 4), "req_");
  }
}

}  // namespace
}  // namespace mill::net
