#include "ledger/postgres_for_test.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <grp.h>
#include <libpq-fe.h>
#include <netinet/in.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <optional>
#include <vector>

namespace mill::ledger {
namespace {

sockaddr_in loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

// A socket on a port of 127.0.0.1 that was free.
int listen_somewhere(int& port) {
  const int made = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = loopback(0);
  socklen_t size = sizeof address;
  if (made < 0 || ::bind(made, reinterpret_cast<sockaddr*>(&address), size) != 0 ||
      ::listen(made, 64) != 0 ||
      ::getsockname(made, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    return -1;
  }
  port = ntohs(address.sin_port);
  return made;
}

std::string output_of(const std::string& command) {
  std::string out;
  FILE* const pipe = ::popen(command.c_str(), "r");
  if (!pipe) return out;
  char buffer[256];
  while (fgets(buffer, sizeof buffer, pipe)) out += buffer;
  ::pclose(pipe);
  while (!out.empty() && out.back() == '\n') out.pop_back();
  return out;
}

std::filesystem::path find_binaries() {
  const std::filesystem::path told = output_of("pg_config --bindir 2>/dev/null");
  std::vector<std::filesystem::path> places{told};
  std::error_code none;
  for (const auto& version : std::filesystem::directory_iterator("/usr/lib/postgresql", none)) {
    places.push_back(version.path() / "bin");
  }
  for (const auto& place : places) {
    if (std::filesystem::exists(place / "initdb") && std::filesystem::exists(place / "postgres")) {
      return place;
    }
  }
  return {};
}

// The server does not run as root: this is whom it runs as then.
std::optional<passwd> other_user() {
  if (geteuid() != 0) return std::nullopt;
  for (const char* name : {"postgres", "nobody"}) {
    if (const passwd* found = getpwnam(name)) return *found;
  }
  return std::nullopt;
}

// Starts a program that ends with this process.
pid_t spawn(const std::vector<std::string>& words, const std::string& log) {
  const std::optional<passwd> user = other_user();
  std::vector<char*> arguments;
  for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  const pid_t parent = getpid();
  const pid_t child = fork();
  if (child != 0) return child;
  if (user &&
      (setgroups(0, nullptr) != 0 || setgid(user->pw_gid) != 0 || setuid(user->pw_uid) != 0)) {
    _exit(126);
  }
  prctl(PR_SET_PDEATHSIG, SIGQUIT);
  if (getppid() != parent) _exit(126);
  if (freopen(log.c_str(), "a", stdout) == nullptr) _exit(126);
  dup2(fileno(stdout), STDERR_FILENO);
  execv(arguments[0], arguments.data());
  _exit(127);
}

bool ended_well(pid_t child) {
  int status = 0;
  return child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) &&
         WEXITSTATUS(status) == 0;
}

std::string reason;  // why there is no server

}  // namespace

const std::string& PostgresServer::why() {
  return reason;
}

PostgresServer* PostgresServer::get() {
  static const std::unique_ptr<PostgresServer> server = [] {
    std::unique_ptr<PostgresServer> made(new PostgresServer());
    if (!made->make()) made.reset();
    return made;
  }();
  return server.get();
}

bool PostgresServer::make() {
  bin_ = find_binaries();
  if (bin_.empty()) {
    reason = "no PostgreSQL server is installed (tools/setup.sh test installs it)";
    return false;
  }
  std::string made = (std::filesystem::temp_directory_path() / "ledger-pg-XXXXXX").string();
  if (mkdtemp(made.data()) == nullptr) return false;
  folder_ = made;
  if (const std::optional<passwd> user = other_user();
      user && chown(made.c_str(), user->pw_uid, user->pw_gid) != 0) {
    return false;
  }
  const std::string log = (folder_ / "log").string();
  if (!ended_well(spawn({(bin_ / "initdb").string(), "-D", (folder_ / "data").string(), "-U",
                         "mill", "-A", "trust", "-E", "UTF8", "--locale=C", "-N"},
                        log))) {
    std::ifstream text(log);
    reason = "initdb failed: " + std::string(std::istreambuf_iterator<char>(text), {});
    return false;
  }
  const int probe = listen_somewhere(port_);
  ::close(probe);
  return start();
}

bool PostgresServer::start() {
  process_ =
      spawn({(bin_ / "postgres").string(), "-D", (folder_ / "data").string(), "-p",
             std::to_string(port_), "-k", folder_.string(), "-c", "listen_addresses=127.0.0.1",
             "-c", "max_connections=60", "-c", "shared_buffers=64MB"},
            (folder_ / "log").string());
  for (int i = 0; i < 600; ++i) {
    if (PQping(url("public").c_str()) == PQPING_OK) return true;
    if (waitpid(process_, nullptr, WNOHANG) == process_) break;
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  reason = "the server does not start";
  process_ = -1;
  return false;
}

bool PostgresServer::stop_at_once() {
  if (process_ <= 0) return false;
  ::kill(process_, SIGQUIT);
  int status = 0;
  const bool ended = waitpid(process_, &status, 0) == process_;
  process_ = -1;
  return ended;
}

PostgresServer::~PostgresServer() {
  stop_at_once();
  std::error_code none;
  if (!folder_.empty()) std::filesystem::remove_all(folder_, none);
}

std::string PostgresServer::url(const std::string& schema, int port) const {
  return fmt::format(
      "postgres://mill:secret-of-tests@127.0.0.1:{}/postgres?options=-csearch_path%3D{}",
      port == 0 ? port_ : port, schema);
}

std::string PostgresServer::new_schema(int port) {
  const std::string schema = fmt::format("s{}_{}", getpid(), ++schemas_);
  run(url("public"), "CREATE SCHEMA " + schema);
  return url(schema, port);
}

std::string PostgresServer::run(const std::string& url, const std::string& sql) {
  PGconn* const connection = PQconnectdb(url.c_str());
  PQsetNoticeProcessor(
      connection, [](void*, const char*) {}, nullptr);
  PGresult* const result = PQexec(connection, sql.c_str());
  std::string value;
  if (PQresultStatus(result) == PGRES_TUPLES_OK && PQntuples(result) > 0) {
    value = PQgetvalue(result, 0, 0);
  } else if (PQresultStatus(result) != PGRES_COMMAND_OK &&
             PQresultStatus(result) != PGRES_TUPLES_OK) {
    value = std::string("ERROR ") + PQerrorMessage(connection);
  }
  PQclear(result);
  PQfinish(connection);
  return value;
}

int PostgresServer::cut_sessions() {
  const std::string count =
      run(url("public"),
          "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE pid <> "
          "pg_backend_pid() AND backend_type = 'client backend'");
  return std::atoi(count.c_str());
}

struct Proxy::Pair {
  int client = -1, server = -1;
};

Proxy::Proxy(int server_port) : server_port_(server_port) {
  listener_ = listen_somewhere(port_);
  thread_ = std::thread([this] { run(); });
}

Proxy::~Proxy() {
  stopping_ = true;
  thread_.join();
  ::close(listener_);
}

// False: the pair is over. Passes on exactly what is left before a cut.
bool Proxy::pass(int from, int to, std::atomic<int64_t>& left) {
  char buffer[4096];
  const auto most =
      static_cast<size_t>(std::min<int64_t>(sizeof buffer, std::max<int64_t>(left, 1)));
  const ssize_t got = ::recv(from, buffer, most, MSG_DONTWAIT);
  if (got < 0) return errno == EAGAIN || errno == EINTR;
  if (got == 0) return false;
  if (swallowing_) return true;
  for (ssize_t at = 0; at < got;) {
    const ssize_t sent = ::send(to, buffer + at, static_cast<size_t>(got - at), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    at += sent;
  }
  if (left != INT64_MAX) left -= got;
  return true;
}

void Proxy::run() {
  std::vector<Pair> pairs;
  const auto cut = [&] {
    for (const Pair& pair : pairs) {
      // A reset, as from a cable that was pulled and a router that noticed.
      const linger at_once{1, 0};
      setsockopt(pair.client, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
      ::close(pair.client);
      ::close(pair.server);
    }
    pairs.clear();
  };
  while (!stopping_) {
    std::vector<pollfd> sockets{{listener_, POLLIN, 0}};
    for (const Pair& pair : pairs) {
      sockets.push_back({pair.client, POLLIN, 0});
      sockets.push_back({pair.server, POLLIN, 0});
    }
    if (::poll(sockets.data(), sockets.size(), 5) < 0) continue;
    for (size_t i = pairs.size(); i-- > 0;) {
      bool alive = true;
      if (sockets[1 + 2 * i].revents) alive = pass(pairs[i].client, pairs[i].server, sent_left_);
      if (alive && sockets[2 + 2 * i].revents) {
        alive = pass(pairs[i].server, pairs[i].client, received_left_);
      }
      if (!alive) {
        ::close(pairs[i].client);
        ::close(pairs[i].server);
        pairs.erase(pairs.begin() + static_cast<std::ptrdiff_t>(i));
      }
    }
    if (sent_left_ <= 0 || received_left_ <= 0) {
      cut();
      ++cuts_;
      sent_left_ = received_left_ = INT64_MAX;
    }
    if (refusing_) cut();
    if (sockets[0].revents) {
      Pair pair;
      pair.client = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      pair.server = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
      const sockaddr_in address = loopback(server_port_);
      if (refusing_ || ::connect(pair.server, reinterpret_cast<const sockaddr*>(&address),
                                 sizeof address) != 0) {
        ::close(pair.client);
        ::close(pair.server);
      } else {
        pairs.push_back(pair);
      }
    }
  }
  cut();
}

}  // namespace mill::ledger
