#include "gateway/desk/serve_desk.h"

#include <fmt/format.h>

#include <functional>
#include <memory>
#include <utility>

#include "gateway/desk/desk.h"
#include "gateway/desk/rows.h"
#include "gateway/openai/fields.h"
#include "gateway/reply_headers.h"
#include "gateway/who.h"

namespace mill::gateway {
namespace {

using desk::Desk;
using desk::FoundRow;
using desk::Query;
using desk::Row;
namespace json = boost::json;

constexpr Duration kActTime = std::chrono::seconds(10);

// The organization that the request names in one of two ways.
Result<std::optional<std::string>> named_organization(const net::HttpRequest& request,
                                                      const Query& query) {
  MILL_TRY(auto named, query.text("organization_id"));
  const auto header = request.header("OpenAI-Organization");
  if (!header || header->empty()) return named;
  if (named && *named != *header) {
    return fail(Code::kInvalid,
                "the header OpenAI-Organization and the query organization_id name two things",
                "organization_id");
  }
  return std::optional<std::string>(std::string(*header));
}

Result<json::object> read_body(const Row& row, std::string_view body, int depth) {
  if (body.empty()) return json::object();
  if (row.method != "POST") return fail(Code::kInvalid, "this takes no body");
  MILL_TRY(json::object object, openai::parse_object(body, depth));
  for (const auto& [key, value] : object) {
    const std::string name = std::string(key).substr(0, 64);
    if (desk::is_among(row.body, key)) continue;
    return fail(Code::kInvalid,
                row.body.empty() ? fmt::format("this takes no members, and '{}' is given", name)
                                 : fmt::format("'{}' is not understood here; the body takes: {}",
                                               name, row.body),
                name);
  }
  return object;
}

// What is done on the desk's thread.
Result<std::string> answer(const Row& row, Desk& request) {
  MILL_TRY(const json::value answer, row.handle(request));
  if (!row.content_type.empty()) return std::string(answer.as_string());
  return json::serialize(answer);
}

Task<Status> send(Stations at, net::HttpExchange& http, net::HttpReply reply) {
  if (reply.content_type.empty()) reply.content_type = "application/json";
  for (net::Header& header : api_headers(http, at.options.delivery.cors_origin))
    reply.headers.push_back(std::move(header));
  reply.headers.push_back({"Cache-Control", "no-store"});  // there may be a secret in it
  Status sent = co_await http.reply(std::move(reply));
  co_return sent;
}

Task<Status> refuse_method(Stations at, net::HttpExchange& http, const std::string& allow) {
  net::HttpReply reply = error_reply(
      {Code::kInvalid,
       fmt::format("this path takes {}, not {}", allow, http.request().method.substr(0, 32)), ""});
  reply.status = 405;
  reply.headers.push_back({"Allow", allow});
  Status sent = co_await send(at, http, std::move(reply));
  co_return sent;
}

}  // namespace

Task<Status> serve_desk(Stations at, net::HttpExchange& http, RequestRecord&) {
  maas::Office* const office = at.options.office;
  if (office == nullptr) {
    co_return fail(Code::kNotFound,
                   "this server is open to everybody and has no organizations, keys or prices: "
                   "start it without --open");
  }
  MILL_CO_TRY(maas::Caller caller, identify(at.options, http));
  MILL_CO_TRY_DO(caller.may_administrate());
  const net::HttpRequest& request = http.request();
  FoundRow found = desk::find_row(request.method, request.path());
  if (found.allow.empty()) {
    co_return fail(Code::kNotFound, "there is nothing at this path of the administrative API");
  }
  if (found.row == nullptr) {
    Status sent = co_await refuse_method(at, http, found.allow);
    co_return sent;
  }
  const Row& row = *found.row;
  MILL_CO_TRY(Query query, Query::parse(request.target));
  MILL_CO_TRY_DO(query.only(row.query));
  MILL_CO_TRY(auto organization, named_organization(request, query));
  MILL_CO_TRY(json::object body, read_body(row, request.body, at.options.limits.json_depth));
  const auto asked = std::make_shared<Desk>(Desk{.office = *office,
                                                 .webhook_targets = at.options.webhook_targets,
                                                 .caller = std::move(caller),
                                                 .ids = std::move(found.ids),
                                                 .query = std::move(query),
                                                 .body = std::move(body),
                                                 .organization = std::move(organization),
                                                 .deadline = now() + kActTime});
  const std::function<Result<std::string>()> work = [&row, asked] { return answer(row, *asked); };
  MILL_CO_TRY(std::string text, co_await at.desk_thread.run(work));
  net::HttpReply reply;
  reply.content_type = std::string(row.content_type);
  reply.body = std::move(text);
  Status sent = co_await send(at, http, std::move(reply));
  co_return sent;
}

}  // namespace mill::gateway
