// One connection to a PostgreSQL server: statements with binary values, each with a deadline.
//
// The deadline is kept on this side too, so that a server or a network that says nothing costs a
// bounded time. What went wrong in the middle leaves the connection unusable, and a new one must be
// made. Not thread-safe. Passwords stand in no message.
#pragma once

#include <libpq-fe.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

namespace mill::ledger {

// Types of pg_type.
enum class PostgresType : uint32_t { kBytea = 17, kInt8 = 20, kInt2 = 21, kInt4 = 23, kText = 25 };

// An array in binary, as unnest() takes it apart. Its elements are numbers, texts or bytes, or rows
// of a table's type: begin_row(), then each field.
class PostgresArray {
 public:
  explicit PostgresArray(uint32_t element_type) { clear(element_type); }
  explicit PostgresArray(PostgresType element) : PostgresArray(static_cast<uint32_t>(element)) {}
  void clear(uint32_t element_type);

  void number(int64_t value);  // an element of kInt8

  void begin_row(int32_t fields);
  void field(PostgresType type, int64_t value);  // of an integer type, and in its range
  void field(PostgresType type, std::string_view value);
  void null_field(PostgresType type);
  void end_row();

  std::string_view finish();  // valid until the next change

 private:
  int32_t count_ = 0;
  size_t row_at_ = 0;
  std::string bytes_;
};

// The values of $1, $2, …; a view must outlive the call.
class PostgresValues {
 public:
  PostgresValues& number(int64_t value);
  PostgresValues& bytes(std::string_view value);
  size_t count() const { return values_.size(); }

 private:
  friend class PostgresConnection;
  struct Value {
    std::string_view view;
    char number[8] = {};
    bool is_number = false;
  };
  std::vector<Value> values_;
};

// Rows of a finished statement, in binary.
class PostgresRows {
 public:
  PostgresRows() = default;
  explicit PostgresRows(PGresult* result) : result_(result) {}
  int count() const { return result_ ? PQntuples(result_.get()) : 0; }
  int64_t changed() const;  // rows that an INSERT, UPDATE or DELETE touched
  bool is_null(int row, int column) const { return PQgetisnull(result_.get(), row, column) != 0; }
  int64_t number(int row, int column) const;  // of int2, int4, int8, bool
  std::string_view bytes(int row, int column) const;

 private:
  struct Clear {
    void operator()(PGresult* result) const { PQclear(result); }
  };
  std::unique_ptr<PGresult, Clear> result_;
};

// Where a postgres:// address leads, for messages: without password and options. kInvalid.
Result<std::string> describe_postgres_url(const std::string& url);

class PostgresConnection {
 public:
  // Requires: `statement` > 0.  kIo with what the server or the network said; kInvalid for an
  // address that is none.
  static Result<std::unique_ptr<PostgresConnection>> open(const std::string& url,
                                                          int connect_seconds, Duration statement);
  ~PostgresConnection();

  // One statement. kIo; kPermission where the server forbids it; kNotFound where it knows no such
  // table; kCorrupt where it found its own files damaged. After an error of the server usable()
  // is still true; after one of the connection it is not, and whether the statement was carried out
  // is unknown.
  Result<PostgresRows> run(const char* sql, const PostgresValues& values = {});
  Result<PostgresRows> run_prepared(const char* name, const PostgresValues& values);
  Status prepare(const char* name, const std::string& sql);
  // Several statements without values, in one transaction unless they say otherwise.
  Status script(const std::string& sql);

  bool usable() const;

 private:
  struct Finish {
    void operator()(PGconn* connection) const { PQfinish(connection); }
  };
  PostgresConnection() = default;
  Result<PostgresRows> send(const char* what, bool prepared, const PostgresValues& values);
  Result<PostgresRows> finish(bool sent);
  Status push_out(Instant deadline);
  Status wait_for(short events, Instant deadline);
  tl::unexpected<Error> lost(std::string_view what);
  tl::unexpected<Error> refused(PGresult* result) const;
  std::string clean(const char* message) const;

  std::unique_ptr<PGconn, Finish> connection_;
  Duration statement_{};
  bool broken_ = false;
};

}  // namespace mill::ledger
