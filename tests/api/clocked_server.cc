// The gateway with books, on a clock that its standard input sets, and simulated models: a month is
// lived through in seconds.
//
//   mill_clocked_server LEDGER NANOSECONDS MODEL=PROFILE...
//
// prints its port, and the operator's key or "-" where there is one already, each as a line. Then
// every line of its input is a new time (nanoseconds since 1970 UTC), said again when it holds; the
// end of the input drains. The clock is the books': of acceptance, bands, budgets and months. Waits
// are real.
#include <atomic>
#include <charconv>
#include <iostream>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/log.h"
#include "gateway/gateway.h"
#include "gateway/scripted_worker_for_test.h"
#include "ledger/open_journal.h"
#include "maas/office/office.h"
#include "net/http_server.h"
#include "sim/sim_worker.h"

namespace mill::gateway {
namespace {

Result<std::unique_ptr<maas::Office>> open_office(const std::string& ledger,
                                                  const std::function<int64_t()>& clock) {
  MILL_TRY(auto journal, ledger::open_journal(ledger));
  return maas::Office::open(
      std::move(journal),
      {.book = {.unix_ns = clock},
       .keyring = {.unix_ns = clock},
       .till = {.progress_every = std::chrono::milliseconds(20), .unix_ns = clock}});
}

Result<std::unique_ptr<sim::SimWorker>> start_worker(std::string_view profile,
                                                     const text::Tokenizer& tokenizer) {
  sim::SimOptions options;
  MILL_TRY(options.profile, sim::parse_profile(profile));
  options.vocabulary = static_cast<int64_t>(tokenizer.size());
  for (TokenId id = 'a'; id <= 'z'; ++id) options.alphabet.push_back(id);
  return sim::SimWorker::start(std::move(options));
}

// Until the input ends.
void follow_the_clock(std::atomic<int64_t>& clock) {
  std::string line;
  while (std::getline(std::cin, line)) {
    int64_t time = 0;
    if (std::from_chars(line.data(), line.data() + line.size(), time).ec != std::errc()) return;
    clock = time;
    std::cout << time << std::endl;
  }
}

Status serve(const std::string& ledger, int64_t begin_ns, const std::vector<std::string>& wanted) {
  set_log_level(LogLevel::kError);
  std::atomic<int64_t> clock{begin_ns};
  MILL_TRY(const auto office, open_office(ledger, [&] { return clock.load(); }));
  const text::Tokenizer tokenizer = tiny_tokenizer();
  const text::ChatTemplate chat_template = tiny_template();
  std::vector<std::unique_ptr<sim::SimWorker>> workers;
  std::vector<ServedModel> models;
  for (const std::string& word : wanted) {
    const size_t equals = word.find('=');
    if (equals == std::string::npos) return fail(Code::kInvalid, "MODEL=PROFILE: " + word);
    MILL_TRY(auto worker, start_worker(std::string_view(word).substr(equals + 1), tokenizer));
    ServedModel& model = models.emplace_back();
    model.id = word.substr(0, equals);
    model.tokenizer = &tokenizer;
    model.chat_template = &chat_template;
    model.context_tokens = static_cast<int32_t>(worker->context_tokens());
    model.worker = worker.get();
    workers.push_back(std::move(worker));
  }
  Options options;
  options.probe = std::make_shared<net::HttpProbe>();
  options.office = office.get();
  Gateway gateway(std::move(models), options);
  MILL_TRY_DO(gateway.load_kept_answers());
  net::HttpServerOptions server_options;
  server_options.refusal_reply = refusal_reply;
  MILL_TRY(const auto server, net::HttpServer::listen(server_options, gateway.handler()));
  server->start();
  MILL_TRY(const auto key, office->first_key(kNever));
  std::cout << server->port() << "\n" << (key ? key->secret : "-") << std::endl;
  follow_the_clock(clock);
  gateway.begin_drain();
  return server->drain(now() + std::chrono::seconds(5));
}

}  // namespace
}  // namespace mill::gateway

int main(int count, char** words) {
  int64_t begin_ns = 0;
  if (count < 4) return 2;
  const std::string_view time = words[2];
  if (std::from_chars(time.data(), time.data() + time.size(), begin_ns).ec != std::errc()) return 2;
  const mill::Status served =
      mill::gateway::serve(words[1], begin_ns, std::vector<std::string>(words + 3, words + count));
  if (served) return 0;
  std::cerr << served.error().message << "\n";
  return 1;
}
