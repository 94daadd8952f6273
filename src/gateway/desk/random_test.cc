// Random requests to every route: the server answers each in an orderly way, nobody changes what is
// another's, and the books stay right.
#include <cstdlib>
#include <map>
#include <random>
#include <set>
#include <span>

#include "gateway/desk/desk_for_test.h"
#include "gateway/desk/price_json.h"
#include "gateway/desk/rows.h"
#include "ledger/verify.h"

namespace mill::gateway::desk {
namespace {

class RandomTest : public DeskTest {
 protected:
  RandomTest() {
    const char* given = std::getenv("TOKENMILL_TEST_SEED");
    seed = given ? std::strtoull(given, nullptr, 10) : std::random_device{}();
    random.seed(seed);
  }
  size_t below(size_t count) { return std::uniform_int_distribution<size_t>(0, count - 1)(random); }
  template <class List>
  auto pick(const List& list) {
    return *std::next(std::begin(list), static_cast<std::ptrdiff_t>(below(std::size(list))));
  }

  // A segment of a path: most often an id that is there.
  std::string id() {
    static const std::vector<std::string> kOdd = {
        "x", "%00", "rl-*", "rl-m", "alert-day-1", "1", "%FF", "..", "org-" + std::string(24, 'a')};
    return below(5) == 0 ? pick(kOdd) : pick(ids);
  }
  // Most often of the kind that belongs behind "…/projects/".
  std::string id_behind(std::string_view path) {
    constexpr std::pair<std::string_view, std::string_view> kKinds[] = {
        {"/projects/", "proj_"}, {"/api_keys/", "key_"},       {"/organizations/", "org-"},
        {"/users/", "user-"},    {"/admin_api_keys/", "key_"}, {"/service_accounts/", "svcacct_"}};
    if (below(8) == 0) return id();
    if (path.ends_with("/rate_limits/")) return below(2) ? "rl-*" : "rl-m";
    for (const auto& [end, prefix] : kKinds) {
      std::vector<std::string> fit;
      for (const std::string& one : ids) {
        if (path.ends_with(end) && one.starts_with(prefix)) fit.push_back(one);
      }
      if (!fit.empty()) return pick(fit);
    }
    return id();
  }
  std::string path_of(std::string_view pattern) {
    std::string path;
    for (size_t at = 0; at < pattern.size();) {
      const size_t hole = std::min(pattern.find("{}", at), pattern.size());
      path += pattern.substr(at, hole - at);
      if (hole < pattern.size()) path += id_behind(path);
      at = hole + 2;
    }
    return path;
  }
  std::string query_of(std::string_view names) {
    static const std::vector<std::string> kValues = {"1", "100", "0", "-1",  "true",
                                                     "x", "%zz", "",  "day", "9999999999999999999"};
    std::string query;
    for (const std::string& name : words(names)) {
      const bool needed = name == "organization_id" && below(4) != 0;
      if (!needed && below(12) != 0) continue;
      if (needed || name == "interval") {
        query += (query.empty() ? "?" : "&") + name + "=" +
                 (needed ? id_behind("/organizations/") : "day");
        continue;
      }
      query += (query.empty() ? "?" : "&") + name + "=" + (below(2) ? pick(kValues) : id());
    }
    return query;
  }
  json::value value(int depth = 0) {
    switch (below(depth < 3 ? 10 : 8)) {
      case 0:
        return nullptr;
      case 1:
        return below(2) == 0;
      case 2:
        return pick(std::vector<double>{-1, 0, 0.5, 1e300, 2, 64});
      case 3:
        return pick(std::vector<int64_t>{-1, 0, 1, 1000, INT64_MAX, INT64_MIN, 4102444800});
      case 4:
      case 5:
        return json::value(pick(std::vector<std::string>{"1",
                                                         "1.50",
                                                         "-3",
                                                         "NaN",
                                                         "",
                                                         "name",
                                                         "USD",
                                                         "owner",
                                                         "day",
                                                         "month",
                                                         "priority",
                                                         "default",
                                                         "a@b.c",
                                                         "10.0.0.0/8",
                                                         "flash",
                                                         "2100-01-01",
                                                         std::string(300, 'x'),
                                                         "\n",
                                                         "é",
                                                         "01ARZ3NDEKTSV4RRFFQ69G5FAV"}));
      case 6:
      case 7:
        return json::value(id());
      case 8: {
        json::array list;
        for (size_t i = below(3); i > 0; --i) list.push_back(value(depth + 1));
        return list;
      }
      default: {
        json::object object;
        for (size_t i = below(3); i > 0; --i)
          object[pick(std::vector<std::string>{"type", "recipients", "input", "rates", "id"})] =
              value(depth + 1);
        return object;
      }
    }
  }
  // What the member most often is.
  json::value fitting(const std::string& name) {
    static const std::map<std::string, std::vector<json::value>> kFit = {
        {"name", {"n", "é", "x y"}},
        {"currency", {"USD"}},
        {"role", {"owner", "member", "reader"}},
        {"interval", {"day", "month"}},
        {"tier", {"default", "priority"}},
        {"weight", {1, 2.5}},
        {"amount", {"1", "0.25", "-1"}},
        {"credit", {"5"}},
        {"credit_limit", {"1"}},
        {"threshold_amount", {100, nullptr}},
        {"notify", {"a@b", nullptr}},
        {"models", {json::array{"m"}, nullptr}},
        {"ip_allow_list", {json::array{"127.0.0.0/8"}, nullptr}},
        {"expires_at", {4102444800, nullptr}},
        {"expires_in_seconds", {nullptr, 1000}},
        {"url", {"https://a.example/h", "http://10.0.0.1/"}},
        {"overlap_seconds", {0, 3600, nullptr}},
        {"model", {"flash", "pro"}}};
    if (const auto found = kFit.find(name); found != kFit.end()) return pick(found->second);
    if (name == "email") return json::value("u" + std::to_string(random() % 1000) + "@x");
    if (name.ends_with("_per_minute") || name.ends_with("_tokens")) return 5;
    return nullptr;
  }
  std::string body_of(const Row& row) {
    if (row.method != "POST") return "";
    json::object body;
    const bool hostile = below(3) == 0;
    for (const std::string& name : words(row.body)) {
      if (!hostile || below(3) != 0) body[name] = hostile && below(2) ? value() : fitting(name);
    }
    if (hostile && below(8) == 0) body["surprise"] = 1;
    std::string text = json::serialize(body);
    if (hostile && below(8) == 0) text[below(text.size())] = static_cast<char>(below(256));
    return text;
  }
  static std::vector<std::string> words(std::string_view names) {
    std::vector<std::string> out;
    for (size_t at = 0; at < names.size();) {
      const size_t end = std::min(names.find(' ', at), names.size());
      out.emplace_back(names.substr(at, end - at));
      at = end + 1;
    }
    return out;
  }

