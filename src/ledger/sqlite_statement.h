// What sqlite_journal.cc says to SQLite, with owners for its handles and Results for its codes.
#pragma once

#include <fmt/format.h>
#include <sqlite3.h>

#include <array>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"

namespace mill::ledger {

struct Close {
  void operator()(sqlite3* db) const { sqlite3_close_v2(db); }
  void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
};
using Database = std::unique_ptr<sqlite3, Close>;
using Statement = std::unique_ptr<sqlite3_stmt, Close>;

inline tl::unexpected<Error> failed(sqlite3* db, std::string_view what, int code) {
  const int primary = code & 0xff;
  const std::string message =
      fmt::format("{}: {}", what, db ? sqlite3_errmsg(db) : sqlite3_errstr(code));
  if (primary == SQLITE_CORRUPT || primary == SQLITE_NOTADB) return fail(Code::kCorrupt, message);
  return fail(Code::kIo, message);
}

inline Status run(sqlite3* db, const char* sql, std::string_view what) {
  const int code = sqlite3_exec(db, sql, nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) return failed(db, what, code);
  return {};
}

inline Result<Statement> prepare(sqlite3* db, const std::string& sql) {
  sqlite3_stmt* made = nullptr;
  const int code = sqlite3_prepare_v3(db, sql.c_str(), static_cast<int>(sql.size()),
                                      SQLITE_PREPARE_PERSISTENT, &made, nullptr);
  if (code != SQLITE_OK) return failed(db, "preparing a statement", code);
  return Statement(made);
}

// Binds in order; the bound bytes must outlive the step.
class Binder {
 public:
  explicit Binder(sqlite3_stmt* statement) : statement_(statement) { sqlite3_reset(statement); }
  Binder& number(int64_t value) { return done(sqlite3_bind_int64(statement_, ++at_, value)); }
  Binder& number(uint64_t value) { return number(static_cast<int64_t>(value)); }
  Binder& text(std::string_view value) {
    return done(sqlite3_bind_text64(statement_, ++at_, value.data() ? value.data() : "",
                                    value.size(), SQLITE_STATIC, SQLITE_UTF8));
  }
  Binder& blob(const void* bytes, size_t size) {
    return done(sqlite3_bind_blob64(statement_, ++at_, size ? bytes : "", size, SQLITE_STATIC));
  }
  Binder& nothing() { return done(sqlite3_bind_null(statement_, ++at_)); }
  bool good() const { return good_; }

 private:
  Binder& done(int code) {
    good_ = good_ && code == SQLITE_OK;
    return *this;
  }
  sqlite3_stmt* statement_;
  int at_ = 0;
  bool good_ = true;
};

inline std::string_view text_of(sqlite3_stmt* row, int column) {
  const auto* bytes = reinterpret_cast<const char*>(sqlite3_column_text(row, column));
  return bytes ? std::string_view(bytes, static_cast<size_t>(sqlite3_column_bytes(row, column)))
               : std::string_view();
}
inline std::string_view blob_of(sqlite3_stmt* row, int column) {
  const auto* bytes = static_cast<const char*>(sqlite3_column_blob(row, column));
  return bytes ? std::string_view(bytes, static_cast<size_t>(sqlite3_column_bytes(row, column)))
               : std::string_view();
}
template <size_t N>
bool read_bytes(sqlite3_stmt* row, int column, std::array<uint8_t, N>& to) {
  if (sqlite3_column_bytes(row, column) != static_cast<int>(N)) return false;
  std::memcpy(to.data(), sqlite3_column_blob(row, column), N);
  return true;
}

}  // namespace mill::ledger
