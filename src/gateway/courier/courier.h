// Brings alerts to the webhooks of organizations: signed, tried again, and none lost or told twice
// under two ids, whatever ends the process.
//
// What is to be told comes from the journal (maas::Alerts); what was brought is a checkpoint of the
// journal under the name "alerts", written after each delivery. A restart goes on from the last
// one: what came after it is told again, with the ids that it had. Each organization's alerts go in
// order, one at a time; one whose endpoint is down waits for itself alone.
//
// An attempt is an answer of 2xx within Options::total_time, or a failure. After a failure the next
// attempt waits retry_first, retry_growth times as long each time, at most retry_longest, a fifth
// more or less by chance, and no less than the Retry-After of the answer; an alert that is older
// than `keep` is given up. 410 ends the webhook by an act of the journal, and so shows in the audit
// log. Redirects are failures. Threads of its own; all functions from any thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/clock.h"
#include "gateway/courier/targets.h"
#include "maas/office/office.h"
#include "net/http_post.h"

namespace mill::gateway {

class Courier {
 public:
  struct Options {
    WebhookTargets targets;
    int threads = 2;  // deliveries at a time
    Duration connect_time = std::chrono::seconds(5);
    Duration total_time = std::chrono::seconds(15);
    Duration retry_first = std::chrono::seconds(5);
    double retry_growth = 3;
    Duration retry_longest = std::chrono::hours(1);
    Duration keep = std::chrono::hours(24);
    size_t most_waiting = 1000;        // of one organization; beyond it the oldest is given up
    int64_t save_every = 100'000;      // entries of the journal between checkpoints
    std::string ca_file;               // as of net::PostRequest
    std::function<int64_t()> unix_ns;  // empty: the system's clock
  };

  // `office` must outlive it.
  Courier(maas::Office& office, Options options);
  // Ends within a second or so, and saves the checkpoint.
  ~Courier();
  Courier(const Courier&) = delete;
  Courier& operator=(const Courier&) = delete;

  struct Counts {
    int64_t alerts = 0;  // that the journal gave, since the start
    int64_t delivered = 0;
    int64_t failed = 0;     // attempts
    int64_t given_up = 0;   // too old, or too many
    int64_t dropped = 0;    // their webhook was taken away, or is gone
    int64_t disabled = 0;   // webhooks that said 410
    int64_t waiting = 0;    // now
    int64_t heard_seq = 0;  // the last entry of the journal that was looked at
  };
  Counts counts() const;

 private:
  struct Core;
  std::shared_ptr<Core> core_;  // the book's listener has it too
};

// tokenmill_webhook_* of /metrics.
void append_webhook_metrics(std::string& out, const Courier& courier);

}  // namespace mill::gateway
