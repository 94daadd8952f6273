// What the tests of the ledger share: a folder of their own, entries, a clock that is told what to
// say.
#pragma once

#include <gtest/gtest.h>
#include <sqlite3.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <string>

#include "ledger/book.h"
#include "ledger/open_journal.h"
#include "ledger/postgres_for_test.h"
#include "ledger/sqlite_journal.h"

namespace mill::ledger {

inline constexpr Currency kUsd = "USD"_currency;
inline constexpr Payer kPayer{.org = 1, .project = 2, .key = 3};

class Folder {
 public:
  Folder() {
    std::string made = (std::filesystem::temp_directory_path() / "ledger-XXXXXX").string();
    EXPECT_NE(mkdtemp(made.data()), nullptr);
    path_ = made;
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

// What somebody does to the file behind our back.
inline void sqlite_change(const std::filesystem::path& file, const char* sql) {
  sqlite3* db = nullptr;
  ASSERT_EQ(sqlite3_open(file.c_str(), &db), SQLITE_OK);
  EXPECT_EQ(sqlite3_exec(db, sql, nullptr, nullptr, nullptr), SQLITE_OK) << sqlite3_errmsg(db);
  sqlite3_close(db);
}

// The kinds of journals there are: the same tests run on each.
class Shelf {
 public:
  explicit Shelf(std::string kind) : kind_(std::move(kind)) {}

  // The address of a journal of this test; it does not exist before somebody opens it.
  std::string operator/(const std::string& name) {
    if (kind_ == "sqlite") return (folder_ / name).string();
    std::string& address = schemas_[name];
    if (address.empty()) address = PostgresServer::get()->new_schema();
    return address;
  }
  // What somebody does behind our back.
  void change(const std::string& address, const std::string& sql) {
    if (kind_ == "sqlite") {
      sqlite_change(address, sql.c_str());
    } else {
      EXPECT_EQ(PostgresServer::get()->run(address, sql), "");
    }
  }

 private:
  const std::string kind_;
  Folder folder_;
  std::map<std::string, std::string> schemas_;
};

class OnEachJournal : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    if (std::string(GetParam()) == "postgres" && !PostgresServer::get()) {
      GTEST_SKIP() << PostgresServer::why();
    }
  }
  Shelf folder{GetParam()};
};
inline std::string name_of_journal(const testing::TestParamInfo<const char*>& info) {
  return info.param;
}

inline HoldId id_of(uint64_t number) {
  HoldId id{};
  id[5] = 1;
  for (size_t i = 0; i < 8; ++i) id[8 + i] = static_cast<uint8_t>(number >> (8 * i));
  return id;
}

inline Entry credit(Nano amount, uint64_t org = 1) {
  Entry entry;
  entry.kind = Kind::kCredit;
  entry.payer.org = org;
  entry.currency = kUsd;
  entry.amount = amount;
  entry.actor = "cli";
  return entry;
}
inline Entry hold(uint64_t number, Nano amount, Payer payer = kPayer) {
  Entry entry;
  entry.kind = Kind::kHold;
  entry.hold = id_of(number);
  entry.payer = payer;
  entry.currency = kUsd;
  entry.amount = amount;
  entry.model = "m";
  entry.price_version = 1;
  return entry;
}
inline Entry of_hold(Kind kind, uint64_t number, Nano amount = 0) {
  Entry entry;
  entry.kind = kind;
  entry.hold = id_of(number);
  entry.amount = amount;
  entry.reason = kind == Kind::kSettle ? Reason::kStop : Reason::kNone;
  return entry;
}

inline Result<std::unique_ptr<Book>> open_book(const std::string& address,
                                               BookOptions options = {}) {
  auto journal = open_journal(address);
  if (!journal) return fail(std::move(journal).error());
  return Book::open(std::move(*journal), std::move(options));
}

}  // namespace mill::ledger
