#include "gateway/courier/courier.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <condition_variable>
#include <deque>
#include <iterator>
#include <map>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "base/log.h"
#include "gateway/courier/alert_json.h"
#include "maas/alerts/alerts.h"
#include "net/request_id.h"
#include "net/webhook_signature.h"

namespace mill::gateway {
namespace {

constexpr std::string_view kProjection = "alerts";
constexpr size_t kPiece = ledger::kMaxBody / 2;
constexpr Duration kActTime = std::chrono::seconds(10);

// The alerts of one organization that wait, oldest first.
struct Box {
  std::deque<maas::Alert> alerts;
  Instant due{};     // not before
  int attempts = 0;  // of the first one
  bool busy = false;
};

// The checkpoint's bytes.
struct Saved {
  std::vector<std::string> alerts;  // maas::Alerts::snapshot, cut into what a field may have
  std::vector<maas::Alert> waiting;
  MILL_FIELDS(Saved, alerts, waiting);
};

// Where to send, as the directory has it now.
struct Target {
  std::string url;
  std::vector<std::string> secrets;
  std::string body;
};

}  // namespace

struct Courier::Core {
  Core(maas::Office& given, Options opts) : office(given), options(std::move(opts)) {
    if (!options.unix_ns) options.unix_ns = unix_nanoseconds;
    options.most_waiting = std::max<size_t>(options.most_waiting, 2);  // one may be under way
  }

  maas::Office& office;
  Options options;
  std::atomic<bool> ending{false};
  std::vector<std::thread> threads;

  std::mutex saving;  // before `mutex`: checkpoints in the order of their entries
  int64_t saved_seq = 0;

  mutable std::mutex mutex;  // of what follows
  std::condition_variable changed;
  maas::Alerts brain;
  std::map<uint64_t, Box> boxes;  // by organization
  Counts counts;
  bool save_due = false;

