// tokenmill alert …, tokenmill webhook …
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

constexpr const char* kCreditAlert = "/v1/organization/credit_alert";
constexpr const char* kWebhook = "/v1/organization/webhook";

struct AlertArguments {
  std::string project, interval, amount, notify = "webhook", id, url;
  int64_t overlap_hours = 24;
};
using Arguments = std::shared_ptr<AlertArguments>;

// The path in the organization that --org names.
Result<std::string> within(const AdminClient& client, const Settings& settings,
                           const std::string& path) {
  MILL_TRY(const std::string org, find_organization(client, settings.text("org")));
  return in_organization(path, org);
}

Result<std::string> alerts_path(const AdminClient& client, const Settings& settings,
                                const AlertArguments& given, const std::string& id = "") {
  MILL_TRY(const std::string org, find_organization(client, settings.text("org")));
  std::string place = "/v1/organization";
  if (!given.project.empty()) {
    MILL_TRY(place, project_path(client, org, given.project));
  }
  // A project's path may have a query already.
  const size_t query = std::min(place.find('?'), place.size());
  const std::string path = place.substr(0, query) + "/spend_alerts" +
                           (id.empty() ? "" : "/" + escaped(id)) + place.substr(query);
  return in_organization(path, org);
}

std::string alerts_table(const json::array& rows) {
  return table(rows, {{"ID", "id"},
                      {"PER", "interval"},
                      {"SPENT REACHES", "amount", true},
                      {"CURRENCY", "currency"},
                      {"NOTIFY", "notify"}});
}

Status set_alert(const Settings& settings, const AlertArguments& given) {
  MILL_TRY(const AdminClient client, AdminClient::of(settings));
  MILL_TRY(const std::string path, alerts_path(client, settings, given));
  MILL_TRY(const json::object row, client.post(path, {{"interval", given.interval},
                                                      {"amount", given.amount},
                                                      {"notify", given.notify}}));
  print_answer(settings, row, alerts_table({row}));
  return {};
}

Status list_alerts(const Settings& settings, const AlertArguments& given) {
  MILL_TRY(const AdminClient client, AdminClient::of(settings));
  MILL_TRY(const std::string path, alerts_path(client, settings, given));
  MILL_TRY(const json::object list, client.all(path));
  print_answer(settings, list, alerts_table(list.at("data").as_array()));
  return {};
}

Status clear_alert(const Settings& settings, const AlertArguments& given) {
  MILL_TRY(const AdminClient client, AdminClient::of(settings));
  MILL_TRY(const std::string path, alerts_path(client, settings, given, given.id));
  MILL_TRY(const json::object gone, client.erase(path));
  print_answer(settings, gone, fmt::format("The alert {} is gone\n", given.id));
  return {};
}

std::string shown_credit(const json::object& alert) {
  return lines(alert,
               {{"tells at or below", "amount"}, {"left now", "left"}, {"currency", "currency"}});
}

Status set_low_credit(const Settings& settings, const AlertArguments& given) {
  MILL_TRY(const AdminClient client, AdminClient::of(settings));
  MILL_TRY(const std::string path, within(client, settings, kCreditAlert));
  if (given.amount == "off") {
    MILL_TRY(const json::object gone, client.erase(path));
    print_answer(settings, gone, "There is no credit alert now\n");
    return {};
  }
  const bool ask = given.amount.empty();
  MILL_TRY(const json::object answer,
           ask ? client.get(path) : client.post(path, {{"amount", given.amount}}));
  print_answer(settings, answer, shown_credit(answer));
  return {};
}

std::string shown_webhook(const json::object& hook) {
  std::string text = lines(hook, {{"organization", "organization_id"},
                                  {"url", "url"},
                                  {"status", "status"},
                                  {"set", "set_at"}});
  if (const json::value* why = hook.if_contains("disabled_reason"))
    text += fmt::format("because         {}\n", std::string(why->as_string()));
  if (const json::value* secret = hook.if_contains("secret")) {
    text += fmt::format("\nThe secret that signs, shown this once:\n\n  {}\n",
                        std::string(secret->as_string()));
  }
  return text;
}

