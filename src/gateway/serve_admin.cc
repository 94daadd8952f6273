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

namespace mill::gateway {
namespace {

namespace json = boost::json;

Result<ModelAdmin*> admin_of(Stations at, const net::HttpExchange& http) {
  MILL_TRY_DO(check_admin(http.request(), http.from_this_machine(), at.options.admin_key));
  if (ModelAdmin* admin = at.models.admin()) return admin;
  return fail(Code::kNotFound, "the models of this server are fixed");
}

json::object load_json(const work::Load& load) {
  return {{"running", load.running},
          {"waiting", load.waiting},
          {"kv_blocks_total", load.kv_blocks_total},
          {"kv_blocks_free", load.kv_blocks_free},
          {"kv_bytes_total", load.kv_bytes_total},
          {"generated_tokens", load.generated_tokens}};
}

json::object json_of(const ModelStatus& status) {
  json::object out{
      {"id", status.id},       {"model", status.model},       {"state", status.state},
      {"share", status.share}, {"requests", status.requests}, {"requests_waiting", status.waiting}};
  if (status.state == "loading") out["progress"] = status.progress;
  if (!status.reason.empty()) out["reason"] = status.reason;
  if (!status.warning.empty()) out["warning"] = status.warning;
  if (status.context_tokens > 0) out["context_length"] = status.context_tokens;
  if (status.file_bytes > 0) out["file_bytes"] = status.file_bytes;
  out["idle_unload_seconds"] =
      status.idle_unload_seconds ? json::value(*status.idle_unload_seconds) : json::value(nullptr);
  if (status.memory_bytes > 0) {
    out["memory_bytes"] = status.memory_bytes;
    out["idle_seconds"] = status.idle_seconds;
    out["load"] = load_json(status.load);
  }
  return out;
}

Task<Status> send(Stations at, net::HttpExchange& http, int status, json::value body) {
  net::HttpReply reply;
  reply.status = status;
  reply.content_type = "application/json";
  reply.headers = api_headers(http, at.options.delivery.cors_origin);
  reply.body = json::serialize(body);
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
  json::array models;
  for (const ModelStatus& status : admin->status()) models.push_back(json_of(status));
  json::value body = json::object{{"object", "list"}, {"data", std::move(models)}};
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