  void load();
  void catch_up(const std::shared_ptr<Core>& self);
  void hear(std::span<const ledger::Entry> entries);
  void put(maas::Alert alert);  // Requires: the lock
  void work();
  Box* next_due(Instant at, Instant& wake);  // Requires: the lock
  void attempt(std::unique_lock<std::mutex>& lock, uint64_t org);
  std::optional<Target> target_of(const maas::Alert& alert);
  net::PostOutcome send(const maas::Alert& alert, const Target& target);
  void book_failure(Box& box, const maas::Alert& alert, const net::PostOutcome& outcome);
  void drop_all(Box& box);
  void disable(uint64_t org);
  void save();
};

// Without a checkpoint, or with one of another program, the whole journal is read again.
void Courier::Core::load() {
  auto found = office.book().load_projection(kProjection);
  if (!found || !*found) return;
  Saved saved;
  maas::FieldReader reader((*found)->bytes);
  reader.field(saved);
  if (!reader.whole()) return;
  std::string snapshot;
  for (const std::string& piece : saved.alerts) snapshot += piece;
  auto alerts = maas::Alerts::restore(snapshot);
  if (!alerts || alerts->seq() != (*found)->seq) return;
  const std::lock_guard lock(mutex);
  brain = std::move(*alerts);
  saved_seq = brain.seq();
  for (maas::Alert& alert : saved.waiting) put(std::move(alert));
  counts.alerts = 0;  // they were counted when they came
}

// Reads the journal up to its end beside the running books, and the little that came meanwhile
// while they wait.
void Courier::Core::catch_up(const std::shared_ptr<Core>& self) {
  ledger::Book& book = office.book();
  for (;;) {
    const int64_t head = book.health().durable_seq;
    int64_t from = 0;
    {
      const std::lock_guard lock(mutex);
      from = brain.seq() + 1;
    }
    if (head - from < 1000) break;
    const Status read =
        book.scan({.from_seq = from, .to_seq = head}, [&](const ledger::Entry& entry) -> Status {
          if (ending) return fail(Code::kCancelled, "the server ends");
          hear({&entry, 1});
          return {};
        });
    if (!read) {
      if (!ending)
        log_error("alerts are not told: the journal cannot be read")
            .add("error", read.error().message);
      return;
    }
  }
  int64_t from = 0;
  {
    const std::lock_guard lock(mutex);
    from = brain.seq() + 1;
  }
  const Status listening = book.subscribe(
      [self](std::span<const ledger::Entry> entries) {
        if (!self->ending) self->hear(entries);
      },
      from);
  if (!listening)
    log_error("alerts are not told: the journal cannot be read")
        .add("error", listening.error().message);
}

// Of the book's writer: quick, and it waits for nothing.
void Courier::Core::hear(std::span<const ledger::Entry> entries) {
  const std::lock_guard lock(mutex);
  bool woken = false;
  for (const ledger::Entry& entry : entries) {
    for (maas::Alert& alert : brain.apply(entry)) {
      put(std::move(alert));
      woken = true;
    }
  }
  if (brain.seq() - saved_seq >= options.save_every && !save_due) save_due = woken = true;
  if (woken) changed.notify_one();
}

void Courier::Core::put(maas::Alert alert) {
  Box& box = boxes[alert.org];
  ++counts.alerts;
  if (box.alerts.size() >= options.most_waiting) {
    // The first may be under way: the one behind it goes.
    const auto oldest = box.alerts.begin() + (box.busy ? 1 : 0);
    log_warn("an alert is given up: too many wait").add("alert", oldest->id);
    box.alerts.erase(oldest);
    ++counts.given_up;
  }
  box.alerts.push_back(std::move(alert));
}

Box* Courier::Core::next_due(Instant at, Instant& wake) {
  Box* first = nullptr;
  wake = kNever;
  for (auto it = boxes.begin(); it != boxes.end();) {
    Box& box = it->second;
    if (box.alerts.empty() && !box.busy) {
      it = boxes.erase(it);
      continue;
    }
    if (!box.busy && !box.alerts.empty()) {
      if (box.due > at)
        wake = std::min(wake, box.due);
      else if (!first || box.due < first->due)
        first = &box;
    }
    ++it;
  }
  return first;
}

void Courier::Core::work() {
  std::unique_lock lock(mutex);
  while (!ending) {
    if (save_due) {
      save_due = false;
      lock.unlock();
      save();
      lock.lock();
      continue;
    }
    Instant wake = kNever;
    if (const Box* box = next_due(now(), wake)) {
      attempt(lock, box->alerts.front().org);
    } else if (wake == kNever) {
      changed.wait(lock);
    } else {
      changed.wait_until(lock, wake);
    }
  }
}

// One delivery of the organization's first alert; the lock is open meanwhile.
void Courier::Core::attempt(std::unique_lock<std::mutex>& lock, uint64_t org) {
  Box& box = boxes[org];  // stays: it is busy
  box.busy = true;
  const maas::Alert alert = box.alerts.front();
  lock.unlock();
  const std::optional<Target> target = target_of(alert);
  net::PostOutcome outcome;
  if (target) outcome = send(alert, *target);
  const bool gone = outcome.status == 410;
  if (gone) disable(org);
  lock.lock();
  box.busy = false;
  if (ending && outcome.status == 0 && target)
    return;  // it was cut off, and is tried after the restart
  if (!target || gone) {
    drop_all(box);
  } else if (outcome.status >= 200 && outcome.status < 300) {
    ++counts.delivered;
    box.alerts.pop_front();
    box.attempts = 0;
    box.due = Instant{};
  } else {
    book_failure(box, alert, outcome);
    if (!box.alerts.empty() && box.alerts.front().id == alert.id) return;
  }
  lock.unlock();
  save();
  lock.lock();
  changed.notify_one();
}

void Courier::Core::drop_all(Box& box) {
  counts.dropped += static_cast<int64_t>(box.alerts.size());
  box = Box{};
}

void Courier::Core::book_failure(Box& box, const maas::Alert& alert,
                                 const net::PostOutcome& outcome) {
  ++counts.failed;
  double wait = to_seconds(options.retry_first) * std::pow(options.retry_growth, box.attempts);
  wait = std::min(wait, to_seconds(options.retry_longest));
  wait *= 0.8 + 0.4 * static_cast<double>(net::random_bits() >> 11) * 0x1p-53;
  if (outcome.retry_after) wait = std::max(wait, to_seconds(*outcome.retry_after));
  wait = std::min(wait, 2 * to_seconds(options.retry_longest));
  const std::string why =
      outcome.status != 0 ? fmt::format("it answers {}", outcome.status) : outcome.error.message;
  const double age = static_cast<double>(options.unix_ns() - alert.at_ns) * 1e-9;
  const bool last = age + wait > to_seconds(options.keep);
  log_warn(last ? "an alert is given up" : "an alert was not taken")
      .add("alert", alert.id)
      .add("type", name(alert.kind))
      .add("attempt", box.attempts + 1)
      .add("error", why);
  if (last) {
    ++counts.given_up;
    box.alerts.pop_front();
    box.attempts = 0;
    box.due = Instant{};
    return;
  }
  ++box.attempts;
  box.due = now() + std::chrono::duration_cast<Duration>(std::chrono::duration<double>(wait));
}

std::optional<Target> Courier::Core::target_of(const maas::Alert& alert) {
  const int64_t at = options.unix_ns();
  return office.keyring().read([&](const maas::Directory& directory) -> std::optional<Target> {
    const auto found = directory.webhooks().find(alert.org);
    if (found == directory.webhooks().end() || found->second.disabled_ns != 0) return std::nullopt;
    const maas::Webhook& hook = found->second;
    Target target{.url = hook.url, .secrets = {hook.secret}};
    if (!hook.old_secret.empty() && at < hook.old_until_ns)
      target.secrets.push_back(hook.old_secret);
    target.body = alert_json(alert, directory);
    return target;
  });
}

net::PostOutcome Courier::Core::send(const maas::Alert& alert, const Target& target) {
  const int64_t seconds = options.unix_ns() / 1'000'000'000;
  net::PostRequest request;
  request.url = target.url;
  request.body = target.body;
  request.headers = {{"Content-Type", "application/json"},
                     {"webhook-id", alert.id},
                     {"webhook-timestamp", std::to_string(seconds)},
                     {"webhook-signature",
                      net::webhook_signature(target.secrets, alert.id, seconds, request.body)}};
  request.ca_file = options.ca_file;
  request.connect_timeout = options.connect_time;
  request.total_timeout = options.total_time;
  request.may_connect = [this](std::string_view ip) { return options.targets.may_connect(ip); };
  request.ending = &ending;
  return net::http_post(request);
}

void Courier::Core::disable(uint64_t org) {
  const auto done =
      office.administer(maas::DisableWebhook{org, "the endpoint answered 410: it is gone"},
                        "system", now() + kActTime);
  const std::lock_guard lock(mutex);
  if (done) {
    ++counts.disabled;
  } else if (done.error().code != Code::kInvalid && done.error().code != Code::kNotFound) {
    log_warn("a webhook that is gone was not ended").add("error", done.error().message);
  }
}

// After a failure the one before stays, and a restart tells some alerts again, by their ids.
void Courier::Core::save() {
  const std::lock_guard order(saving);
  Saved saved;
  std::string snapshot;
  int64_t seq = 0;
  {
    const std::lock_guard lock(mutex);
    seq = brain.seq();
    if (seq == 0) return;
    snapshot = brain.snapshot();
    for (const auto& [org, box] : boxes)
      saved.waiting.insert(saved.waiting.end(), box.alerts.begin(), box.alerts.end());
    saved_seq = seq;
  }
  for (size_t at = 0; at < snapshot.size(); at += kPiece)
    saved.alerts.push_back(snapshot.substr(at, kPiece));
  std::string bytes;
  maas::FieldWriter writer(bytes);
  writer.field(saved);
  if (const Status done = office.book().save_projection(kProjection, seq, std::move(bytes)); !done)
    log_warn("the alerts' checkpoint was not saved").add("error", done.error().message);
}

Courier::Courier(maas::Office& office, Options options)
    : core_(std::make_shared<Core>(office, std::move(options))) {
  core_->load();
  core_->threads.emplace_back([core = core_] {
    core->catch_up(core);
    core->work();
  });
  for (int i = 1; i < core_->options.threads; ++i)
    core_->threads.emplace_back([core = core_] { core->work(); });
}

Courier::~Courier() {
  core_->ending = true;
  {
    const std::lock_guard lock(core_->mutex);
    core_->changed.notify_all();
  }
  for (std::thread& thread : core_->threads) thread.join();
  core_->threads.clear();
  core_->save();
}

Courier::Counts Courier::counts() const {
  const std::lock_guard lock(core_->mutex);
  Counts counts = core_->counts;
  counts.heard_seq = core_->brain.seq();
  counts.waiting = 0;
  for (const auto& [org, box] : core_->boxes)
    counts.waiting += static_cast<int64_t>(box.alerts.size());
  return counts;
}

void append_webhook_metrics(std::string& out, const Courier& courier) {
  const Courier::Counts counts = courier.counts();
  const auto add = [&](std::string_view name, std::string_view type, std::string_view help) {
    fmt::format_to(std::back_inserter(out), "# HELP {} {}\n# TYPE {} {}\n", name, help, name, type);
  };
  add("tokenmill_webhook_alerts_total", "counter", "Alerts that the journal gave");
  fmt::format_to(std::back_inserter(out), "tokenmill_webhook_alerts_total {}\n", counts.alerts);
  add("tokenmill_webhook_deliveries_total", "counter",
      "Attempts to deliver an alert, and alerts that ended without: given_up (too old, too many), "
      "dropped (no webhook any more)");
  const std::pair<std::string_view, int64_t> outcomes[] = {{"delivered", counts.delivered},
                                                           {"failed", counts.failed},
                                                           {"given_up", counts.given_up},
                                                           {"dropped", counts.dropped}};
  for (const auto& [outcome, count] : outcomes)
    fmt::format_to(std::back_inserter(out),
                   "tokenmill_webhook_deliveries_total{{outcome=\"{}\"}} {}\n", outcome, count);
  add("tokenmill_webhook_disabled_total", "counter", "Webhooks that said they are gone");
  fmt::format_to(std::back_inserter(out), "tokenmill_webhook_disabled_total {}\n", counts.disabled);
  add("tokenmill_webhook_alerts_waiting", "gauge", "Alerts that wait for their webhook");
  fmt::format_to(std::back_inserter(out), "tokenmill_webhook_alerts_waiting {}\n", counts.waiting);
  add("tokenmill_webhook_heard_seq", "gauge", "The last entry of the journal that was looked at");
  fmt::format_to(std::back_inserter(out), "tokenmill_webhook_heard_seq {}\n", counts.heard_seq);
}

}  // namespace mill::gateway
