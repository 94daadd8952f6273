// /v1/organization/users and /v1/organization/projects/{project}/service_accounts
#include <fmt/format.h>

#include <algorithm>

#include "gateway/desk/desk.h"
#include "gateway/desk/members.h"
#include "gateway/desk/rows.h"
#include "gateway/desk/shapes.h"
#include "gateway/openai/fields.h"
#include "net/http.h"

namespace mill::gateway::desk {
namespace {

using maas::Directory;

json::object shown_user(const Desk& desk, uint64_t user) {
  return desk.read([&](const Directory& d) { return show(d, *d.user(user)); });
}
json::object shown_account(const Desk& desk, uint64_t account) {
  return desk.read([&](const Directory& d) { return show(d, *d.service_account(account)); });
}
Result<uint64_t> user_of(const Desk& desk) {
  return desk.read([&](const Directory& d) { return find_user(desk, d, desk.ids[0]); });
}
Result<uint64_t> account_of(const Desk& desk) {
  return desk.read([&](const Directory& d) { return find_service_account(desk, d); });
}

Result<maas::Role> need_role(const json::object& body) {
  MILL_TRY(const std::string word, need_text(body, "role"));
  for (const maas::Role role : {maas::Role::kReader, maas::Role::kMember, maas::Role::kOwner}) {
    if (name(role) == word) return role;
  }
  return fail(Code::kInvalid, "'role' must be owner, member or reader", "role");
}

// organization.project.service_account.api_key, with its secret.
json::object shown_once(const Desk& desk, const maas::MintedKey& minted) {
  return desk.read([&](const Directory& d) {
    const maas::Key& key = *d.key(minted.done.serial);
    return json::object{{"object", "organization.project.service_account.api_key"},
                        {"value", minted.secret},
                        {"name", key.name},
                        {"created_at", seconds(key.created_ns)},
                        {"id", to_string(maas::IdKind::kKey, key.id)}};
  });
}

bool same_email(std::string_view a, std::string_view b) {
  return net::equal_ignoring_case(a, b);
}

}  // namespace

Result<json::value> list_service_accounts(Desk& desk) {
  MILL_TRY(const maas::PageRequest page, page_of(desk.query));
  return desk.read([&](const Directory& d) -> Result<json::value> {
    MILL_TRY(const uint64_t project, find_project(desk, d, desk.ids[0]));
    MILL_TRY(const auto accounts, d.service_accounts(project, page));
    return show_page(d, accounts);
  });
}

Result<json::value> create_service_account(Desk& desk) {
  maas::CreateServiceAccount act;
  MILL_TRY(act.project,
           desk.read([&](const Directory& d) { return find_project(desk, d, desk.ids[0]); }));
  MILL_TRY(act.name, need_text(desk.body, "name"));
  MILL_TRY(const auto alone, openai::Fields(desk.body).boolean("create_service_account_only"));
  if (alone.value_or(false)) {
    MILL_TRY(const maas::Done done, desk.act(std::move(act)));
    json::object account = shown_account(desk, done.serial);
    account["api_key"] = nullptr;
    return account;
  }
  MILL_TRY_DO(desk.may(act));
  MILL_TRY_DO(desk.may(maas::CreateKey{.project = act.project}));
  MILL_TRY(const maas::MintedAccount made,
           desk.office.create_account(std::move(act), "Secret Key", desk.actor(), desk.deadline));
  json::object account = shown_account(desk, made.account.serial);
  account["api_key"] = shown_once(desk, made.key);
  return account;
}

Result<json::value> get_service_account(Desk& desk) {
  MILL_TRY(const uint64_t account, account_of(desk));
  return shown_account(desk, account);
}

Result<json::value> delete_service_account(Desk& desk) {
  MILL_TRY(const uint64_t account, account_of(desk));
  MILL_TRY_DO(desk.act(maas::DeleteServiceAccount{account}));
  return show_deleted("organization.project.service_account", desk.ids[1]);
}

Result<json::value> create_service_account_key(Desk& desk) {
  MILL_TRY(const uint64_t account, account_of(desk));
  MILL_TRY(std::string name, text_or(desk.body, "name", "Secret Key"));
  const uint64_t project =
      desk.read([&](const Directory& d) { return d.service_account(account)->project; });
  maas::CreateKey act{.project = project, .service_account = account, .name = std::move(name)};
  MILL_TRY_DO(desk.may(act));
  MILL_TRY(const maas::MintedKey minted,
           desk.office.create_key(std::move(act), desk.actor(), desk.deadline));
  return shown_once(desk, minted);
}

Result<json::value> list_users(Desk& desk) {
  MILL_TRY(maas::PageRequest page, page_of(desk.query));
  std::vector<std::string> emails = desk.query.all("emails[]");
  for (std::string& email : desk.query.all("emails")) emails.push_back(std::move(email));
  return desk.read([&](const Directory& d) -> Result<json::value> {
    MILL_TRY(const uint64_t org, find_organization(desk, d));
    if (emails.empty()) {
      MILL_TRY(const auto users, d.users(org, page));
      return show_page(d, users);
    }
    // Those of a few addresses: one page holds them, for an address is one user's.
    json::array data;
    for (uint64_t user = 1; user < d.next(maas::IdKind::kUser); ++user) {
      const maas::User& candidate = *d.user(user);
      if (candidate.org != org || candidate.removed_ns != 0) continue;
      if (std::any_of(emails.begin(), emails.end(),
                      [&](const std::string& email) { return same_email(email, candidate.email); }))
        data.push_back(show(d, candidate));
    }
    return show_list(std::move(data), false);
  });
}

Result<json::value> create_user(Desk& desk) {
  maas::AddUser act;
  MILL_TRY(act.org, desk.read([&](const Directory& d) { return find_organization(desk, d); }));
  MILL_TRY(act.email, need_text(desk.body, "email"));
  MILL_TRY(act.name, text_or(desk.body, "name", act.email));
  MILL_TRY(act.role, need_role(desk.body));
  MILL_TRY(const maas::Done done, desk.act(std::move(act)));
  return shown_user(desk, done.serial);
}

Result<json::value> get_user(Desk& desk) {
  MILL_TRY(const uint64_t user, user_of(desk));
  return shown_user(desk, user);
}

Result<json::value> update_user(Desk& desk) {
  MILL_TRY(const uint64_t user, user_of(desk));
  MILL_TRY(const maas::Role role, need_role(desk.body));
  MILL_TRY_DO(desk.act(maas::SetUserRole{user, role}));
  return shown_user(desk, user);
}

Result<json::value> delete_user(Desk& desk) {
  MILL_TRY(const uint64_t user, user_of(desk));
  MILL_TRY_DO(desk.act(maas::RemoveUser{user}));
  return show_deleted("organization.user", desk.ids[0]);
}

}  // namespace mill::gateway::desk
