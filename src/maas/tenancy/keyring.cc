#include "maas/tenancy/keyring.h"

#include <fmt/format.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>

#include <array>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <optional>
#include <utility>

namespace mill::maas {
namespace {

constexpr std::string_view kProjection = "tenancy";

using Random = std::array<uint8_t, 32>;

}  // namespace

struct Keyring::Core {
  Core(ledger::Book& of, KeyringOptions given) : book(of), options(std::move(given)) {
    if (!options.unix_ns) options.unix_ns = [] { return unix_nanoseconds(); };
    if (!options.random) {
      options.random = [](std::span<uint8_t> out) {
        return RAND_bytes(out.data(), static_cast<int>(out.size())) == 1;
      };
    }
  }

  ledger::Book& book;
  KeyringOptions options;

  mutable WriterFirstMutex mutex;  // of the four below
  Directory directory;
  int64_t applied_seq = 0;      // the last act in it
  uint64_t applied_serial = 0;  // what that act made or changed
  std::optional<Error> broken;
  std::condition_variable_any applied;
  std::atomic<uint64_t> revision{0};

  std::mutex acting;       // one act at a time
  int64_t posted_seq = 0;  // of the last act of ours

  Status apply(const ledger::Entry& entry) {
    const std::unique_lock lock(mutex);
    if (entry.kind != ledger::Kind::kAct || entry.seq <= applied_seq) return {};
    if (broken) return fail(*broken);
    const auto done = [&]() -> Result<uint64_t> {
      MILL_TRY(const Act act, decode_act(entry.body));
      return directory.apply(act, entry.at_ns);
    }();
    if (!done) {
      broken = Error{Code::kCorrupt,
                     fmt::format("entry {} of the journal is no act that can be "
                                 "applied: {}",
                                 entry.seq, done.error().message),
                     done.error().param};
      revision.fetch_add(1, std::memory_order_release);  // streams that run must ask, too
      applied.notify_all();
      return fail(*broken);
    }
    applied_seq = entry.seq;
    applied_serial = *done;
    revision.fetch_add(1, std::memory_order_release);
    applied.notify_all();
    return {};
  }

  Status sound() const {  // Requires: the lock
    if (!broken) return {};
    return fail(Code::kInternal, "the keys are not known: " + broken->message);
  }

  // Until the act of entry `seq` is in effect, or can never be.
  Status wait(int64_t seq, Instant deadline) {
    if (seq == 0) return {};
    MILL_TRY_DO(book.durable_blocking({.seq = seq}, deadline));
    std::shared_lock lock(mutex);
    const auto over = [&] { return applied_seq >= seq || broken.has_value(); };
    if (deadline == kNever)
      applied.wait(lock, over);
    else if (!applied.wait_until(lock, deadline, over))
      return fail(Code::kDeadline, "the journal has not written this act yet; it may still do so");
    return sound();
  }

  Result<Random> draw() {
    Random random{};
    if (!options.random(random))
      return fail(Code::kInternal, "the system gives no random numbers at present");
    return random;
  }

  // Gives the act an id where it wants one.
  Status draw_id(Act& act) {
    MILL_TRY(const Random random, draw());
    std::visit(
        [&](auto& a) {
          if constexpr (requires { a.id.digits; }) {
            if (a.id.empty()) a.id = make_id(random);
          }
        },
        act);
    return {};
  }

