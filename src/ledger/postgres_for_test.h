// A real PostgreSQL server for the tests, and a proxy that cuts its connections.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>

namespace mill::ledger {

// One server for the process: made by initdb in a folder of its own, listening on 127.0.0.1 and in
// that folder, ended with the process whatever happens to it.
class PostgresServer {
 public:
  // Nothing where the machine has no server's binaries; why() says so. Starts it at the first call.
  static PostgresServer* get();
  static const std::string& why();

  // An address with a schema of its own, which does not exist before; `port` 0: the server's.
  std::string new_schema(int port = 0);
  std::string url(const std::string& schema, int port = 0) const;
  // What a superuser does behind our back, in that schema. Returns the first value of the answer.
  std::string run(const std::string& url, const std::string& sql);
  // Ends every session but the one that asks; how many there were.
  int cut_sessions();
  // As when the machine loses power, but for the disk: no goodbye, and recovery at the next start.
  bool stop_at_once();
  bool start();
  int port() const { return port_; }

  ~PostgresServer();

 private:
  PostgresServer() = default;
  bool make();
  std::filesystem::path bin_, folder_;
  int port_ = 0;
  pid_t process_ = -1;
  std::atomic<int> schemas_{0};
};

// Passes bytes between whoever connects to port() and a server, until it is told to do worse.
class Proxy {
 public:
  explicit Proxy(int server_port);
  ~Proxy();
  Proxy(const Proxy&) = delete;
  Proxy& operator=(const Proxy&) = delete;
  int port() const { return port_; }

  // Cuts all connections, both ways at once, after that many more bytes from the client (or from
  // the server). What was passed on before arrives.
  void cut_after_sent(int64_t bytes) { sent_left_ = bytes; }
  void cut_after_received(int64_t bytes) { received_left_ = bytes; }
  // New connections are refused, and old ones cut.
  void refuse(bool on) { refusing_ = on; }
  // Bytes are neither passed on nor refused.
  void swallow(bool on) { swallowing_ = on; }
  int64_t cuts() const { return cuts_; }

 private:
  struct Pair;
  void run();
  bool pass(int from, int to, std::atomic<int64_t>& left);
  int server_port_;
  int listener_ = -1;
  int port_ = 0;
  std::atomic<int64_t> sent_left_{INT64_MAX}, received_left_{INT64_MAX}, cuts_{0};
  std::atomic<bool> refusing_{false}, swallowing_{false}, stopping_{false};
  std::thread thread_;
};

}  // namespace mill::ledger
