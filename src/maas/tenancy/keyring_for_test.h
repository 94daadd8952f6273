// What the tests of the keyring share: a book in a folder of its own, over a journal that stalls,
// fails and counts as it is told.
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/check.h"
#include "ledger/ledger_for_test.h"
#include "maas/tenancy/keyring.h"
#include "maas/tenancy/tenancy_for_test.h"

namespace mill::maas {

class ToldJournal final : public ledger::Journal {
 public:
  explicit ToldJournal(std::unique_ptr<Journal> inner) : inner_(std::move(inner)) {}
  std::atomic<bool> fails{false};
  std::atomic<int64_t> acts_read{0};  // by scans for acts

  // An append waits from stall() to go_on().
  void stall() {
    const std::lock_guard lock(mutex_);
    stalled_ = true;
  }
  void go_on() {
    const std::lock_guard lock(mutex_);
    stalled_ = false;
    changed_.notify_all();
  }

  std::string where() const override { return inner_->where(); }
  Result<ledger::Head> head() override { return inner_->head(); }
  Status append(std::span<const ledger::Entry> entries) override {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return !stalled_; });
    if (fails) return fail(Code::kIo, "no space left on device");
    return inner_->append(entries);
  }
  Status scan(const ledger::Range& range, const ledger::Visitor& visit) override {
    return inner_->scan(range, [&](const ledger::Entry& entry) {
      if (!range.kinds.empty()) ++acts_read;
      return visit(entry);
    });
  }
  Result<std::vector<ledger::Entry>> find(const ledger::HoldId& id, int64_t before) override {
    return inner_->find(id, before);
  }
  Status save_checkpoint(std::string_view name, const ledger::Checkpoint& at) override {
    return inner_->save_checkpoint(name, at);
  }
  Result<std::optional<ledger::Checkpoint>> load_checkpoint(std::string_view name) override {
    return inner_->load_checkpoint(name);
  }
  Status keepsakes(const ledger::KeepsakeVisitor& visit) override {
    return inner_->keepsakes(visit);
  }
  Status reopen() override { return inner_->reopen(); }

 private:
  std::unique_ptr<Journal> inner_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool stalled_ = false;
};

class KeyringTest : public testing::Test {
 protected:
  KeyringTest() { open(); }
  ~KeyringTest() override { journal->go_on(); }

  void open_book() {
    keys.reset();
    book.reset();
    auto file = ledger::open_sqlite_journal(folder / "j");
    MILL_CHECK(file.has_value());
    auto told = std::make_unique<ToldJournal>(std::move(*file));
    journal = told.get();
    auto opened = ledger::Book::open(std::move(told), {.retry_first = std::chrono::milliseconds(1),
                                                       .unix_ns = [this] { return wall.load(); }});
    MILL_CHECK(opened.has_value());
    book = std::move(*opened);
    journal->acts_read = 0;
  }
  Result<std::unique_ptr<Keyring>> new_keyring() {
    return Keyring::open(*book, {.unix_ns = [this] { return wall.load(); }, .random = {}});
  }
  void open() {
    open_book();
    auto opened = new_keyring();
    MILL_CHECK(opened.has_value());
    keys = std::move(*opened);
  }

  static Instant soon() { return now() + std::chrono::seconds(20); }
  Done done(Act act) {
    const auto did = keys->administer(std::move(act), "cli", soon());
    EXPECT_TRUE(did) << did.error().message;
    return did ? *did : Done{};
  }
  MintedKey minted(uint64_t project = 1, std::string name = "k") {
    auto key = keys->create_key({.project = project, .name = std::move(name)}, "cli", soon());
    EXPECT_TRUE(key) << key.error().message;
    return key ? std::move(*key) : MintedKey{};
  }
  void one_project() {
    done(CreateOrganization{.name = "Ada", .currency = "USD"_currency});
    done(CreateProject{.org = 1, .name = "one"});
  }
  std::string bytes() const {
    return keys->read([](const Directory& d) { return d.snapshot(); });
  }
  bool let_in(const std::string& secret) const { return keys->identify(secret, "").has_value(); }

  ledger::Folder folder;
  std::atomic<int64_t> wall{kNow};
  std::unique_ptr<ledger::Book> book;
  ToldJournal* journal = nullptr;  // the book's
  std::unique_ptr<Keyring> keys;
};

}  // namespace mill::maas
