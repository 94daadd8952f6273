// tokenmill price …
#include <fmt/format.h>

#include <boost/json.hpp>
#include <memory>
#include <optional>

#include "app/books/admin_client.h"
#include "app/books/commands.h"
#include "app/books/find.h"
#include "app/books/price_file.h"
#include "app/books/table.h"
#include "app/yaml.h"

namespace mill::app {
namespace {

namespace json = boost::json;

constexpr size_t kMostBytes = 1 << 20;
constexpr const char* kPath = "/v1/price_books";

struct PriceArguments {
  std::string file, number, model, tier, at, currency;
  std::optional<int64_t> input, cached, cache_write, output, reasoning;
  bool dry_run = false, batch = false;
};

std::string books_table(const json::array& books) {
  return table(books, {{"NUMBER", "number", true},
                       {"STATUS", "status"},
                       {"FROM", "effective_from"},
                       {"MODELS", "models", true},
                       {"NOTE", "note"}});
}

Status set(const Settings& settings, const PriceArguments& given) {
  MILL_TRY(const AdminClient client, AdminClient::of(settings));
  MILL_TRY(const std::string text, read_small_file(given.file, kMostBytes));
  MILL_TRY(const YAML::Node document, parse_yaml(text, given.file));
  MILL_TRY(json::object book, price_book_json(document, given.file));
  if (given.dry_run) book["dry_run"] = true;
  const auto made = client.post(kPath, book);
  if (!made) {
    const Error& error = made.error();
    if (error.code != Code::kInvalid || error.param.empty()) return fail(error);
    return fail(Code::kInvalid, fmt::format("{}:{}: {}", given.file,
                                            line_of_path(document, error.param), error.message));
  }
  print_answer(settings, *made,
               given.dry_run ? fmt::format("{} is a good price book of {} models; nothing is "
                                           "changed\n",
                                           given.file, cell(*made, "models"))
                             : books_table({*made}));
  return {};
}

Status list(const Settings& settings, const PriceArguments&) {
  MILL_TRY(const AdminClient client, AdminClient::of(settings));
  MILL_TRY(const json::object all, client.all(kPath));
  print_answer(settings, all, books_table(all.at("data").as_array()));
  return {};
}

// A row for each price of a model: the base prices, then bands and tiers.
void add_prices(const json::object& model, json::array& rows) {
  const auto member = [](const json::object& from, const char* name) -> const json::value* {
    return from.if_contains(name);
  };
  const auto add = [&](const json::object& price, std::string_view when, const json::object& of) {
    json::object row;
    if (const json::value* rates = member(of, "rates"); rates && rates->is_object())
      row = rates->get_object();
    if (of.contains("factor")) row["input"] = "x " + cell(of, "factor");
    row["model"] = cell(model, "id");
    row["currency"] = cell(price, "currency");
    row["when"] = std::string(when);
    rows.push_back(std::move(row));
  };
  const json::value* prices = member(model, "prices");
  for (const json::value& value : prices ? prices->as_array() : json::array()) {
    const json::object& price = value.as_object();
    add(price, "base", price);
    if (const json::value* bands = member(price, "bands")) {
      for (const json::value& band : bands->as_array())
        add(price, "band " + cell(band.as_object(), "band"), band.as_object());
    }
    if (const json::value* tiers = member(price, "tiers")) {
      for (const json::value& tier : tiers->as_array())
        add(price, "tier " + cell(tier.as_object(), "tier"), tier.as_object());
    }
  }
}

// The book that is in effect, where no number is given.
Result<std::string> number_of(const AdminClient& client, const PriceArguments& given) {
  if (!given.number.empty()) return given.number;
  MILL_TRY(const json::object all, client.all(kPath));
  for (const json::value& book : all.at("data").as_array()) {
    if (cell(book.as_object(), "status") == "in_effect") return cell(book.as_object(), "id");
  }
  return fail(Code::kNotFound, "no price book is in effect");
}

Status show(const Settings& settings, const PriceArguments& given) {
  MILL_TRY(const AdminClient client, AdminClient::of(settings));
  MILL_TRY(const std::string number, number_of(client, given));
  MILL_TRY(const json::object answer, client.get(fmt::format("{}/{}", kPath, escaped(number))));
  json::array rows;
  const json::value* book = answer.if_contains("book");
  const json::value* models =
      book && book->is_object() ? book->get_object().if_contains("models") : nullptr;
  for (const json::value& model : models ? models->as_array() : json::array())
    add_prices(model.as_object(), rows);
  const std::string text = books_table({answer}) + "\nPrices per 1,000,000 tokens:\n" +
                           table(rows, {{"MODEL", "model"},
                                        {"CURRENCY", "currency"},
                                        {"WHEN", "when"},
                                        {"INPUT", "input", true},
                                        {"CACHED", "cache_read", true},
                                        {"OUTPUT", "output", true},
                                        {"REASONING", "reasoning", true},
                                        {"PER REQUEST", "request", true}});
  print_answer(settings, answer, text);
  return {};
}

Status withdraw(const Settings& settings, const PriceArguments& given) {
  MILL_TRY(const AdminClient client, AdminClient::of(settings));
  MILL_TRY(const json::object gone,
           client.erase(fmt::format("{}/{}", kPath, escaped(given.number))));
  print_answer(settings, gone, fmt::format("Price book {} is withdrawn\n", given.number));
  return {};
}

Status quote(const Settings& settings, const PriceArguments& given) {
  MILL_TRY(const AdminClient client, AdminClient::of(settings));
  MILL_TRY(const std::string org, find_organization(client, settings.text("org")));
  json::object body{{"model", given.model}};
  const auto put = [&](const char* member, const std::optional<int64_t>& count) {
    if (count) body[member] = *count;
  };
  put("input_tokens", given.input);
  put("cache_read_tokens", given.cached);
  put("cache_write_tokens", given.cache_write);
  put("output_tokens", given.output);
  put("reasoning_tokens", given.reasoning);
  if (!given.tier.empty()) body["tier"] = given.tier;
  if (!given.at.empty()) body["at"] = given.at;
  if (!given.currency.empty()) body["currency"] = given.currency;
  if (given.batch) body["batch"] = true;
  MILL_TRY(const json::object answer,
           client.post(in_organization(std::string(kPath) + "/quote", org), body));
  print_answer(settings, answer, cell(answer, "text"));
  return {};
}

}  // namespace

void add_price_command(CommandLine& line) {
  Command& group = line.add(nullptr, "price", "Price books, and what a request would cost", 0, {});
  const auto given = std::make_shared<PriceArguments>();
  const auto add = [&](const char* name, const char* help,
                       Status (*action)(const Settings&, const PriceArguments&)) -> Command& {
    return line.add(&group, name, help, kDesk,
                    [given, action](const Settings& settings) { return action(settings, *given); });
  };
  Command& sets = add("set", "Set a price book from a YAML file", set);
  sets.add_option("FILE", given->file, "as docs/prices.md describes it").required();
  sets.add_flag("--dry-run", given->dry_run, "check it and change nothing");
  add("list", "List price books", list);
  add("show", "Show the prices in effect, or those of a book", show)
      .add_option("NUMBER", given->number, "of a book");
  add("withdraw", "Take back a price book that is not yet in effect", withdraw)
      .add_option("NUMBER", given->number, "of the book")
      .required();
  Command& quotes = add("quote", "Explain line by line what a request would cost", quote);
  quotes.add_option("MODEL", given->model, "its id or alias").required();
  quotes.add_option("--input", given->input, "tokens of the prompt that are computed anew");
  quotes.add_option("--cached", given->cached, "tokens of the prompt that the cache has");
  quotes.add_option("--cache-write", given->cache_write, "tokens of the prompt that are kept");
  quotes.add_option("--output", given->output, "tokens of the answer");
  quotes.add_option("--reasoning", given->reasoning, "hidden tokens of reasoning");
  quotes.add_option("--tier", given->tier, "priority, default, flex or batch");
  quotes.add_flag("--batch", given->batch, "as part of a batch");
  quotes.add_option("--at", given->at, "an instant such as 2027-01-04T05:00:00Z (now)");
  quotes.add_option("--currency", given->currency, "the organization's where it is not given");
}

}  // namespace mill::app
