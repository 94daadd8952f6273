#include "ledger/verify.h"

#include <fmt/format.h>

namespace mill::ledger {
namespace {

constexpr int64_t kTellEvery = 100'000;

bool balanced(const Entry& entry) {
  Wide sum = 0;
  for (const Posting& line : postings(entry)) sum += line.amount;
  return sum == 0;
}

}  // namespace

Result<Verification> verify(Journal& journal, const std::function<void(int64_t)>& progress) {
  Verification found;
  MILL_TRY(const std::optional<Checkpoint> checkpoint, journal.load_checkpoint(kBooksCheckpoint));
  Accounts accounts;
  Chain chain;
  Hash256 previous{};
  const auto wrong = [&](int64_t seq, std::string what) {
    if (!found.wrong.empty()) return;
    found.wrong_seq = seq;
    found.wrong = std::move(what);
  };
  const Status read = journal.scan({}, [&](const Entry& entry) -> Status {
    if (!found.ok()) return {};
    if (entry.seq != found.head.seq + 1) {
      wrong(found.head.seq + 1, "it is missing");
      return {};
    }
    if (chain.hash(previous, entry) != entry.hash)
      wrong(entry.seq, "its hash does not match: it was changed");
    if (const Status good = validate(entry); !good) wrong(entry.seq, good.error().message);
    if (!balanced(entry)) wrong(entry.seq, "its lines do not sum to zero");
    const Result<Applied> applied = accounts.apply(entry);
    if (!applied) {
      wrong(entry.seq, applied.error().message);
    } else if (applied->existed) {
      wrong(entry.seq, "it repeats an earlier entry");
    }
    previous = entry.hash;
    found.head = {entry.seq, entry.at_ns, entry.hash};
    ++found.entries;
    if (checkpoint && checkpoint->seq == entry.seq && found.ok()) {
      found.checkpoint_seq = entry.seq;
      if (checkpoint->entry_hash != entry.hash) {
        wrong(entry.seq, "the checkpoint is of another history");
      } else if (checkpoint->bytes != accounts.snapshot()) {
        wrong(entry.seq, "the checkpoint differs from the entries");
      }
    }
    if (progress && entry.seq % kTellEvery == 0) progress(entry.seq);
    return {};
  });
  if (!read && read.error().code != Code::kCorrupt) return fail(read.error());
  if (!read) wrong(found.head.seq + 1, read.error().message);
  if (const Status books = accounts.audit(); !books) wrong(found.head.seq, books.error().message);
  if (checkpoint && checkpoint->seq > found.head.seq && found.ok()) {
    wrong(found.head.seq + 1,
          fmt::format("entries up to {} are missing: a checkpoint knew them", checkpoint->seq));
  }
  found.open_holds = accounts.open_count();
  found.balances = accounts.balances();
  found.trial_balance = accounts.trial_balance();
  return found;
}

}  // namespace mill::ledger
