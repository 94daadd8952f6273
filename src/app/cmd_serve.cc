#include "app/cmd_serve.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <set>
#include <vector>

#include "app/mounted_model.h"
#include "app/open_files.h"
#include "app/version.h"
#include "base/clock.h"
#include "base/log.h"
#include "gateway/gateway.h"
#include "net/http_server.h"

namespace mill::app {
namespace {

// The signals that end the server. Blocked in every thread, and taken by the main one alone.
sigset_t ending_signals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  return set;
}

// Of a socket. A stream needs little; the system's default may grow to megabytes for each reader
// that stalls.
constexpr int kSendBufferBytes = 128 << 10;

net::HttpServerOptions server_options(const Settings& settings,
                                      std::shared_ptr<net::HttpProbe> probe) {
  net::HttpServerOptions options{.host = settings.text("host"),
                                 .port = static_cast<uint16_t>(settings.integer("port")),
                                 .io_threads = static_cast<int>(settings.integer("io-threads")),
                                 .send_buffer_bytes = kSendBufferBytes,
                                 .probe = std::move(probe),
                                 .refusal_reply = gateway::refusal_reply};
  options.limits.connections = static_cast<int32_t>(settings.integer("max-connections"));
  options.limits.header_bytes = static_cast<size_t>(settings.bytes("max-header-bytes"));
  options.limits.header_fields = static_cast<size_t>(settings.integer("max-header-fields"));
  options.limits.body_bytes = static_cast<size_t>(settings.bytes("max-body-bytes"));
  options.limits.body_bytes_total = static_cast<size_t>(settings.bytes("max-body-bytes-total"));
  options.limits.header_time = settings.duration("header-deadline");
  options.limits.body_time = settings.duration("body-deadline");
  options.limits.idle_time = settings.duration("idle-deadline");
  options.limits.write_stall = settings.duration("write-deadline");
  return options;
}

gateway::Options gateway_options(const Settings& settings, const Mill& mill,
                                 std::shared_ptr<const net::HttpProbe> probe) {
  gateway::Options options{.version = "tokenmill " + version_number(), .probe = std::move(probe)};
  options.limits.json_depth = static_cast<int>(settings.integer("json-depth"));
  options.limits.prompt_tokens = static_cast<int32_t>(settings.integer("max-prompt-tokens"));
  options.delivery.keepalive = settings.duration("keepalive");
  options.delivery.cors_origin = settings.text("cors-origin");
  options.answer_time = settings.duration("answer-deadline");
  options.side_threads = static_cast<int>(settings.integer("side-threads"));
  options.system_fingerprint = fmt::format("fp_{}_{}", version_number(), mill.backend->name());
  return options;
}

// It goes into a header of every answer.
Status check_cors_origin(const std::string& origin) {
  const bool clean = std::all_of(origin.begin(), origin.end(),
                                 [](char c) { return c > ' ' && c < 0x7F && c != ','; });
  if (clean && (origin.empty() || origin == "*" || origin.find("://") != std::string::npos))
    return {};
  return fail(Code::kInvalid,
              "cors-origin must be * or one origin, like https://chat.example (scheme, host and "
              "port, no path)",
              "cors-origin");
}

// Written whole or not at all, so that whoever waits for it never reads half a number.
Status write_port_file(const std::filesystem::path& path, uint16_t port) {
  const std::filesystem::path partial = path.string() + ".partial";
  std::ofstream out(partial);
  out << port << '\n';
  out.close();
  std::error_code error;
  if (out) std::filesystem::rename(partial, path, error);
  if (!out || error) {
    return fail(Code::kIo,
                fmt::format("cannot write the port file {}: {}", path.string(),
                            error ? error.message() : std::strerror(errno)),
                "port-file");
  }
  return {};
}

Result<std::vector<std::unique_ptr<MountedModel>>> mount_all(const Settings& settings,
                                                             const Mill& mill) {
  const std::vector<std::string>& names = settings.texts("model");
  if (names.empty()) {
    return fail(
        Code::kInvalid,
        "no model to serve: give --model with a catalogue name (tokenmill models list) or a path",
        "model");
  }
  std::vector<std::unique_ptr<MountedModel>> models;
  std::set<std::string> ids;
  for (const std::string& name : names) {
    MILL_TRY(std::unique_ptr<MountedModel> model,
             MountedModel::mount(name, mill, settings, static_cast<int64_t>(names.size())));
    if (!ids.insert(model->served().id).second) {
      return fail(Code::kInvalid,
                  fmt::format("two models are called '{}': give each once", model->served().id),
                  "model");
    }
    if (!model->warning().empty())
      log_warn("model").add("id", model->served().id).add("warning", model->warning());
    models.push_back(std::move(model));
  }
  return models;
}

// Waits for a signal that ends the server; then lets running answers end.
Status serve_until_signal(const Settings& settings, net::HttpServer& server,
                          gateway::Gateway& door) {
  const sigset_t signals = ending_signals();
  int signal = 0;
  while (::sigwait(&signals, &signal) != 0) {
  }
  const Duration patience = settings.duration("drain-deadline");
  log_info("draining")
      .add("signal", signal == SIGTERM ? "SIGTERM" : "SIGINT")
      .add("deadline_s", to_seconds(patience));
  door.begin_drain();
  const Status drained = server.drain(now() + patience);
  log_info("ended").add("all_answers_ended", drained.has_value());
  return drained;
}

Status serve(const Settings& settings) {
  const Instant start = now();
  const sigset_t signals = ending_signals();
  ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);

