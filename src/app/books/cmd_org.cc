// tokenmill org …, tokenmill balance
#include <fmt/format.h>

#include <boost/json.hpp>
#include <memory>

#include "app/books/admin_client.h"
#include "app/books/commands.h"
#include "app/books/find.h"
#include "app/books/table.h"

namespace mill::app {
namespace {

namespace json = boost::json;

struct OrgArguments {
  std::string name, other, amount, currency = "USD", credit, credit_limit, id, note, request;
  bool archived = false;
};
using Arguments = std::shared_ptr<OrgArguments>;

std::string shown(const json::object& org) {
  return lines(org, {{"id", "id"},
                     {"name", "name"},
                     {"currency", "currency"},
                     {"status", "status"},
                     {"created", "created_at"}});
}

std::string shown_balance(const json::object& balance) {
  return lines(balance, {{"organization", "organization_id"},
                         {"currency", "currency"},
                         {"credit", "credit"},
                         {"held", "held"},
                         {"credit limit", "credit_limit"},
                         {"available", "available"},
                         {"charged so far", "charged"}});
}

Status create(const Settings& settings, const OrgArguments& given) {
  MILL_TRY(const AdminClient client, AdminClient::of(settings));
  json::object body{{"name", given.name}, {"currency", given.currency}};
  if (!given.credit.empty()) body["credit"] = given.credit;
  if (!given.credit_limit.empty()) body["credit_limit"] = given.credit_limit;
  MILL_TRY(const json::object made, client.post("/v1/organizations", body));
  print_answer(settings, made, shown(made));
  return {};
}

Status list(const Settings& settings, const OrgArguments& given) {
  MILL_TRY(const AdminClient client, AdminClient::of(settings));
  MILL_TRY(const json::object all,
           client.all(with("/v1/organizations", "include_archived", given.archived ? "true" : "")));
  print_answer(settings, all,
               table(all.at("data").as_array(), {{"ID", "id"},
                                                 {"NAME", "name"},
                                                 {"CURRENCY", "currency"},
                                                 {"STATUS", "status"},
                                                 {"CREATED", "created_at"}}));
  return {};
}

Result<std::string> path_of(const AdminClient& client, const Settings& settings,
                            const OrgArguments& given) {
  const std::string& name = given.name.empty() ? settings.text("org") : given.name;
  MILL_TRY(const std::string id, need_organization(client, name));
  return "/v1/organizations/" + escaped(id);
}

Status show(const Settings& settings, const OrgArguments& given) {
  MILL_TRY(const AdminClient client, AdminClient::of(settings));
  MILL_TRY(const std::string path, path_of(client, settings, given));
  MILL_TRY(json::object org, client.get(path));
  MILL_TRY(const json::object balance, client.get(path + "/balance"));
  const std::string text = shown(org) + shown_balance(balance);
  org["balance"] = balance;
  print_answer(settings, org, text);
  return {};
}

Status balance(const Settings& settings, const OrgArguments& given) {
  MILL_TRY(const AdminClient client, AdminClient::of(settings));
  MILL_TRY(const std::string path, path_of(client, settings, given));
  MILL_TRY(const json::object answer, client.get(path + "/balance"));
  print_answer(settings, answer, shown_balance(answer));
  return {};
}

// POSTs `body` below the organization, and shows the balance or the organization that comes back.
Status change(const Settings& settings, const OrgArguments& given, const std::string& what,
              json::object body) {
  MILL_TRY(const AdminClient client, AdminClient::of(settings));
  MILL_TRY(const std::string path, path_of(client, settings, given));
  if (!given.note.empty()) body["note"] = given.note;
  if (!given.id.empty()) body["id"] = given.id;
  MILL_TRY(const json::object answer, client.post(path + what, body));
  const bool money = answer.contains("credit");
  const json::value* existed = answer.if_contains("existed");
  const std::string note =
      existed && *existed == true ? "This was booked before; nothing changed.\n" : "";
  print_answer(settings, answer, note + (money ? shown_balance(answer) : shown(answer)));
  return {};
}

Command& add(CommandLine& line, Command& org, const char* name, const char* help,
             const Arguments& given, Status (*action)(const Settings&, const OrgArguments&)) {
  return line.add(&org, name, help, kDesk,
                  [given, action](const Settings& settings) { return action(settings, *given); });
}

void add_amount(Command& command, const Arguments& given, const char* help) {
  command.add_option("ORG", given->name, "its name or id").required();
  command.add_option("AMOUNT", given->amount, help).required();
  command.add_option("--note", given->note, "why, for the journal");
}

}  // namespace

void add_org_command(CommandLine& line) {
  Command& org = line.add(nullptr, "org", "Organizations, and the money they have", 0, {});
  const auto given = std::make_shared<OrgArguments>();

  Command& made = add(line, org, "create", "Make an organization", given, create);
  made.add_option("NAME", given->name, "what it is called").required();
  made.add_option("--currency", given->currency, "of its credit, such as USD, CNY or CREDITS");
  made.add_option("--credit", given->credit, "what it has paid in");
  made.add_option("--credit-limit", given->credit_limit, "how far it may owe");
  add(line, org, "list", "List organizations", given, list)
      .add_flag("--archived", given->archived, "those that are over too");
  add(line, org, "show", "Show an organization and its balance", given, show)
      .add_option("ORG", given->name, "its name or id");

  Command& pay = add(line, org, "pay", "Book a payment (or with a minus sign a repayment)", given,
                     [](const Settings& s, const OrgArguments& g) {
                       return change(s, g, "/credit", {{"amount", g.amount}});
                     });
  add_amount(pay, given, "such as 10 or 12.50");
  pay.add_option("--id", given->id, "a ULID: the same one twice books once");
  add_amount(add(line, org, "credit-limit", "Set how far an organization may owe", given,
                 [](const Settings& s, const OrgArguments& g) {
                   return change(s, g, "/credit_limit", {{"amount", g.amount}});
                 }),
             given, "such as 100; 0 for prepaid");
  add_amount(add(line, org, "write-off", "Give up what an organization owes", given,
                 [](const Settings& s, const OrgArguments& g) {
                   return change(s, g, "/write_off", {{"amount", g.amount}});
                 }),
             given, "at most what is owed");
  Command& back = add(line, org, "reverse", "Give back what a request was charged", given,
                      [](const Settings& s, const OrgArguments& g) {
                        json::object body{{"request_id", g.request}};
                        if (!g.amount.empty()) body["amount"] = g.amount;
                        return change(s, g, "/reversals", std::move(body));
                      });
  back.add_option("ORG", given->name, "its name or id").required();
  back.add_option("REQUEST", given->request,
                  "the receipt of the request: X-Tokenmill-Receipt of its answer")
      .required();
  back.add_option("--amount", given->amount, "a part of it; all where it is not given");
  back.add_option("--note", given->note, "why, for the journal");

  Command& renamed = add(line, org, "rename", "Give an organization another name", given,
                         [](const Settings& s, const OrgArguments& g) {
                           return change(s, g, "", {{"name", g.other}});
                         });
  renamed.add_option("ORG", given->name, "its name or id").required();
  renamed.add_option("NAME", given->other, "the new name").required();
  add(line, org, "archive", "End an organization: its keys stop working", given,
      [](const Settings& s, const OrgArguments& g) { return change(s, g, "/archive", {}); })
      .add_option("ORG", given->name, "its name or id")
      .required();

  line.add(nullptr, "balance", "Show what an organization has to spend", kDesk,
           [given](const Settings& settings) { return balance(settings, *given); })
      .add_option("ORG", given->name, "its name or id");
}

}  // namespace mill::app
