// Who gets in, what nobody may see of others, and what hostile requests get.
#include <fstream>
#include <regex>

#include "gateway/desk/desk_for_test.h"
#include "gateway/desk/rows.h"

namespace mill::gateway::desk {
namespace {

class DoorsTest : public DeskTest {};
#define DOORS(name) TEST_F(DoorsTest, name)

// Every route, with ids of a tenant in its path.
std::vector<std::pair<std::string, std::string>> routes_of(const std::string& org,
                                                           const std::string& project,
                                                           const std::string& key) {
  const std::string p = "/v1/organization/projects/" + project, o = "/v1/organizations/" + org;
  return {{"GET", p},
          {"POST", p},
          {"POST", p + "/archive"},
          {"GET", p + "/api_keys"},
          {"POST", p + "/api_keys"},
          {"GET", p + "/api_keys/" + key},
          {"POST", p + "/api_keys/" + key},
          {"POST", p + "/api_keys/" + key + "/rotate"},
          {"DELETE", p + "/api_keys/" + key},
          {"GET", p + "/service_accounts"},
          {"POST", p + "/service_accounts"},
          {"GET", p + "/rate_limits"},
          {"POST", p + "/rate_limits"},
          {"POST", p + "/rate_limits/rl-x"},
          {"GET", p + "/api_keys/" + key + "/rate_limits"},
          {"POST", p + "/api_keys/" + key + "/rate_limits"},
          {"GET", p + "/spend_limits"},
          {"POST", p + "/spend_limits"},
          {"DELETE", p + "/spend_limits?interval=day"},
          {"GET", p + "/spend_limit"},
          {"GET", p + "/spend_alerts"},
          {"POST", p + "/spend_alerts"},
          {"GET", o},
          {"POST", o},
          {"POST", o + "/archive"},
          {"GET", o + "/balance"},
          {"POST", o + "/credit"},
          {"POST", o + "/credit_limit"},
          {"POST", o + "/reversals"},
          {"POST", o + "/write_off"},
          {"GET", "/v1/organization/webhook?organization_id=" + org},
          {"POST", "/v1/organization/webhook?organization_id=" + org},
          {"POST", "/v1/organization/webhook/rotate?organization_id=" + org},
          {"DELETE", "/v1/organization/webhook?organization_id=" + org},
          {"GET", "/v1/organization/credit_alert?organization_id=" + org},
          {"POST", "/v1/organization/credit_alert?organization_id=" + org},
          {"DELETE", "/v1/organization/credit_alert?organization_id=" + org},
          {"GET", "/v1/organization/projects?organization_id=" + org},
          {"GET", "/v1/organization/users?organization_id=" + org},
          {"GET", "/v1/organization/admin_api_keys?organization_id=" + org},
          {"GET", "/v1/organization/audit_logs?organization_id=" + org},
          {"GET", "/v1/organization/audit_logs?project_ids[]=" + project}};
}

// A body with which the route would go ahead.
std::string body_for(const std::string& method, const std::string& path) {
  if (method != "POST") return "";
  if (path.ends_with("archive") || path.find("rotate") != std::string::npos) return "";
  if (path.find("/webhook") != std::string::npos) return R"({"url":"https://a.example/"})";
  if (path.find("rate_limits") != std::string::npos) return R"({"requests_per_minute":1})";
  if (path.ends_with("reversals")) return R"({"request_id":"01ARZ3NDEKTSV4RRFFQ69G5FAV"})";
  if (path.ends_with("spend_limits")) return R"({"interval":"day","amount":"1"})";
  if (path.ends_with("spend_alerts")) return R"({"amount":"1","notify":"a@b"})";
  if (path.find("credit") != std::string::npos || path.ends_with("write_off"))
    return R"({"amount":"1"})";
  return R"({"name":"stolen"})";
}

DOORS(WithoutAKeyNothingWithAProjectsKeyNothing) {
  const Tenant t = tenant("Ada");
  for (const auto& [method, path] : routes_of(t.org, t.project, t.key_id)) {
    const std::string body = body_for(method, path);
    EXPECT_EQ(send(method, path, body, "").status, 401) << path;
    EXPECT_EQ(send(method, path, body, "sk-wrong").status, 401) << path;
    expect_error(send(method, path, body, t.key), 403, "scope");
  }
  EXPECT_EQ(send("GET", "/v1/organization/nonsense", "", "").status, 401);
}

DOORS(AnothersThingsAreNotThere) {
  const Tenant a = tenant("A"), b = tenant("B");
  const int64_t before = office->book().health().booked_seq;
  for (const auto& [method, path] : routes_of(a.org, a.project, a.key_id)) {
    const Reply reply = send(method, path, body_for(method, path), b.admin);
    EXPECT_EQ(reply.status, 404) << method << " " << path << ": " << reply.text;
    // Neither is what never was, in the same words.
    const std::string nobodys = std::string(24, 'z');
    std::string other = path;
    for (const std::string& id : {a.org, a.project, a.key_id}) {
      const size_t digits = id.find_first_of("-_") + 1;
      if (const size_t at = other.find(id); at != std::string::npos)
        other.replace(at + digits, 24, nobodys);
    }
    const Reply never = send(method, other, body_for(method, path), b.admin);
    EXPECT_EQ(never.status, 404) << other;
    EXPECT_EQ(never.text.size(), reply.text.size()) << reply.text << never.text;
  }
  // A key under the wrong project of the same owner is not there either.
  EXPECT_EQ(get(in(a, "/api_keys/" + b.key_id)).status, 404);
  EXPECT_EQ(send("GET", "/v1/organizations", "", b.admin).str("first_id"), b.org);
  EXPECT_EQ(send("GET", "/v1/organizations", "", b.admin).data().size(), 1u);
  EXPECT_EQ(office->book().health().booked_seq, before);
}

DOORS(AuditLogsOfOthersAreNotSeen) {
  const Tenant a = tenant("A"), b = tenant("B");
  const Reply theirs = send("GET", "/v1/organization/audit_logs?limit=100", "", b.admin);
  ASSERT_EQ(theirs.status, 200);
  EXPECT_GT(theirs.data().size(), 3u);
  EXPECT_EQ(theirs.text.find(a.org), std::string::npos);
  EXPECT_EQ(theirs.text.find(a.project), std::string::npos);
  const Reply all = must(get("/v1/organization/audit_logs?limit=100"));
  EXPECT_NE(all.text.find(a.org), std::string::npos);
  EXPECT_NE(all.text.find(b.org), std::string::npos);
}

DOORS(HostileIdsAreNotThere) {
  const Tenant t = tenant("Ada");
  const std::vector<std::string> ids = {"proj_",
                                        "proj_%00%00",
                                        "..%2F..%2Fetc",
                                        "%2e%2e",
                                        "proj_" + std::string(3000, 'a'),
                                        "%",
                                        "%zz",
                                        "'%20OR%201=1--",
                                        "%F0%9F%92%A9",
                                        "%FF%FE",
                                        "*",
                                        "{}",
                                        "null",
                                        "-1",
                                        t.key_id,
                                        t.org,
                                        t.project + "%00",
                                        t.project + "x",
                                        "org-" + t.project.substr(5)};
  for (const std::string& id : ids) {
    for (const std::string rest : {"", "/api_keys", "/rate_limits"}) {
      const Reply reply = get("/v1/organization/projects/" + id + rest);
      EXPECT_EQ(reply.status, 404) << id << reply.text;
      EXPECT_FALSE(reply.body.empty()) << reply.text;  // JSON, whatever the id is
    }
    EXPECT_EQ(get(in(t, "/api_keys/" + id)).status, 404 - (id == t.key_id ? 204 : 0)) << id;
    EXPECT_EQ(get("/v1/organizations/" + id).status, id == t.org ? 200 : 404) << id;
    EXPECT_EQ(get("/v1/price_books/" + id).status, 404) << id;
    EXPECT_EQ(get("/v1/organization/spend_alerts/" + id).status, 404) << id;
  }
  for (const char* path :
       {"/v1/organization", "/v1/organization/", "/v1/organizationss", "/v1/organization//projects",
        "/v1/organization/projects/", "/v1/price_bookshop", "/v1/organization/projects//api_keys"})
    EXPECT_EQ(get(path).status, 404) << path;
}

DOORS(HostileQueriesAreRefusedByName) {
  const Tenant t = tenant("Ada");
  const std::string path = "/v1/organization/projects";
  expect_error(get(path + "?limt=3"), 400, "limt");
  expect_error(get(path + "?limit=3&limit=4"), 400, "limit");
  expect_error(get(path + "?limit=1e1"), 400, "limit");
  expect_error(get(path + "?limit=99999999999999999999"), 400, "limit");
  expect_error(get(path + "?limit="), 400, "limit");
  expect_error(get(path + "?include_archived=yes"), 400, "include_archived");
  expect_error(get(path + "?%zz=1"), 400, "");
  expect_error(get(path + "?after=%FF"), 400, "after");
  expect_error(get("/v1/organization/audit_logs?effective_at[gte]=-1"), 400, "effective_at[gte]");
  expect_error(get("/v1/organization/audit_logs?after=x"), 400, "after");
  EXPECT_EQ(get(path + "?&&limit=3&").status, 200);
  EXPECT_EQ(get(path + "?").status, 200);
}

DOORS(HostileBodiesAreRefusedByName) {
  const Tenant t = tenant("Ada");
  const std::string path = "/v1/organization/projects";
  const int64_t before = office->book().health().booked_seq;
  expect_error(post(path, R"({"name":"x","nmae":"y"})"), 400, "nmae");
  expect_error(post(path, R"({"name":7})"), 400, "name");
  expect_error(post(path, R"({})"), 400, "name");
  expect_error(post(path, R"({"name":null})"), 400, "name");
  expect_error(post(path, R"({"name":""})"), 400, "name");
  expect_error(post(path, R"({"name":"a\u0000b"})"), 400, "name");
  expect_error(post(path, R"({"name":")" + std::string(200, 'x') + R"("})"), 400, "name");
  expect_error(post(path, R"({"name":"x","tier":"gold"})"), 400, "tier");
  expect_error(post(path, R"({"name":"x","weight":0})"), 400, "weight");
  expect_error(post(path, R"({"name":"x","weight":1e99})"), 400, "weight");
  expect_error(post(path, R"({"name":"x","weight":"2"})"), 400, "weight");
  expect_error(post(path, "[]"), 400, "");
  expect_error(post(path, "{"), 400, "");
  expect_error(post(path, "\xff"), 400, "");
  expect_error(post(path, R"({"name":"x"} trailing)"), 400, "");
  std::string deep;
  for (int i = 0; i < 100; ++i) deep += R"({"name":)";
  expect_error(post(path, deep), 400, "");
  expect_error(post(in(t, "/archive"), R"({"force":true})"), 400, "force");
  const std::string keys = in(t, "/api_keys");
  expect_error(post(keys, R"({"name":"x","models":"all"})"), 400, "models");
  expect_error(post(keys, R"({"name":"x","models":[1]})"), 400, "models");
  expect_error(post(keys, R"({"name":"x","models":["a","a"]})"), 400, "models");
  expect_error(post(keys, R"({"name":"x","ip_allow_list":["10.0.0.1/8"]})"), 400, "ip_allow_list");
  expect_error(post(keys, R"({"name":"x","expires_at":1})"), 400, "expires_at");
  expect_error(post(keys, R"({"name":"x","expires_at":1e30})"), 400, "expires_at");
  expect_error(post(keys, R"({"name":"x","user_id":"user-nobody"})"), 404, "");
  EXPECT_EQ(send("GET", path, R"({"name":"x"})", root, "Content-Length: 12\r\n").status, 400);
  EXPECT_EQ(office->book().health().booked_seq, before);
}

DOORS(MethodsThatAPathHasNotAreNamed) {
  const Tenant t = tenant("Ada");
  const Reply reply = send("DELETE", in(t), "", root);
  EXPECT_EQ(reply.status, 405);
  EXPECT_NE(reply.str("error/message").find("GET, HEAD, POST"), std::string::npos);
  EXPECT_EQ(send("PUT", in(t), "", root).status, 405);
  EXPECT_EQ(send("HEAD", in(t), "", root).status, 200);
}

DOORS(WhatAPathTakesIsToldWithoutAKey) {
  net::RawClient connection = mill->client();
  connection.send(MillForTest::request("OPTIONS", "/v1/organizations", ""));
  const net::RawResponse response = connection.response();
  EXPECT_EQ(response.status, 204);
  EXPECT_EQ(response.header("Allow"), "GET, HEAD, POST, DELETE, OPTIONS");
}

DOORS(AnOpenServerHasNoDesk) {
  MillForTest open(says("a"));
  for (const char* path : {"/v1/organizations", "/v1/organization/projects", "/v1/price_books"}) {
    const net::RawResponse response = open.get(path);
    EXPECT_EQ(response.status, 404);
    EXPECT_NE(response.body.find("--open"), std::string::npos) << response.body;
  }
}

DOORS(AnswersAreNotToBeKept) {
  net::RawClient connection = mill->client();
  connection.send(MillForTest::request("GET", "/v1/organizations", "",
                                       "Authorization: Bearer " + root + "\r\n"));
  EXPECT_EQ(connection.response().header("Cache-Control"), "no-store");
}

DOORS(EveryRowIsFoundByItsOwnPath) {
  size_t rows = 0;
  for (const auto& [method, path] : routes_of("org", "proj", "key")) {
    const FoundRow found = find_row(method, path.substr(0, path.find('?')));
    ASSERT_NE(found.row, nullptr) << path;
    EXPECT_EQ(found.row->method, method);
    ++rows;
  }
  EXPECT_GT(rows, 30u);
  EXPECT_EQ(find_row("POST", "/v1/price_books/quote").row->handle, quote_price);
  EXPECT_EQ(find_row("GET", "/v1/price_books/quote").row->handle, get_price_book);
  EXPECT_EQ(find_row("GET", "/v1/organization/projects/a%2Fb").ids[0], "a/b");
}

// The table of docs/admin-api.md: paths, "…" for what goes before, and methods.
DOORS(EveryRowIsInTheDocument) {
  std::ifstream file(std::string(MILL_SOURCE_DIR) + "/docs/admin-api.md");
  ASSERT_TRUE(file.good());
  std::vector<std::pair<std::string, std::string>> told;
  std::string path;
  for (std::string line; std::getline(file, line);) {
    std::smatch parts;
    if (!std::regex_match(line, parts,
                          std::regex(R"(\| (`((?:…)?)([^`]*)`)? ?\| ([A-Z, ↕]*)\|.*)")))
      continue;
    if (parts[1].matched)
      path = std::regex_replace(parts[3].str(), std::regex(R"(\{[^}]*\}|rl-MODEL)"), "{}");
    told.emplace_back(path, parts[4].str());
  }
  ASSERT_GT(told.size(), 30u);
  for (const Row& row : all_rows()) {
    const bool found = std::any_of(told.begin(), told.end(), [&](const auto& one) {
      return row.path.ends_with(one.first) && one.second.find(row.method) != std::string::npos;
    });
    EXPECT_TRUE(found) << row.method << " " << row.path;
  }
}

}  // namespace
}  // namespace mill::gateway::desk
