// The OpenAI API over a set of models: finds the handler of a request, and sees to it that each
// gets one answer, one log line and its place in the metrics.
//
//   gateway::Gateway gateway(models, options);
//   auto server = net::HttpServer::listen({…, .probe = options.probe, .refusal_reply =
//   gateway::refusal_reply}, gateway.handler());
//   (*server)->start(); …; gateway.begin_drain(); (*server)->drain(now() + seconds(30));
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "gateway/cache_salts.h"
#include "gateway/courier/courier.h"
#include "gateway/deliver.h"
#include "gateway/http_status.h"
#include "gateway/kept_answers.h"
#include "gateway/limits.h"
#include "gateway/metrics.h"
#include "gateway/model_directory.h"
#include "maas/office/office.h"
#include "net/http_server.h"
#include "net/side_threads.h"
#include "text/token_cache.h"

namespace mill::gateway {

struct Options {
  RequestLimits limits;
  DeliveryOptions delivery;
  std::string version = "tokenmill";  // of GET /
  std::string system_fingerprint =
      "fp_mill";  // in every answer: what of the server's make decides the tokens
  Duration answer_time =
      Duration::zero();  // an answer that takes longer ends with 504; zero: as long as it takes
  size_t inline_body_bytes = 16 << 10;  // a larger body is parsed and tokenized on a side thread
  int side_threads = 1;
  size_t token_cache_bytes = 64 << 20;          // ids of what prompts said before; 0: none
  std::shared_ptr<const net::HttpProbe> probe;  // of the server, for /metrics; may be null
  std::string admin_key;  // of /admin; empty: /admin is for programs on this machine alone
  // Who may ask, and who pays. Null: everybody, and nobody (`serve --open`). It must outlive the
  // gateway.
  maas::Office* office = nullptr;
  KeptAnswers::Options kept_answers;
  // Proxies whose X-Forwarded-For is believed (client_address.h), for keys with a list of networks.
  std::vector<maas::Cidr> trusted_proxies;
  WebhookTargets webhook_targets;    // where an organization may have its alerts sent
  const Courier* courier = nullptr;  // for /metrics; may be null, and must outlive the gateway
  bool revoked_streams_end = true;   // a key that is revoked ends what it has running, within 1 s
};

// Any number of io threads may use it at once. It must outlive the server that calls its handler.
class Gateway {
 public:
  // The directory must outlive the server that calls the handler.
  Gateway(ModelDirectory& models, Options options);
  // Requires: each model has a tokenizer and a worker; no two have one id.
  Gateway(std::vector<ServedModel> models, Options options);
  ~Gateway();

  // Finds the answers that are kept in the journal for those who ask again. Once, before the server
  // starts. kIo, kCorrupt.
  Status load_kept_answers();

  net::HttpHandler handler();

  // From now on /ready says 503 and new answers are refused with 503; running ones go on. Any
  // thread.
  void begin_drain();

 private:
  friend struct Routes;
  Task<void> handle(net::HttpExchange& http);

  const std::unique_ptr<ModelDirectory> fixed_;  // null: the directory is somebody else's
  ModelDirectory& models_;
  const Options options_;
  text::TokenCache token_cache_;
  Metrics metrics_;
  const CacheSalts cache_salts_;
  KeptAnswers kept_answers_;
  net::SideThreads side_threads_;
  net::SideThreads desk_thread_{1};  // acts wait for the disk, reports read the journal
  std::atomic<bool> draining_{false};
};

}  // namespace mill::gateway
