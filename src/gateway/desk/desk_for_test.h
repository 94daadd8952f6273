// A mill with an office on a journal in a folder of its own, and a client with the operator's key.
#pragma once

#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/check.h"
#include "gateway/mill_for_test.h"
#include "ledger/ledger_for_test.h"
#include "maas/catalog/book_for_test.h"
#include "maas/catalog/draft_codec.h"

namespace mill::gateway::desk {

namespace json = boost::json;

struct Reply {
  int status = 0;
  std::string text;
  json::object body;

  // A member of the body, or of an object in it: "owner.type"; null for none.
  json::value at(std::string_view path) const {
    json::value found = body;
    while (!path.empty()) {
      const std::string_view name = path.substr(0, path.find('/'));
      if (!found.is_object() || !found.get_object().contains(name)) return nullptr;
      json::value next = found.get_object().at(name);
      found = std::move(next);
      path.remove_prefix(std::min(path.size(), name.size() + 1));
    }
    return found;
  }
  std::string str(std::string_view path) const {
    const json::value value = at(path);
    return value.is_string() ? std::string(value.get_string()) : json::serialize(value);
  }
  const json::array& data() const { return body.at("data").as_array(); }
};

class DeskTest : public testing::Test {
 protected:
  DeskTest() { open(); }
  ~DeskTest() override { close(); }

  void open() {
    auto journal = ledger::open_sqlite_journal(folder / "ledger.db");
    MILL_CHECK(journal.has_value());
    auto opened = maas::Office::open(std::move(*journal),
                                     {.book = {}, .keyring = {}, .till = {.meter = meter}});
    MILL_CHECK(opened.has_value());
    office = std::move(*opened);
    const auto first = office->first_key(kNever);
    MILL_CHECK(first.has_value());
    if (*first) root = (*first)->secret;
    MillForTest::Setup setup;
    setup.options.office = office.get();
    mill = std::make_unique<MillForTest>(answers, std::move(setup));
  }
  void close() {
    mill.reset();
    office.reset();
  }
  void restart() {
    close();
    open();
  }

  Reply send(const std::string& method, const std::string& path, const std::string& body,
             const std::string& key, const std::string& headers = "") const {
    net::RawClient connection = mill->client();
    const std::string bearer = key.empty() ? "" : "Authorization: Bearer " + key + "\r\n";
    connection.send(MillForTest::request(method, path, body, bearer + headers));
    const net::RawResponse response = connection.response(method == "HEAD");
    Reply reply{response.status, response.body, {}};
    boost::system::error_code error;
    const json::value value = json::parse(response.body, error);
    if (!error && value.is_object()) reply.body = value.get_object();
    return reply;
  }
  Reply get(const std::string& path) const { return send("GET", path, "", root); }
  Reply post(const std::string& path, const std::string& body = "{}") const {
    return send("POST", path, body, root);
  }
  Reply erase(const std::string& path) const { return send("DELETE", path, "", root); }
  Reply must(Reply reply) const {
    EXPECT_EQ(reply.status, 200) << reply.text;
    return reply;
  }
  void expect_error(const Reply& reply, int status, std::string_view param) const {
    EXPECT_EQ(reply.status, status) << reply.text;
    EXPECT_EQ(reply.str("error/param"), param.empty() ? "null" : param) << reply.text;
  }

  // An organization with a project, a key that infers and an owner's admin key.
  struct Tenant {
    std::string org, project, key_id, key, admin;
  };
  Tenant tenant(const std::string& name) {
    Tenant t;
    t.org = must(post("/v1/organizations",
                      R"({"name":")" + name + R"(","currency":"USD","credit":"10"})"))
                .str("id");
    const std::string of = "?organization_id=" + t.org;
    t.project = must(post("/v1/organization/projects" + of, R"({"name":"one"})")).str("id");
    const Reply key =
        must(post("/v1/organization/projects/" + t.project + "/api_keys", R"({"name":"k"})"));
    t.key_id = key.str("id");
    t.key = key.str("value");
    t.admin = must(post("/v1/organization/admin_api_keys" + of, R"({"name":"a"})")).str("value");
    return t;
  }
  static std::string in(const Tenant& t, const std::string& rest = "") {
    return "/v1/organization/projects/" + t.project + rest;
  }

  // In effect with the next open().
  ScriptedWorker::Choose answers = says("a");
  std::shared_ptr<maas::EnergyMeter> meter;

  ledger::Folder folder;
  std::unique_ptr<maas::Office> office;
  std::unique_ptr<MillForTest> mill;
  std::string root;  // the operator's key
};

}  // namespace mill::gateway::desk