Status set_webhook(const Settings& settings, const AlertArguments& given) {
  MILL_TRY(const AdminClient client, AdminClient::of(settings));
  MILL_TRY(const std::string path, within(client, settings, kWebhook));
  MILL_TRY(const json::object hook, client.post(path, {{"url", given.url}}));
  print_answer(settings, hook, shown_webhook(hook));
  return {};
}

Status show_webhook(const Settings& settings, const AlertArguments&) {
  MILL_TRY(const AdminClient client, AdminClient::of(settings));
  MILL_TRY(const std::string path, within(client, settings, kWebhook));
  MILL_TRY(const json::object hook, client.get(path));
  print_answer(settings, hook, shown_webhook(hook));
  return {};
}

Status rotate_webhook(const Settings& settings, const AlertArguments& given) {
  MILL_TRY(const AdminClient client, AdminClient::of(settings));
  MILL_TRY(const std::string path, within(client, settings, std::string(kWebhook) + "/rotate"));
  MILL_TRY(const json::object hook,
           client.post(path, {{"overlap_seconds", given.overlap_hours * 3600}}));
  print_answer(settings, hook, shown_webhook(hook));
  return {};
}

Status clear_webhook(const Settings& settings, const AlertArguments&) {
  MILL_TRY(const AdminClient client, AdminClient::of(settings));
  MILL_TRY(const std::string path, within(client, settings, kWebhook));
  MILL_TRY(const json::object gone, client.erase(path));
  print_answer(settings, gone, "There is no webhook now\n");
  return {};
}

using Action = Status (*)(const Settings&, const AlertArguments&);

Command& add(CommandLine& line, Command& group, const char* name, const char* help,
             const Arguments& given, Action action) {
  return line.add(&group, name, help, kDesk,
                  [given, action](const Settings& s) { return action(s, *given); });
}

}  // namespace

void add_alert_command(CommandLine& line) {
  Command& group =
      line.add(nullptr, "alert",
               "When an organization's webhook is told of its spending and its credit", 0, {});
  const auto given = std::make_shared<AlertArguments>();
  Command& set =
      add(line, group, "set", "Tell when a period's spending reaches an amount", given, set_alert);
  set.add_option("INTERVAL", given->interval, "day or month, in UTC").required();
  set.add_option("AMOUNT", given->amount, "such as 25 or 12.50").required();
  set.add_option("--notify", given->notify, "whom it is for: an address that rides in the alert");
  Command& list = add(line, group, "list", "List alerts of spending", given, list_alerts);
  Command& clear = add(line, group, "clear", "Take an alert of spending away", given, clear_alert);
  clear.add_option("ID", given->id, "such as alert-month-25").required();
  for (Command* command : {&set, &list, &clear})
    command->add_option("--project", given->project, "of a project, by name or id");
  add(line, group, "low-credit", "Tell when credit runs low; without an amount: show", given,
      set_low_credit)
      .add_option("AMOUNT", given->amount, "what is left then, such as 5; off: tell no more");
}

void add_webhook_command(CommandLine& line) {
  Command& group =
      line.add(nullptr, "webhook", "Where an organization's alerts are posted, signed", 0, {});
  const auto given = std::make_shared<AlertArguments>();
  add(line, group, "set", "Set the address; the first time, the secret is shown", given,
      set_webhook)
      .add_option("URL", given->url, "https://… or http://…")
      .required();
  add(line, group, "show", "Show the address", given, show_webhook);
  add(line, group, "rotate", "Make a new secret and show it", given, rotate_webhook)
      .add_option("--overlap-hours", given->overlap_hours, "how long the old one signs too");
  add(line, group, "clear", "Take the webhook away", given, clear_webhook);
}

}  // namespace mill::app
