// For operators: load and unload models at run time, and see how they stand.
#include <fmt/format.h>

#include <boost/json.hpp>
#include <optional>

#include "base/log.h"
#include "gateway/admin_guard.h"
#include "gateway/openai/fields.h"
#include "gateway/percent.h"
#include "gateway/reply_headers.h"
#include "gateway/stations.h"
#include "gateway/who.h"

namespace mill::gateway {
namespace {

namespace json = boost::json;

// Where keys are asked, the operator's; and the one of --admin-key everywhere.
Status check_operator(Stations at, const net::HttpExchange& http) {
  const std::string& key = at.options.admin_key;
  if (!at.options.office) return check_admin(http.request(), http.from_this_machine(), key);
  if (!key.empty() && check_admin(http.request(), false, key)) return {};
  MILL_TRY(const maas::Caller caller, identify(at.options, http));
  if (caller.admin && caller.payer.org == 0) return {};
  return fail(Code::kPermission, "/admin is for the operator's admin key", "scope");
}

Result<ModelAdmin*> admin_of(Stations at, const net::HttpExchange& http) {
  MILL_TRY_DO(check_operator(at, http));
  if (ModelAdmin* admin = at.models.admin()) return admin;
  return fail(Code::kNotFound, "the models of this server are fixed");
}

void add_name(std::string& out, std::string_view name) {
  if (!out.ends_with('{')) out += ',';
  append_json_string(out, name);
  out += ':';
}

void add(std::string& out, std::string_view name, std::string_view text) {
  add_name(out, name);
  append_json_string(out, text);
}

// Whole numbers without a fraction, others as people write them.
void add(std::string& out, std::string_view name, double number) {
  add_name(out, name);
  fmt::format_to(std::back_inserter(out), "{}", number);
}

void add(std::string& out, std::string_view name, int64_t number) {
  add_name(out, name);
  fmt::format_to(std::back_inserter(out), "{}", number);
}

std::string json_of(const work::Load& load) {
  std::string out = "{";
  add(out, "running", load.running);
  add(out, "waiting", load.waiting);
  add(out, "kv_blocks_total", load.kv_blocks_total);
  add(out, "kv_blocks_free", load.kv_blocks_free);
  add(out, "kv_window_blocks_total", load.kv_window_blocks_total);
  add(out, "kv_window_blocks_free", load.kv_window_blocks_free);
  add(out, "kv_bytes_total", load.kv_bytes_total);
  add(out, "kv_bytes_owned", load.kv_bytes_owned);
  add(out, "generated_tokens", load.generated_tokens);
  return out + '}';
}

std::string json_of(const ModelStatus& status) {
  std::string out = "{";
  add(out, "id", status.id);
  add(out, "model", status.model);
  add(out, "state", status.state);
  add(out, "share", status.share);
  add(out, "requests", status.requests);
  add(out, "requests_waiting", status.waiting);
  if (status.state == "loading") add(out, "progress", status.progress);
  if (!status.reason.empty()) add(out, "reason", status.reason);
  if (!status.warning.empty()) add(out, "warning", status.warning);
  if (status.context_tokens > 0) add(out, "context_length", int64_t{status.context_tokens});
  if (status.file_bytes > 0) add(out, "file_bytes", status.file_bytes);
  if (status.idle_unload_seconds) add(out, "idle_unload_seconds", *status.idle_unload_seconds);
  if (status.memory_bytes > 0) {
    add(out, "memory_bytes", status.memory_bytes);
    add(out, "idle_seconds", status.idle_seconds);
    add_name(out, "load");
    out += json_of(status.load);
  }
  return out + '}';
}

Task<Status> send(Stations at, net::HttpExchange& http, int status, std::string body) {
  net::HttpReply reply;
  reply.status = status;
  reply.content_type = "application/json";
  reply.headers = api_headers(http, at.options.delivery.cors_origin);
  reply.body = std::move(body);
  Status sent = co_await http.reply(std::move(reply));
  co_return sent;
}

// The members as text, for those who know what they mean; "wait" is the gateway's own.
struct LoadRequest {
  ModelWish wish;
  bool wait = false;
};
Result<LoadRequest> read_load_request(std::string_view body, int depth) {
  MILL_TRY(const json::object object, openai::parse_object(body, depth));
  const openai::Fields fields(object);
  LoadRequest request;
  MILL_TRY(const auto wait, fields.boolean("wait"));
  request.wait = wait.value_or(false);
  for (const auto& [key, value] : object) {
    const std::string name(key);
    if (name == "wait" || value.is_null()) continue;
    if (value.is_structured()) {
      return fail(Code::kInvalid,
                  fmt::format("'{}' must be text, a number or a boolean", name.substr(0, 64)),
                  name);
    }
    const bool text = value.is_string();
    request.wish.emplace_back(name,
                              text ? std::string(value.get_string()) : json::serialize(value));
  }
  return request;
}

struct UnloadRequest {
  std::string id;
  bool keep = false;
  bool wait = false;
};
// /admin/models/ID?keep=true&wait=true
Result<UnloadRequest> read_unload_request(const net::HttpRequest& http) {
  UnloadRequest request;
  const auto id = percent_decoded(http.path().substr(std::string_view("/admin/models/").size()));
  if (!id) return fail(Code::kInvalid, "the path has a '%' that is no escape");
  request.id = *id;
  std::string_view query(http.target);
  query.remove_prefix(std::min(query.size(), http.path().size() + 1));
  while (!query.empty()) {
    const std::string_view part = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(query.size(), part.size() + 1));
    const std::string_view name = part.substr(0, part.find('='));
    const bool on = part.ends_with("=true");
    if ((name != "keep" && name != "wait") || (!on && !part.ends_with("=false"))) {
      return fail(Code::kInvalid,
                  fmt::format("'{}' is not understood here: use keep=true and wait=true",
                              part.substr(0, 64)),
                  std::string(name.substr(0, 64)));
    }
    (name == "keep" ? request.keep : request.wait) = on;
  }
  return request;
}

}  // namespace

Task<Status> serve_admin_models(Stations at, net::HttpExchange& http, RequestRecord&) {
  MILL_CO_TRY(const ModelAdmin* admin, admin_of(at, http));
  std::string body = R"({"object":"list","data":[)";
  for (const ModelStatus& status : admin->status()) {
    if (!body.ends_with('[')) body += ',';
    body += json_of(status);
  }
  body += "]}";
  Status sent = co_await send(at, http, 200, std::move(body));
  co_return sent;
}

Task<Status> serve_admin_load(Stations at, net::HttpExchange& http, RequestRecord& record) {
  MILL_CO_TRY(ModelAdmin * admin, admin_of(at, http));
  MILL_CO_TRY(const LoadRequest request,
              read_load_request(http.request().body, at.options.limits.json_depth));
  MILL_CO_TRY(const ModelStatus status, co_await admin->load(request.wish, request.wait));
  record.model = status.id;
  Status sent = co_await send(at, http, status.state == "loading" ? 202 : 200, json_of(status));
  co_return sent;
}

Task<Status> serve_admin_unload(Stations at, net::HttpExchange& http, RequestRecord& record) {
  MILL_CO_TRY(ModelAdmin * admin, admin_of(at, http));
  MILL_CO_TRY(const UnloadRequest request, read_unload_request(http.request()));
  MILL_CO_TRY(const ModelStatus status,
              co_await admin->unload(request.id, request.keep, request.wait));
  record.model = status.id;
  Status sent = co_await send(at, http, status.state == "unloaded" ? 200 : 202, json_of(status));
  co_return sent;
}

}  // namespace mill::gateway
