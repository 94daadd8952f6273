#include "app/books/admin_client.h"

#include <fmt/format.h>

#include <optional>

#include "base/clock.h"
#include "net/event_loop.h"
#include "net/http_client.h"

namespace mill::app {
namespace {

namespace json = boost::json;

constexpr Duration kPatience = std::chrono::seconds(30);
constexpr size_t kMostPages = 100'000;

Task<void> ask(net::HttpClient& client, net::HttpClient::Call call,
               std::optional<Result<net::HttpAnswer>>& answer) {
  answer.emplace(co_await client.send(std::move(call)));
}

// A text of {"error":{"message":…,"param":…}}, or nothing.
std::string text_of_error(const json::value& body, const char* member) {
  const json::object* object = body.if_object();
  const json::value* error = object ? object->if_contains("error") : nullptr;
  const json::object* parts = error ? error->if_object() : nullptr;
  const json::value* text = parts ? parts->if_contains(member) : nullptr;
  return text && text->is_string() ? std::string(text->get_string()) : std::string();
}

Code code_of(int status) {
  if (status == 400 || status == 405 || status == 413) return Code::kInvalid;
  if (status == 401 || status == 403) return Code::kPermission;
  return status == 404 ? Code::kNotFound : Code::kIo;
}

}  // namespace

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       std::string_view("-._~*").find(c) != std::string_view::npos;
    out += plain ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return out;
}

std::string with(std::string target, std::string_view name, std::string_view value) {
  if (value.empty()) return target;
  const char mark = target.find('?') == std::string::npos ? '?' : '&';
  return fmt::format("{}{}{}={}", target, mark, escaped(name), escaped(value));
}

Result<AdminClient> AdminClient::of(const Settings& settings) {
  const std::string& url = settings.text("url");
  MILL_TRY(net::HttpUrl server, net::parse_http_url(url));
  const std::string& key = settings.text("admin-key");
  if (key.empty()) {
    return fail(Code::kInvalid,
                "an admin key is needed: --admin-key, or the variable TOKENMILL_ADMIN_KEY; the "
                "first start of `tokenmill serve` shows one",
                "admin-key");
  }
  return AdminClient(std::move(server), url, key);
}

Result<net::HttpAnswer> AdminClient::exchange(const std::string& method, const std::string& target,
                                              std::string body) const {
  net::EventLoop loop;
  net::HttpClient client(server_, {});
  net::HttpClient::Call call{.method = method,
                             .target = target,
                             .headers = {{"Authorization", "Bearer " + key_}},
                             .body = std::move(body),
                             .deadline = now() + kPatience};
  if (!call.body.empty()) call.headers.push_back({"Content-Type", "application/json"});
  std::optional<Result<net::HttpAnswer>> answer;
  loop.start(ask(client, std::move(call), answer));
  loop.run();
  if (*answer) return std::move(**answer);
  const Error& error = answer->error();
  if (error.code == Code::kInvalid) return fail(error);
  return fail(Code::kIo, fmt::format("no server answers at {}: {} (is `tokenmill serve` running "
                                     "there? --url names another place)",
                                     url_, error.message));
}

Error AdminClient::failure(const net::HttpAnswer& answer, const std::string& method,
                           const std::string& target) const {
  boost::system::error_code wrong;
  const json::value value = json::parse(answer.body, wrong);
  const std::string message = text_of_error(value, "message");
  const std::string param = text_of_error(value, "param");
  if (param == "organization_id")
    return {Code::kInvalid, "there are several organizations: name one with --org", param};
  if (!message.empty()) return {code_of(answer.status), message, param};
  return {Code::kIo,
          fmt::format("{} is no tokenmill server: it answered {} to {} {}", url_, answer.status,
                      method, target.substr(0, target.find('?'))),
          ""};
}

Result<json::object> AdminClient::send(const std::string& method, const std::string& target,
                                       std::string body) const {
  MILL_TRY(const net::HttpAnswer http, exchange(method, target, std::move(body)));
  boost::system::error_code wrong;
  const json::value value = json::parse(http.body, wrong);
  if (http.status == 200 && !wrong && value.is_object()) return value.get_object();
  return fail(failure(http, method, target));
}

Result<std::string> AdminClient::text(const std::string& target) const {
  MILL_TRY(net::HttpAnswer http, exchange("GET", target, ""));
  if (http.status == 200) return std::move(http.body);
  return fail(failure(http, "GET", target));
}

Result<json::object> AdminClient::get(const std::string& target) const {
  return send("GET", target, "");
}
Result<json::object> AdminClient::post(const std::string& target, const json::object& body) const {
  return send("POST", target, json::serialize(body));
}
Result<json::object> AdminClient::erase(const std::string& target) const {
  return send("DELETE", target, "");
}

Result<json::object> AdminClient::all(const std::string& target) const {
  json::array data;
  std::string after;
  for (size_t page = 0; page < kMostPages; ++page) {
    MILL_TRY(json::object part, get(with(with(target, "limit", "100"), "after", after)));
    const json::value* items = part.if_contains("data");
    const json::value* more = part.if_contains("has_more");
    const json::value* last = part.if_contains("last_id");
    if (!items || !items->is_array())
      return fail(Code::kIo, fmt::format("{} answered no list to GET {}", url_, target));
    for (const json::value& item : items->get_array()) data.push_back(item);
    if (!more || *more != true || !last || !last->is_string()) break;
    after = std::string(last->get_string());
  }
  return json::object{{"object", "list"}, {"data", std::move(data)}, {"has_more", false}};
}

Result<json::object> AdminClient::all_pages(const std::string& target) const {
  json::array data;
  std::string next;
  for (size_t page = 0; page < kMostPages; ++page) {
    MILL_TRY(json::object part, get(with(target, "page", next)));
    const json::value* items = part.if_contains("data");
    if (!items || !items->is_array())
      return fail(Code::kIo, fmt::format("{} answered no list to GET {}", url_, target));
    for (const json::value& item : items->get_array()) data.push_back(item);
    const json::value* more = part.if_contains("next_page");
    if (!more || !more->is_string()) break;
    next = std::string(more->get_string());
  }
  return json::object{
      {"object", "page"}, {"data", std::move(data)}, {"has_more", false}, {"next_page", nullptr}};
}

}  // namespace mill::app