  MILL_TRY_DO(check_cors_origin(settings.text("cors-origin")));
  const int64_t open_files = raise_open_file_limit();
  const std::string too_few = open_file_warning(open_files, settings.integer("max-connections"));
  if (!too_few.empty()) log_warn("open_files").add("limit", open_files).add("warning", too_few);

  MILL_TRY(const Mill mill, make_mill(settings));
  const auto probe = std::make_shared<net::HttpProbe>();
  // Binding comes before the loading, so that a taken port is told at once; and the server ends
  // first, as its handlers use all that stands above it.
  std::vector<std::unique_ptr<MountedModel>> models;
  std::unique_ptr<gateway::Gateway> door;
  net::HttpHandler handler;
  MILL_TRY(const std::unique_ptr<net::HttpServer> server,
           net::HttpServer::listen(server_options(settings, probe),
                                   [&handler](net::HttpExchange& http) { return handler(http); }));
  MILL_TRY(models, mount_all(settings, mill));
  std::vector<gateway::ServedModel> served;
  for (const auto& model : models) served.push_back(model->served());
  door =
      std::make_unique<gateway::Gateway>(std::move(served), gateway_options(settings, mill, probe));
  handler = door->handler();
  server->start();

  const std::filesystem::path port_file = settings.path("port-file");
  if (!port_file.empty()) MILL_TRY_DO(write_port_file(port_file, server->port()));
  for (const auto& model : models) {
    const work::Load load = model->engine().load();
    log_info("model")
        .add("id", model->served().id)
        .add("context_tokens", model->served().context_tokens)
        .add("kv_bytes", load.kv_bytes_total);
  }
  log_info("ready")
      .add("url", fmt::format("http://{}:{}", settings.text("host"), server->port()))
      .add("threads", mill.pool->size())
      .add("backend", mill.backend->name())
      .add("seconds", to_seconds(now() - start));

  const Status ended = serve_until_signal(settings, *server, *door);
  std::error_code ignored;  // the port file may be gone already
  if (!port_file.empty()) std::filesystem::remove(port_file, ignored);
  return ended;
}

}  // namespace

void add_serve_command(CommandLine& line) {
  line.add(nullptr, "serve", "Serve models through the OpenAI API", kServe, serve);
}

}  // namespace mill::app