  static ledger::Entry entry_of(const Act& act, std::string actor) {
    ledger::Entry entry;
    entry.kind = ledger::Kind::kAct;
    entry.actor = std::move(actor);
    entry.body = encode(act);
    return entry;
  }
};

Keyring::Keyring(std::shared_ptr<Core> core) : core_(std::move(core)) {}
Keyring::~Keyring() = default;
WriterFirstMutex& Keyring::mutex() const {
  return core_->mutex;
}
const Directory& Keyring::directory() const {
  return core_->directory;
}

Result<std::unique_ptr<Keyring>> Keyring::open(ledger::Book& book, KeyringOptions options) {
  auto core = std::make_shared<Core>(book, std::move(options));
  MILL_TRY(const std::optional<ledger::Checkpoint> saved, book.load_projection(kProjection));
  if (saved) {
    // A checkpoint that can't be read, of an older or a newer program, is only a slower start.
    if (auto restored = Directory::restore(saved->bytes)) {
      core->directory = std::move(*restored);
      core->applied_seq = saved->seq;
    }
  }
  const int64_t head = book.health().durable_seq;
  const ledger::Range acts{
      .from_seq = core->applied_seq + 1, .to_seq = head, .kinds = {ledger::Kind::kAct}};
  MILL_TRY_DO(book.scan(acts, [&](const ledger::Entry& entry) { return core->apply(entry); }));
  MILL_TRY_DO(book.subscribe(
      [core](std::span<const ledger::Entry> entries) {
        // A failure is kept in the core, and everybody who asks hears of it.
        for (const ledger::Entry& entry : entries) static_cast<void>(core->apply(entry));
      },
      head + 1));
  {
    const std::shared_lock lock(core->mutex);
    if (core->broken) return fail(*core->broken);
  }
  return std::unique_ptr<Keyring>(new Keyring(std::move(core)));
}

Result<Caller> Keyring::identify(std::string_view bearer, std::string_view peer_ip) const {
  const int64_t now_ns = core_->options.unix_ns();
  const std::shared_lock lock(core_->mutex);
  MILL_TRY_DO(core_->sound());
  return core_->directory.identify(bearer, peer_ip, now_ns);
}

Status Keyring::standing(uint64_t key) const {
  const int64_t now_ns = core_->options.unix_ns();
  const std::shared_lock lock(core_->mutex);
  MILL_TRY_DO(core_->sound());
  return core_->directory.standing(key, now_ns);
}

uint64_t Keyring::revision() const {
  return core_->revision.load(std::memory_order_acquire);
}

Result<Done> Keyring::administer(Act act, std::string actor, Instant deadline) {
  Core& core = *core_;
  const std::lock_guard one(core.acting);
  // An earlier act that ran out of time: what it changes must be known before the next is checked.
  MILL_TRY_DO(core.wait(core.posted_seq, deadline));
  MILL_TRY_DO(core.draw_id(act));
  {
    const std::shared_lock lock(core.mutex);
    MILL_TRY_DO(core.directory.check(act, core.options.unix_ns()));
  }
  MILL_TRY(const ledger::Ticket ticket, core.book.post(Core::entry_of(act, std::move(actor))));
  core.posted_seq = ticket.seq;
  MILL_TRY_DO(core.wait(ticket.seq, deadline));
  const std::shared_lock lock(core.mutex);
  return Done{.seq = ticket.seq, .serial = core.applied_serial};
}

Result<std::vector<Done>> Keyring::administer_together(const std::vector<Step>& steps,
                                                       const More& more, const std::string& actor,
                                                       Instant deadline) {
  Core& core = *core_;
  const std::lock_guard one(core.acting);
  MILL_TRY_DO(core.wait(core.posted_seq, deadline));
  Directory trial = read([](const Directory& directory) { return directory; });
  std::vector<ledger::Entry> entries;
  std::vector<Done> done;
  for (const Step& step : steps) {
    MILL_TRY(Act act, step(trial));
    MILL_TRY_DO(core.draw_id(act));
    const int64_t now_ns = core.options.unix_ns();
    MILL_TRY_DO(trial.check(act, now_ns));
    MILL_TRY(const uint64_t serial, trial.apply(act, now_ns));
    entries.push_back(Core::entry_of(act, actor));
    done.push_back({.serial = serial});
  }
  if (done.empty()) return done;
  if (more) {
    for (ledger::Entry& entry : more(trial)) entries.push_back(std::move(entry));
  }
  const auto count = static_cast<int64_t>(entries.size());
  MILL_TRY(const ledger::Ticket last, core.book.post_together(std::move(entries)));
  for (size_t i = 0; i < done.size(); ++i)
    done[i].seq = last.seq - count + 1 + static_cast<int64_t>(i);
  core.posted_seq = done.back().seq;
  MILL_TRY_DO(core.wait(core.posted_seq, deadline));
  return done;
}

namespace {

template <class A>
Secret fill(A& act, KeyKind kind, Random random) {
  Secret secret = mint_secret(kind, random);
  OPENSSL_cleanse(random.data(), random.size());
  act.hash = secret.hash;
  act.tail = secret.tail;
  return secret;
}

}  // namespace

Result<MintedKey> Keyring::create_key(CreateKey act, std::string actor, Instant deadline) {
  MILL_TRY(const Random random, core_->draw());
  Secret secret = fill(act, KeyKind::kProject, random);
  MILL_TRY(const Done done, administer(std::move(act), std::move(actor), deadline));
  return MintedKey{.done = done, .secret = std::move(secret.text)};
}

Result<MintedKey> Keyring::create_admin_key(CreateAdminKey act, std::string actor,
                                            Instant deadline) {
  MILL_TRY(const Random random, core_->draw());
  Secret secret = fill(act, KeyKind::kAdmin, random);
  MILL_TRY(const Done done, administer(std::move(act), std::move(actor), deadline));
  return MintedKey{.done = done, .secret = std::move(secret.text)};
}

Result<MintedAccount> Keyring::create_account(CreateServiceAccount act, std::string key_name,
                                              const std::string& actor, Instant deadline) {
  MILL_TRY(const Random random, core_->draw());
  CreateKey key{.project = act.project, .name = std::move(key_name)};
  Secret secret = fill(key, KeyKind::kProject, random);
  const std::vector<Step> steps{[&](const Directory&) -> Result<Act> { return Act(act); },
                                [&](const Directory& directory) -> Result<Act> {
                                  key.service_account = directory.next(IdKind::kServiceAccount) - 1;
                                  return Act(key);
                                }};
  MILL_TRY(const std::vector<Done> done, administer_together(steps, {}, actor, deadline));
  return MintedAccount{.account = done[0],
                       .key = {.done = done[1], .secret = std::move(secret.text)}};
}

Result<MintedKey> Keyring::rotate_key(uint64_t key, std::string actor, Instant deadline) {
  KeyKind kind{};
  {
    const std::shared_lock lock(core_->mutex);
    const Key* found = core_->directory.key(key);
    if (!found) return fail(Code::kNotFound, "there is no such key", "key");
    kind = found->kind;
  }
  MILL_TRY(const Random random, core_->draw());
  RotateKey act{.key = key};
  Secret secret = fill(act, kind, random);
  MILL_TRY(const Done done, administer(std::move(act), std::move(actor), deadline));
  return MintedKey{.done = done, .secret = std::move(secret.text)};
}

Result<AuditPage> Keyring::audit(const AuditFilter& filter, size_t limit,
                                 int64_t before_seq) const {
  if (limit < 1 || limit > kMaxPage)
    return fail(Code::kInvalid, fmt::format("limit must be 1 to {}", kMaxPage), "limit");
  AuditTrail trail;
  const bool oldest_first = filter.after_seq > 0;
  std::deque<AuditEvent> newest;  // one more than asked for tells whether there are more
  const ledger::Range acts{.to_seq = before_seq == INT64_MIN ? 0 : before_seq - 1,
                           .kinds = {ledger::Kind::kAct}};
  MILL_TRY_DO(core_->book.scan(acts, [&](const ledger::Entry& entry) -> Status {
    MILL_TRY(AuditEvent event, trail.next(entry));
    if (!filter.matches(event)) return {};
    if (oldest_first && newest.size() > limit) return {};
    newest.push_back(std::move(event));
    if (newest.size() > limit + 1) newest.pop_front();
    return {};
  }));
  AuditPage page{.has_more = newest.size() > limit};
  if (page.has_more && oldest_first) newest.pop_back();
  if (page.has_more && !oldest_first) newest.pop_front();
  page.events.assign(std::make_move_iterator(newest.rbegin()),
                     std::make_move_iterator(newest.rend()));
  return page;
}

Status Keyring::checkpoint() {
  int64_t seq = 0;
  std::string bytes;
  {
    const std::shared_lock lock(core_->mutex);
    MILL_TRY_DO(core_->sound());
    seq = core_->applied_seq;
    bytes = core_->directory.snapshot();
  }
  if (seq == 0) return {};
  return core_->book.save_projection(kProjection, seq, std::move(bytes));
}

}  // namespace mill::maas
