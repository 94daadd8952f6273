// A mill that sells: an office on a journal in a folder of its own, an organization with a project,
// a key and credit, and prices for the models of mill_for_test.h.
#pragma once

#include <chrono>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

#include "gateway/mill_for_test.h"
#include "ledger/ledger_for_test.h"
#include "maas/catalog/draft_codec.h"
#include "maas/office/office.h"

namespace mill::gateway {

// 1 nano-dollar for a token of a prompt, half for a cached one, 4 for one of an answer. (Prices are
// of a million: 0.001, 0.0005 and 0.004 dollars.)
inline maas::BookDraft shop_prices() {
  maas::BookDraft draft;
  for (const char* id : {"org/tiny", "base"}) {
    maas::ModelDraft model{.id = id};
    model.prices.push_back(
        {.currency = "USD",
         .rates = {.input = "0.001", .cache_read = "0.0005", .output = "0.004"}});
    draft.models.push_back(std::move(model));
  }
  draft.models[0].aliases = {"tiny"};
  return draft;
}

struct ShopForTest {
  explicit ShopForTest(ScriptedWorker::Choose choose, ledger::Nano credit = 1'000'000,
                       MillForTest::Setup setup = {}, maas::BookDraft prices = shop_prices(),
                       std::shared_ptr<maas::EnergyMeter> meter = nullptr)
      : office(open(std::move(meter))), mill(std::move(choose), with_office(std::move(setup))) {
    must(maas::SetPriceBook{maas::encode(prices)});
    org = must(maas::CreateOrganization{.name = "Ada", .currency = ledger::kUsd});
    project = must(maas::CreateProject{.org = org, .name = "one"});
    const auto paid = office->pay({.org = org, .amount = credit}, "test", kNever);
    EXPECT_TRUE(paid.has_value());
    std::tie(key, key_serial) = new_key({.project = project, .name = "k"});
    admin = (*office->first_key(kNever))->secret;
  }

  // The shop as it would stand again if `dead` had been killed now: its books are a copy of the
  // files.
  ShopForTest(ScriptedWorker::Choose choose, const ShopForTest& dead)
      : office(open(nullptr, &dead)),
        mill(std::move(choose), with_office({})),
        org(dead.org),
        project(dead.project),
        key_serial(dead.key_serial),
        key(dead.key),
        admin(dead.admin) {
    EXPECT_TRUE(mill.gateway->load_kept_answers());
  }

  uint64_t must(const maas::Act& act) {
    const auto done = office->administer(act, "test", kNever);
    EXPECT_TRUE(done.has_value()) << done.error().message;
    return done ? done->serial : 0;
  }
  std::pair<std::string, uint64_t> new_key(maas::CreateKey act) {
    const auto made = office->create_key(std::move(act), "test", kNever);
    EXPECT_TRUE(made.has_value());
    return {made->secret, made->done.serial};
  }

  static std::string auth(const std::string& secret) {
    return "Authorization: Bearer " + secret + "\r\n";
  }
  net::RawResponse ask(const std::string& body, const std::string& headers) const {
    net::RawClient connection = mill.client();
    connection.send(MillForTest::request("POST", "/v1/chat/completions", body, headers));
    return connection.response();
  }
  net::RawResponse ask(const std::string& body) const { return ask(body, auth(key)); }

  // The entries of a kind: those that are on the disk now, and all.
  std::vector<ledger::Entry> durable(ledger::Kind kind) const {
    std::vector<ledger::Entry> found;
    const Status read =
        office->book().scan({.kinds = {kind}}, [&](const ledger::Entry& entry) -> Status {
          found.push_back(entry);
          return {};
        });
    EXPECT_TRUE(read.has_value());
    return found;
  }
  std::vector<ledger::Entry> entries(ledger::Kind kind) const {
    ledger::Book& book = office->book();
    EXPECT_TRUE(book.durable_blocking({.seq = book.health().booked_seq}));
    return durable(kind);
  }
  ledger::Balance balance() const { return office->book().balance(org, ledger::kUsd); }
  // Waits until nothing is held: what a client that left has used is settled a moment later.
  ledger::Balance balance_at_rest() const {
    for (int i = 0; i < 1000 && balance().held != 0; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    EXPECT_EQ(balance().held, 0);
    return balance();
  }

  ledger::Folder folder;
  std::unique_ptr<maas::Office> office;
  MillForTest mill;
  uint64_t org = 0, project = 0, key_serial = 0;
  std::string key, admin;

 private:
  std::unique_ptr<maas::Office> open(std::shared_ptr<maas::EnergyMeter> meter,
                                     const ShopForTest* dead = nullptr) {
    for (const char* file : {"ledger.db", "ledger.db-wal"}) {
      if (dead) std::filesystem::copy_file(dead->folder / file, folder / file);
    }
    auto journal = ledger::open_sqlite_journal(folder / "ledger.db");
    EXPECT_TRUE(journal.has_value());
    auto opened = maas::Office::open(
        std::move(*journal), {.book = {}, .keyring = {}, .till = {.meter = std::move(meter)}});
    EXPECT_TRUE(opened.has_value());
    return std::move(*opened);
  }
  MillForTest::Setup with_office(MillForTest::Setup setup) {
    setup.options.office = office.get();
    return setup;
  }
};

}  // namespace mill::gateway
