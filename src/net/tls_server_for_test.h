// An HTTPS server for tests that does as it is told, lies and breaks included. One request per
// connection.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

struct ssl_ctx_st;
struct ssl_st;

namespace mill::net {

class TlsServerForTest {
 public:
  // One request and the way to answer it. Returning from the handler closes the connection in
  // order.
  class Exchange {
   public:
    Exchange(ssl_st* tls, int socket, int number, std::string head)
        : tls_(tls), socket_(socket), number_(number), head_(std::move(head)) {}
    int number() const { return number_; }  // 0 for the first request that the server got
    std::string path() const;
    // The value of a header, or "".
    std::string header(std::string_view name) const;
    // The N of "Range: bytes=N-"; 0 without one.
    size_t range_from() const;
    // The body that Content-Length announced; reads it.
    std::string body();
    void send(std::string_view bytes);
    // Answers with a status line, the given header lines ("Name: value\r\n…") and Content-Length,
    // and the body.
    void reply(std::string_view status, std::string_view headers, std::string_view body);
    void cut();    // ends after what was sent, without TLS's goodbye
    void reset();  // resets the connection when the handler returns; what is on its way is lost
    void stall();  // says nothing until the client leaves

   private:
    ssl_st* tls_;
    int socket_;
    int number_;
    std::string head_;
  };
  using Handler = std::function<void(Exchange&)>;

  explicit TlsServerForTest(Handler handler);
  ~TlsServerForTest();

  std::string url(std::string_view path) const;  // https://localhost:PORT/path
  int port() const { return port_; }
  const std::string& ca_file() const {
    return ca_file_;
  }  // a PEM file with the server's own certificate
  int requests() const { return requests_; }

 private:
  void serve();
  void answer(int socket);

  Handler handler_;
  std::unique_ptr<ssl_ctx_st, void (*)(ssl_ctx_st*)> context_;
  std::string ca_file_;
  int listener_ = -1;
  int port_ = 0;
  std::atomic<int> requests_{0};
  std::atomic<bool> ending_{false};
  std::mutex mutex_;
  std::vector<std::thread> workers_;  // guarded by mutex_
  std::vector<int> sockets_;          // guarded by mutex_; open connections
  std::thread acceptor_;
};

}  // namespace mill::net
