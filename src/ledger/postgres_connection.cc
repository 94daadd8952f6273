#include "ledger/postgres_connection.h"

#include <fmt/format.h>
#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>

namespace mill::ledger {
namespace {

template <class T>
void append_big_endian(std::string& out, T value) {
  char bytes[sizeof value];
  for (size_t i = 0; i < sizeof value; ++i) {
    bytes[i] = static_cast<char>(static_cast<uint64_t>(value) >> (8 * (sizeof value - 1 - i)));
  }
  out.append(bytes, sizeof bytes);
}

void put_big_endian(std::string& in, size_t at, int32_t value) {
  for (size_t i = 0; i < 4; ++i) {
    in[at + i] = static_cast<char>(static_cast<uint32_t>(value) >> (24 - 8 * i));
  }
}

void replace_all(std::string& text, std::string_view what, std::string_view by) {
  if (what.empty()) return;
  for (size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += by.size()) {
    text.replace(at, what.size(), by);
  }
}

struct FreeOptions {
  void operator()(PQconninfoOption* options) const { PQconninfoFree(options); }
};
using Options = std::unique_ptr<PQconninfoOption, FreeOptions>;

// Whether each part is where it was meant to be. A password with an '@' or ':' of its own would
// otherwise be taken for a host or port, and stand in messages.
bool well_formed(const std::string& url) {
  const size_t from = url.find("://");
  if (from == std::string::npos) return false;
  const std::string_view rest = std::string_view(url).substr(from + 3);
  std::string_view authority = rest.substr(0, rest.find_first_of("/?"));
  if (const size_t at = authority.find('@'); at != std::string_view::npos) {
    authority.remove_prefix(at + 1);
  }
  if (authority.find('@') != std::string_view::npos) return false;
  while (!authority.empty()) {  // HOST:PORT,HOST:PORT
    const std::string_view one = authority.substr(0, authority.find(','));
    authority.remove_prefix(std::min(authority.size(), one.size() + 1));
    const size_t address_end = one.starts_with('[') ? one.find(']') : 0;  // of IPv6
    const size_t colon = one.find(':', std::min(address_end, one.size()));
    if (colon != std::string_view::npos &&
        one.find_first_not_of("0123456789", colon + 1) != std::string_view::npos) {
      return false;
    }
  }
  return true;
}

// What libpq says of an address that is none may quote the password: it is not passed on.
Result<Options> parse(const std::string& url) {
  char* why = nullptr;
  Options options(PQconninfoParse(url.c_str(), &why));
  PQfreemem(why);
  if (!options || !well_formed(url)) {
    return fail(Code::kInvalid,
                "the address of the journal is no postgres:// URL: it must be "
                "postgres://USER:PASSWORD@HOST:PORT/DATABASE, with special characters as %XX");
  }
  return options;
}

std::string option(const Options& options, std::string_view name) {
  for (const PQconninfoOption* o = options.get(); o->keyword; ++o) {
    if (name == o->keyword) return o->val ? o->val : "";
  }
  return {};
}

Code code_of(std::string_view state) {
  if (state == "42501" || state.starts_with("28")) return Code::kPermission;
  if (state == "42P01" || state == "42703") return Code::kNotFound;
  if (state == "XX001" || state == "XX002") return Code::kCorrupt;
  return Code::kIo;
}

}  // namespace

void PostgresArray::clear(uint32_t element_type) {
  count_ = 0;
  bytes_.clear();
  append_big_endian<int32_t>(bytes_, 1);  // dimensions
  append_big_endian<int32_t>(bytes_, 0);  // no element is NULL
  append_big_endian(bytes_, element_type);
  append_big_endian<int32_t>(bytes_, 0);  // elements: finish()
  append_big_endian<int32_t>(bytes_, 1);  // the first one's index
}

void PostgresArray::number(int64_t value) {
  append_big_endian<int32_t>(bytes_, 8);
  append_big_endian(bytes_, value);
  ++count_;
}

void PostgresArray::begin_row(int32_t fields) {
  row_at_ = bytes_.size();
  append_big_endian<int32_t>(bytes_, 0);  // its size: end_row()
  append_big_endian(bytes_, fields);
  ++count_;
}

void PostgresArray::field(PostgresType type, int64_t value) {
  append_big_endian(bytes_, static_cast<uint32_t>(type));
  if (type == PostgresType::kInt2) {
    append_big_endian<int32_t>(bytes_, 2);
    append_big_endian(bytes_, static_cast<int16_t>(value));
  } else if (type == PostgresType::kInt4) {
    append_big_endian<int32_t>(bytes_, 4);
    append_big_endian(bytes_, static_cast<int32_t>(value));
  } else {
    append_big_endian<int32_t>(bytes_, 8);
    append_big_endian(bytes_, value);
  }
}

void PostgresArray::field(PostgresType type, std::string_view value) {
  append_big_endian(bytes_, static_cast<uint32_t>(type));
  append_big_endian(bytes_, static_cast<int32_t>(value.size()));
  bytes_.append(value);
}

void PostgresArray::null_field(PostgresType type) {
  append_big_endian(bytes_, static_cast<uint32_t>(type));
  append_big_endian<int32_t>(bytes_, -1);
}

void PostgresArray::end_row() {
  put_big_endian(bytes_, row_at_, static_cast<int32_t>(bytes_.size() - row_at_ - 4));
}

std::string_view PostgresArray::finish() {
  put_big_endian(bytes_, 12, count_);
  return bytes_;
}

PostgresValues& PostgresValues::number(int64_t value) {
  Value made;
  made.is_number = true;
  for (int i = 0; i < 8; ++i) made.number[i] = static_cast<char>(value >> (8 * (7 - i)));
  values_.push_back(made);
  return *this;
}

PostgresValues& PostgresValues::bytes(std::string_view value) {
  Value made;
  made.view = value;
  values_.push_back(made);
  return *this;
}

int64_t PostgresRows::changed() const {
  return result_ ? std::atoll(PQcmdTuples(result_.get())) : 0;
}

int64_t PostgresRows::number(int row, int column) const {
  const std::string_view raw = bytes(row, column);
  if (raw.empty() || raw.size() > 8) return 0;
  int64_t value = static_cast<signed char>(raw[0]);
  for (const char byte : raw.substr(1)) {
    value = static_cast<int64_t>(static_cast<uint64_t>(value) << 8) | static_cast<uint8_t>(byte);
  }
  return value;
}

std::string_view PostgresRows::bytes(int row, int column) const {
  return {PQgetvalue(result_.get(), row, column),
          static_cast<size_t>(PQgetlength(result_.get(), row, column))};
}

Result<std::string> describe_postgres_url(const std::string& url) {
  MILL_TRY(const Options options, parse(url));
  const std::string user = option(options, "user"), port = option(options, "port");
  std::string host = option(options, "host");
  if (host.empty()) host = option(options, "hostaddr");
  return fmt::format("postgres://{}{}{}{}/{}", user.empty() ? "" : user + "@", host,
                     port.empty() ? "" : ":", port, option(options, "dbname"));
}

PostgresConnection::~PostgresConnection() = default;

Result<std::unique_ptr<PostgresConnection>> PostgresConnection::open(const std::string& url,
                                                                     int connect_seconds,
                                                                     Duration statement) {
  MILL_TRY(const std::string place, describe_postgres_url(url));
  const std::string seconds = std::to_string(connect_seconds);
  // A peer that is gone is noticed in about ten seconds, also while nothing is asked.
  const char* const names[] = {
      "dbname",          "connect_timeout",     "fallback_application_name", "client_encoding",
      "keepalives_idle", "keepalives_interval", "keepalives_count",          nullptr};
  const char* const values[] = {url.c_str(), seconds.c_str(), "tokenmill", "UTF8", "5", "2",
                                "3",         nullptr};
  std::unique_ptr<PostgresConnection> made(new PostgresConnection());
  made->statement_ = statement;
  made->connection_.reset(PQconnectdbParams(names, values, 1));
  PGconn* const raw = made->connection_.get();
  if (PQstatus(raw) != CONNECTION_OK) {
    return fail(Code::kIo, fmt::format("no connection to {}: {}", place,
                                       raw ? made->clean(PQerrorMessage(raw)) : "out of memory"));
  }
  PQsetNoticeProcessor(
      raw, [](void*, const char*) {}, nullptr);
  if (PQsetnonblocking(raw, 1) != 0) return made->lost("preparing the connection");
  const int64_t ms = std::chrono::duration_cast<std::chrono::milliseconds>(statement).count();
  MILL_TRY_DO(made->script(fmt::format(
      "SET synchronous_commit = on; SET statement_timeout = {0}; SET lock_timeout = {0}; "
      "SET idle_in_transaction_session_timeout = {0}; SET plan_cache_mode = force_generic_plan; "
      "SET client_min_messages = warning; SET default_transaction_isolation = 'read committed'; "
      "SET tcp_keepalives_idle = 5; SET tcp_keepalives_interval = 2; SET tcp_keepalives_count = 3",
      ms)));
  return made;
}

bool PostgresConnection::usable() const {
  return connection_ && !broken_ && PQstatus(connection_.get()) == CONNECTION_OK &&
         PQtransactionStatus(connection_.get()) == PQTRANS_IDLE;
}

std::string PostgresConnection::clean(const char* message) const {
  std::string text = message ? message : "";
  if (const char* password = PQpass(connection_.get())) replace_all(text, password, "***");
  while (!text.empty() && std::strchr(" \n", text.back())) text.pop_back();
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text;
}

tl::unexpected<Error> PostgresConnection::lost(std::string_view what) {
  std::string message = fmt::format("the connection was lost while {}", what);
  if (const std::string why = clean(PQerrorMessage(connection_.get())); !why.empty()) {
    message += ": " + why;
  }
  broken_ = true;
  return fail(Code::kIo, std::move(message));
}

tl::unexpected<Error> PostgresConnection::refused(PGresult* result) const {
  const char* state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
  const char* primary = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
  return fail(
      code_of(state ? state : ""),
      fmt::format("PostgreSQL: {} ({})", clean(primary ? primary : PQresultErrorMessage(result)),
                  state ? state : "no state"));
}

Status PostgresConnection::wait_for(short events, Instant deadline) {
  pollfd socket{.fd = PQsocket(connection_.get()), .events = events, .revents = 0};
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - now()).count();
    if (left <= 0) {
      broken_ = true;
      return fail(Code::kIo, "PostgreSQL did not answer in time");
    }
    const int ready = ::poll(&socket, 1, static_cast<int>(std::min<int64_t>(left, 60'000)));
    if (ready > 0) break;
    if (ready < 0 && errno != EINTR) return lost("waiting");
  }
  if ((socket.revents & ~POLLOUT) != 0 && PQconsumeInput(connection_.get()) != 1) {
    return lost("reading");
  }
  return {};
}

Status PostgresConnection::push_out(Instant deadline) {
  for (;;) {
    const int left = PQflush(connection_.get());
    if (left == 0) return {};
    if (left < 0) return lost("writing");
    MILL_TRY_DO(wait_for(POLLIN | POLLOUT, deadline));
  }
}

Result<PostgresRows> PostgresConnection::finish(bool sent) {
  if (!sent) return lost("asking");
  // The server gives up first, and says so; this is for one that says nothing.
  const Instant deadline = now() + statement_ + std::chrono::milliseconds(500);
  MILL_TRY_DO(push_out(deadline));
  PostgresRows last;
  Status outcome;
  for (;;) {
    while (PQisBusy(connection_.get()) != 0) MILL_TRY_DO(wait_for(POLLIN, deadline));
    PGresult* const result = PQgetResult(connection_.get());
    if (!result) break;
    PostgresRows rows(result);
    const ExecStatusType status = PQresultStatus(result);
    if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK) {
      if (outcome) outcome = refused(result);
    } else {
      last = std::move(rows);
    }
  }
  if (PQstatus(connection_.get()) != CONNECTION_OK) return lost("waiting for an answer");
  if (!outcome) return fail(std::move(outcome).error());
  return last;
}

namespace {

struct Parameters {
  std::vector<const char*> values;
  std::vector<int> lengths, formats;
  int count() const { return static_cast<int>(values.size()); }
  void add(const char* value, size_t size) {
    values.push_back(value ? value : "");  // a null pointer would be NULL
    lengths.push_back(static_cast<int>(size));
    formats.push_back(1);
  }
};

}  // namespace

Result<PostgresRows> PostgresConnection::run(const char* sql, const PostgresValues& values) {
  return send(sql, false, values);
}

Result<PostgresRows> PostgresConnection::run_prepared(const char* name,
                                                      const PostgresValues& values) {
  return send(name, true, values);
}

Result<PostgresRows> PostgresConnection::send(const char* what, bool prepared,
                                              const PostgresValues& values) {
  if (!connection_ || broken_) return fail(Code::kIo, "there is no connection");
  Parameters p;
  for (const PostgresValues::Value& v : values.values_) {
    v.is_number ? p.add(v.number, sizeof v.number) : p.add(v.view.data(), v.view.size());
  }
  PGconn* const to = connection_.get();
  return finish(prepared ? PQsendQueryPrepared(to, what, p.count(), p.values.data(),
                                               p.lengths.data(), p.formats.data(), 1) == 1
                         : PQsendQueryParams(to, what, p.count(), nullptr, p.values.data(),
                                             p.lengths.data(), p.formats.data(), 1) == 1);
}

Status PostgresConnection::prepare(const char* name, const std::string& sql) {
  if (!connection_ || broken_) return fail(Code::kIo, "there is no connection");
  MILL_TRY_DO(finish(PQsendPrepare(connection_.get(), name, sql.c_str(), 0, nullptr) == 1));
  return {};
}

Status PostgresConnection::script(const std::string& sql) {
  if (!connection_ || broken_) return fail(Code::kIo, "there is no connection");
  MILL_TRY_DO(finish(PQsendQuery(connection_.get(), sql.c_str()) == 1));
  return {};
}

}  // namespace mill::ledger