  // All that a tenant has, as the operator sees it.
  std::string everything_of(const Tenant& t) const {
    const std::string of = "?organization_id=" + t.org;
    std::string all;
    for (const std::string& path :
         {"/v1/organizations/" + t.org, "/v1/organizations/" + t.org + "/balance",
          "/v1/organization/projects" + of, "/v1/organization/users" + of,
          "/v1/organization/admin_api_keys" + of, "/v1/organization/spend_limits" + of,
          "/v1/organization/spend_alerts" + of, "/v1/organization/rate_limits" + of, in(t),
          in(t, "/api_keys"), in(t, "/service_accounts"), in(t, "/rate_limits"),
          in(t, "/api_keys/" + t.key_id + "/rate_limits"), in(t, "/spend_limits")})
      all += must(get(path)).text + "\n";
    return all;
  }
  void learn_ids() {
    std::set<std::string> found(ids.begin(), ids.end());
    office->keyring().read([&](const maas::Directory& d) {
      for (uint64_t i = 1; i < d.next(maas::IdKind::kUser); ++i)
        found.insert(to_string(maas::IdKind::kUser, d.user(i)->id));
      for (uint64_t i = 1; i < d.next(maas::IdKind::kServiceAccount); ++i)
        found.insert(to_string(maas::IdKind::kServiceAccount, d.service_account(i)->id));
      // But for the admin keys in use, the first ones: without them it would be over.
      for (uint64_t i = 1; i < d.next(maas::IdKind::kKey); ++i) {
        if (d.key(i)->kind == maas::KeyKind::kProject || i > 5)
          found.insert(to_string(maas::IdKind::kKey, d.key(i)->id));
      }
    });
    ids.assign(found.begin(), found.end());
  }
  void expect_right_books() {
    close();
    auto journal = ledger::open_sqlite_journal(folder / "ledger.db", {.read_only = true});
    ASSERT_TRUE(journal.has_value());
    const auto found = ledger::verify(**journal);
    ASSERT_TRUE(found.has_value());
    EXPECT_TRUE(found->ok()) << found->wrong_seq << found->wrong;
    open();
  }

  uint64_t seed = 0;
  std::mt19937_64 random;
  std::vector<std::string> ids;
};

TEST_F(RandomTest, AnOwnerNeverTouchesAnother) {
  const Tenant a = tenant("A"), b = tenant("B");
  ids = {a.org, a.project, a.key_id, b.org, b.project, b.key_id};
  SCOPED_TRACE("TOKENMILL_TEST_SEED=" + std::to_string(seed));
  const std::string before = everything_of(a);
  int done = 0;
  for (int i = 0; i < 1200; ++i) {
    const Row& row = pick(all_rows());
    const std::string path = path_of(row.path) + query_of(row.query), body = body_of(row);
    const Reply reply = send(std::string(row.method), path, body, b.admin);
    done += reply.status == 200 ? 1 : 0;
    ASSERT_TRUE(std::set({200, 400, 403, 404, 413}).contains(reply.status))
        << row.method << " " << path << " " << body << ": " << reply.text;
    ASSERT_FALSE(reply.body.empty()) << reply.text;
    for (const std::string& secret : {root, a.admin, a.key, b.admin, b.key})
      ASSERT_EQ(reply.text.find(secret), std::string::npos) << path;
    if (i % 20 == 0) learn_ids();
  }
  EXPECT_GT(done, 100);
  EXPECT_EQ(everything_of(a), before);
  expect_right_books();
}

TEST_F(RandomTest, TheOperatorBreaksNothing) {
  const Tenant a = tenant("A"), b = tenant("B");
  ids = {a.org, a.project, a.key_id, b.org, b.project, b.key_id};
  maas::BookDraft draft = maas::book_for_test();
  must(post("/v1/price_books", json::serialize(show_book(draft))));
  SCOPED_TRACE("TOKENMILL_TEST_SEED=" + std::to_string(seed));
  int done = 0;
  for (int i = 0; i < 1200; ++i) {
    const Row& row = pick(all_rows());
    const std::string path = path_of(row.path) + query_of(row.query), body = body_of(row);
    const Reply reply = send(std::string(row.method), path, body, root);
    done += reply.status == 200 ? 1 : 0;
    ASSERT_TRUE(std::set({200, 400, 403, 404, 413}).contains(reply.status))
        << row.method << " " << path << " " << body << ": " << reply.text;
    if (i % 20 == 0) learn_ids();
  }
  EXPECT_GT(done, 100);
  EXPECT_TRUE(office->book().audit());
  expect_right_books();
}

}  // namespace
}  // namespace mill::gateway::desk
