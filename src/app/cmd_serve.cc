#include "app/cmd_serve.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <sstream>
#include <vector>

#include "app/heap.h"
#include "app/house_energy.h"
#include "app/model_shelf.h"
#include "app/mount_loader.h"
#include "app/open_files.h"
#include "app/progress.h"
#include "app/version.h"
#include "base/clock.h"
#include "base/log.h"
#include "device/limits.h"
#include "gateway/courier/courier.h"
#include "gateway/gateway.h"
#include "ledger/open_journal.h"
#include "maas/office/office.h"
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

// The networks that a setting lists, with commas or one by one.
Result<std::vector<maas::Cidr>> networks_of(const Settings& settings, const char* name) {
  std::vector<maas::Cidr> networks;
  for (const std::string& list : settings.texts(name)) {
    std::istringstream in(list);
    for (std::string text; std::getline(in, text, ',');) {
      const auto network = maas::parse_cidr(text);
      if (!network)
        return fail(Code::kInvalid, fmt::format("{}: {}", name, network.error().message), name);
      networks.push_back(*network);
    }
  }
  return networks;
}

gateway::Options gateway_options(const Settings& settings, const Mill& mill,
                                 std::shared_ptr<const net::HttpProbe> probe) {
  gateway::Options options{.version = "tokenmill " + version_number(), .probe = std::move(probe)};
  options.admin_key = settings.text("admin-key");
  options.kept_answers = {.bytes = static_cast<size_t>(settings.bytes("kept-answers")),
                          .keep = settings.duration("kept-answers-time")};
  options.revoked_streams_end = settings.text("revoked-streams") == "end";
  options.limits.json_depth = static_cast<int>(settings.integer("json-depth"));
  options.limits.prompt_tokens = static_cast<int32_t>(settings.integer("max-prompt-tokens"));
  options.delivery.keepalive = settings.duration("keepalive");
  options.delivery.cors_origin = settings.text("cors-origin");
  options.answer_time = settings.duration("answer-deadline");
  options.token_cache_bytes = static_cast<size_t>(settings.bytes("token-cache"));
  options.side_threads = static_cast<int>(settings.integer("side-threads"));
  if (options.side_threads == 0) options.side_threads = std::max(1, device::usable_cores());
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

ShelfOptions shelf_options(const Settings& settings) {
  return {.load_deadline = settings.duration("load-deadline"),
          .drain_deadline = settings.duration("drain-deadline"),
          .kv_total = settings.bytes("kv-memory"),
          .free_bytes = free_for_models,
          .plan_of = [&settings](const gateway::ModelWish& wish) {
            return model_plan_of(wish, settings, "");
          }};
}

// An open server is for this machine: nobody else may come in without a key.
Status check_open(const Settings& settings) {
  const std::string& host = settings.text("host");
  if (!settings.on("open") || host == "localhost" || host == "::1" || host.starts_with("127."))
    return {};
  return fail(Code::kInvalid,
              fmt::format("an open server listens on this machine alone, not on {}: leave out "
                          "--open, and give keys to those who may use it",
                          host),
              "open");
}

// Null: the server is open. The first key is shown here and nowhere else.
Result<std::unique_ptr<maas::Office>> open_office(const Settings& settings,
                                                  std::shared_ptr<work::BusyProbe> busy) {
  MILL_TRY(HouseEnergy house, house_energy(settings, std::move(busy)));
  if (settings.on("open")) return std::unique_ptr<maas::Office>();
  const std::string where = settings.path("ledger").string();
  if (where.find("://") == std::string::npos) {
    std::error_code ignored;  // opening tells
    std::filesystem::create_directories(std::filesystem::path(where).parent_path(), ignored);
  }
  MILL_TRY(auto journal, ledger::open_journal(where));
  log_info("ledger").add("journal", journal->where());
  if (house.meter) log_info("energy").add("source", house.words);
  MILL_TRY(std::unique_ptr<maas::Office> office,
           maas::Office::open(std::move(journal),
                              {.book = {}, .keyring = {}, .till = {.meter = house.meter}}));
  MILL_TRY(const auto key, office->first_key(now() + std::chrono::seconds(30)));
  if (key) {
    fmt::print("The operator's admin key, shown this once:\n\n  {}\n\n", key->secret);
    std::fflush(stdout);
  }
  return office;
}

// The bar of the model that is being loaded, on a terminal.
class LoadBar {
 public:
  void show(const ModelShelf& shelf) {
    if (!on_terminal()) return;
    for (const gateway::ModelStatus& status : shelf.status()) {
      if (status.state != "loading" || status.progress <= 0) continue;
      if (status.id != id_) bar_.emplace("loading " + status.id, Progress::Unit::kBytes);
      id_ = status.id;
      const auto bytes = static_cast<uint64_t>(status.file_bytes);
      bar_->show(static_cast<uint64_t>(status.progress * static_cast<double>(bytes)), bytes);
    }
  }

 private:
  std::string id_;
  std::optional<Progress> bar_;
};

// Waits for the models that are to be there from the start. Nothing: a signal came first, and is
// now in `signal`.
std::optional<Status> wait_for_preloads(const ModelShelf& shelf, const sigset_t& signals,
                                        int& signal) {
  constexpr timespec kGlance{.tv_sec = 0, .tv_nsec = 5'000'000};
  LoadBar bar;
  for (;;) {
    if (std::optional<Status> ended = shelf.preloaded()) return ended;
    signal = ::sigtimedwait(&signals, nullptr, &kGlance);
    if (signal > 0) return std::nullopt;
    bar.show(shelf);
  }
}

int wait_for_signal(const sigset_t& signals) {
  int signal = 0;
  while (::sigwait(&signals, &signal) != 0) {
  }
  return signal;
}

// Lets running answers end; loads are given up.
Status drain(int signal, const Settings& settings, net::HttpServer& server, gateway::Gateway& door,
             ModelShelf& shelf) {
  const Duration patience = settings.duration("drain-deadline");
  log_info("draining")
      .add("signal", signal == SIGTERM ? "SIGTERM" : "SIGINT")
      .add("deadline_s", to_seconds(patience));
  door.begin_drain();
  shelf.close();
  Status drained = server.drain(now() + patience);
  log_info("ended").add("all_answers_ended", drained.has_value());
  return drained;
}

Status serve(const Settings& settings) {
  const Instant start = now();
  const sigset_t signals = ending_signals();
  ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);

  MILL_TRY_DO(check_cors_origin(settings.text("cors-origin")));
  MILL_TRY_DO(check_open(settings));
  MILL_TRY(auto webhook_networks, networks_of(settings, "webhook-networks"));
  MILL_TRY(auto trusted_proxies, networks_of(settings, "trusted-proxies"));
  const int64_t open_files = raise_open_file_limit();
  const std::string too_few = open_file_warning(open_files, settings.integer("max-connections"));
  if (!too_few.empty()) log_warn("open_files").add("limit", open_files).add("warning", too_few);
  MILL_TRY(std::vector<ModelPlan> plans, model_plans(settings));
  MILL_TRY(const Mill mill, make_mill(settings));
  const auto probe = std::make_shared<net::HttpProbe>();
  const auto busy = std::make_shared<work::BusyProbe>();
  MountLoader loader(settings, mill, busy);
  ModelShelf shelf(std::move(plans), loader, shelf_options(settings));
  MILL_TRY(const std::unique_ptr<maas::Office> office, open_office(settings, busy));
  gateway::Options options = gateway_options(settings, mill, probe);
  options.office = office.get();
  options.webhook_targets.networks = std::move(webhook_networks);
  options.trusted_proxies = std::move(trusted_proxies);
  const std::unique_ptr<gateway::Courier> courier =
      office ? std::make_unique<gateway::Courier>(
                   *office, gateway::Courier::Options{.targets = options.webhook_targets,
                                                      .ca_file = settings.path("ca-file").string()})
             : nullptr;
  options.courier = courier.get();
  gateway::Gateway door(shelf, std::move(options));
  std::optional<EnergyWatch> watch;
  if (office) watch.emplace(office->till());
  MILL_TRY_DO(door.load_kept_answers());
  // Made last, as its handlers use all that stands above it; and before the loading, so that a
  // taken port is told at once. While models are loaded it answers, and /ready says 503.
  MILL_TRY(const std::unique_ptr<net::HttpServer> server,
           net::HttpServer::listen(server_options(settings, probe), door.handler()));
  release_free_memory();  // of the journal's replay, before any model comes
  shelf.preload();
  server->start();

  int signal = 0;
  const std::optional<Status> preloaded = wait_for_preloads(shelf, signals, signal);
  if (!preloaded) return drain(signal, settings, *server, door, shelf);
  if (!*preloaded) return *preloaded;
  const std::filesystem::path port_file = settings.path("port-file");
  if (!port_file.empty()) MILL_TRY_DO(write_port_file(port_file, server->port()));
  log_info("ready")
      .add("url", fmt::format("http://{}:{}", settings.text("host"), server->port()))
      .add("threads", mill.pool->size())
      .add("backend", mill.backend->name())
      .add("seconds", to_seconds(now() - start));

  signal = wait_for_signal(signals);
  Status ended = drain(signal, settings, *server, door, shelf);
  std::error_code ignored;  // the port file may be gone already
  if (!port_file.empty()) std::filesystem::remove(port_file, ignored);
  return ended;
}

}  // namespace

void add_serve_command(CommandLine& line) {
  line.add(nullptr, "serve", "Serve models through the OpenAI API", kServe, serve);
}

}  // namespace mill::app
