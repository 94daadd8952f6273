// The directory as a running thing: any thread identifies, acts go through the journal.
//
// An act is checked, posted to the book, and takes effect when it is durable: the book's writer
// tells of it, in the journal's order, so a live keyring and one made by a replay are the same.
// Acts go one at a time, and all acts of a book come through its one keyring: an act that somebody
// else posts is not checked. identify() of any thread sees an act as soon as administer() has
// returned, and takes nothing but a shared lock.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "ledger/book.h"
#include "maas/tenancy/audit.h"
#include "maas/tenancy/directory.h"
#include "maas/tenancy/writer_first_mutex.h"

namespace mill::maas {

struct KeyringOptions {
  std::function<int64_t()> unix_ns;                // empty: the system's clock
  std::function<bool(std::span<uint8_t>)> random;  // fills; empty: OpenSSL's
};

// What administer() has done: the entry of the journal, and the serial number of what it made or
// changed.
struct Done {
  int64_t seq = 0;
  uint64_t serial = 0;
};
struct MintedKey {
  Done done;
  std::string secret;  // shown once; not kept
};
struct MintedAccount {
  Done account;
  MintedKey key;
};

class Keyring {
 public:
  // Restores the checkpoint and replays the acts after it. `book` must outlive the keyring's use,
  // and may outlive the keyring. kCorrupt for an act that breaks its format or the rules.
  static Result<std::unique_ptr<Keyring>> open(ledger::Book& book, KeyringOptions options);
  ~Keyring();
  Keyring(const Keyring&) = delete;
  Keyring& operator=(const Keyring&) = delete;

  // As Directory::identify and standing, now. kInternal once an act of the journal could not be
  // applied: what it said may have been a revocation.
  Result<Caller> identify(std::string_view bearer, std::string_view peer_ip) const;
  Status standing(uint64_t key) const;
  // Grows with every act, also with one that cannot be applied: a stream that runs asks standing()
  // when it has changed.
  uint64_t revision() const;

  // Journals an act and waits, for an fsync, until it is in effect; for a thread that may wait.
  // An id that is empty is drawn. `actor` is who does it. Fails as Directory::check; kDeadline or
  // kIo: the books do not take it at present. After kDeadline the act may still take effect; the
  // next act waits until that is known.
  Result<Done> administer(Act act, std::string actor, Instant deadline);

  // Several acts as one: they stand in the journal side by side, in one transaction, or none does
  // and nothing changes. Each step makes its act from the directory as the steps before it leave
  // it; `more` then gives what else is to be booked with them (limits, then at most one credit;
  // may be empty). What each has done, in order. Fails as administer() and Book::post_together().
  using Step = std::function<Result<Act>(const Directory&)>;
  using More = std::function<std::vector<ledger::Entry>(const Directory&)>;
  Result<std::vector<Done>> administer_together(const std::vector<Step>& steps, const More& more,
                                                const std::string& actor, Instant deadline);

  // The same with a new secret, whose hash and tail are filled in.
  Result<MintedKey> create_key(CreateKey act, std::string actor, Instant deadline);
  Result<MintedKey> create_admin_key(CreateAdminKey act, std::string actor, Instant deadline);
  Result<MintedKey> rotate_key(uint64_t key, std::string actor, Instant deadline);
  // An account and its first key, together.
  Result<MintedAccount> create_account(CreateServiceAccount act, std::string key_name,
                                       const std::string& actor, Instant deadline);

  // Calls `use` with the directory, locked against acts: be quick, keep no reference, and call
  // nothing else of the keyring.
  template <class Use>
  auto read(const Use& use) const {
    const std::shared_lock lock(mutex());
    return use(directory());
  }

  // The newest `limit` (1 … kMaxPage) events that match, older than entry `before_seq`; with a
  // filter's `after_seq`, the oldest of those that are newer than that. Reads all acts of the
  // journal: for people, not for every request.
  Result<AuditPage> audit(const AuditFilter& filter, size_t limit,
                          int64_t before_seq = INT64_MAX) const;

  // Saves the directory beside the journal, so that the next open() replays less.
  Status checkpoint();

 private:
  struct Core;
  explicit Keyring(std::shared_ptr<Core> core);
  WriterFirstMutex& mutex() const;
  const Directory& directory() const;
  std::shared_ptr<Core> core_;  // the book's listener has it too
};

}  // namespace mill::maas
