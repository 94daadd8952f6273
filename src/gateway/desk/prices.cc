// /v1/price_books: the operator's prices, in versions, and what a request would cost by them.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "base/clock.h"
#include "gateway/desk/desk.h"
#include "gateway/desk/members.h"
#include "gateway/desk/price_json.h"
#include "gateway/desk/rows.h"
#include "gateway/desk/shapes.h"
#include "gateway/openai/fields.h"
#include "maas/catalog/civil_time.h"
#include "maas/catalog/draft_codec.h"
#include "maas/catalog/quote.h"

namespace mill::gateway::desk {
namespace {

using maas::PriceVersion;
using VersionPointer = std::shared_ptr<const PriceVersion>;

// Its place in time, now.
std::string_view status_of(const Desk& desk, const PriceVersion& version) {
  if (version.effective_from_ns() > unix_nanoseconds()) return "scheduled";
  const VersionPointer current = desk.office.till().prices();
  return current && current->number() == version.number() ? "in_effect" : "replaced";
}

json::object show_version(const Desk& desk, const PriceVersion& version) {
  return {{"id", std::to_string(version.number())},
          {"object", "price_book"},
          {"number", version.number()},
          {"status", text(status_of(desk, version))},
          {"effective_from", maas::format_instant(version.effective_from_ns())},
          {"note", version.draft().note},
          {"models", version.models().size()}};
}

Result<VersionPointer> version_of(const Desk& desk) {
  const std::string& id = desk.ids[0];
  int64_t number = 0;
  const char* end = id.data() + id.size();
  const auto read = std::from_chars(id.data(), end, number);
  VersionPointer version;
  if (read.ec == std::errc() && read.ptr == end) version = desk.office.till().prices(number);
  if (!version)
    return fail(Code::kNotFound, fmt::format("there is no price book '{}'", id.substr(0, 64)));
  return version;
}

// The newest version made of this draft; a book that was just set has one.
VersionPointer newest_of(const Desk& desk, const maas::BookDraft& draft) {
  VersionPointer newest;
  for (const VersionPointer& version : desk.office.till().price_versions()) {
    if (version->draft() == draft && (!newest || version->number() > newest->number()))
      newest = version;
  }
  return newest;
}

Result<ledger::Buckets> read_tokens(const json::object& body) {
  ledger::Buckets tokens;
  struct {
    std::string_view member;
    int64_t* count;
  } const counts[] = {{"input_tokens", &tokens.input_uncached},
                      {"cache_read_tokens", &tokens.input_cache_read},
                      {"cache_write_tokens", &tokens.input_cache_write},
                      {"input_image_tokens", &tokens.input_image},
                      {"output_tokens", &tokens.output_text},
                      {"reasoning_tokens", &tokens.output_reasoning},
                      {"output_image_tokens", &tokens.output_image}};
  for (const auto& [member, count] : counts) {
    MILL_TRY(const auto given, openai::Fields(body).integer(member, 0, int64_t{1} << 53));
    *count = given.value_or(0);
  }
  return tokens;
}

// The currency that is asked for, or the organization's.
Result<ledger::Currency> read_currency(const Desk& desk) {
  MILL_TRY(const auto given, openai::Fields(desk.body).string("currency"));
  if (given) {
    const auto currency = ledger::parse_currency(*given);
    if (!currency) return fail(Code::kInvalid, currency.error().message, "currency");
    return *currency;
  }
  return desk.read([&](const maas::Directory& d) -> Result<ledger::Currency> {
    const auto org = find_organization(desk, d);
    if (!org) return fail(Code::kInvalid, "'currency' is missing", "currency");
    return d.organization(*org)->currency;
  });
}

// The version that is, was or will be in effect at an instant.
VersionPointer version_at(const Desk& desk, int64_t at_ns) {
  VersionPointer found;
  for (const VersionPointer& version : desk.office.till().price_versions()) {
    if (version->effective_from_ns() <= at_ns) found = version;
  }
  return found;
}

json::object show_quote(const maas::Pin& pin, const maas::Charge& bill, int64_t at_ns) {
  json::array lines;
  for (const maas::ChargeLine& line : bill.lines) {
    lines.push_back(json::object{{"item", text(name(line.item))},
                                 {"quantity", line.quantity},
                                 {"unit", text(unit(line.item))},
                                 {"price", maas::print_rate(line.item, line.rate)},
                                 {"amount", maas::print_femto(line.exact)}});
  }
  return {{"object", "price_quote"},
          {"model", text(pin.model)},
          {"price_book", pin.price_version},
          {"tier", text(name(pin.tier))},
          {"batch", pin.batch},
          {"band", text(pin.band)},
          {"at", maas::format_instant(at_ns)},
          {"currency", ledger::to_string(pin.currency)},
          {"lines", std::move(lines)},
          {"exact", maas::print_femto(bill.exact)},
          {"amount", money(bill.amount)}};
}

}  // namespace

Result<json::value> list_price_books(Desk& desk) {
  MILL_TRY_DO(desk.for_operator());
  json::array data;
  for (const VersionPointer& version : desk.office.till().price_versions())
    data.push_back(show_version(desk, *version));
  MILL_TRY(json::object part, show_part(std::move(data), desk.query, 20));
  return part;
}

Result<json::value> create_price_book(Desk& desk) {
  MILL_TRY_DO(desk.for_operator());
  MILL_TRY(const auto dry, openai::Fields(desk.body).boolean("dry_run"));
  MILL_TRY(const maas::BookDraft draft, read_book(desk.body));
  if (dry.value_or(false)) {
    MILL_TRY_DO(desk.office.till().check_prices(draft));
    return json::object{{"object", "price_book"},
                        {"dry_run", true},
                        {"number", nullptr},
                        {"models", draft.models.size()},
                        {"book", show_book(draft)}};
  }
  MILL_TRY_DO(desk.act(maas::SetPriceBook{maas::encode(draft)}));
  const VersionPointer version = newest_of(desk, draft);
  if (!version) return fail(Code::kInternal, "the price book is set, and has been withdrawn");
  return show_version(desk, *version);
}

Result<json::value> get_price_book(Desk& desk) {
  MILL_TRY_DO(desk.for_operator());
  MILL_TRY(const VersionPointer version, version_of(desk));
  json::object shown = show_version(desk, *version);
  shown["book"] = show_book(version->draft());
  return shown;
}

Result<json::value> withdraw_price_book(Desk& desk) {
  MILL_TRY_DO(desk.for_operator());
  MILL_TRY(const VersionPointer version, version_of(desk));
  MILL_TRY_DO(desk.act(maas::WithdrawPriceBook{version->number()}));
  return show_deleted("price_book", desk.ids[0]);
}

Result<json::value> quote_price(Desk& desk) {
  const openai::Fields fields(desk.body);
  MILL_TRY(const std::string model, need_text(desk.body, "model"));
  MILL_TRY(const ledger::Currency currency, read_currency(desk));
  MILL_TRY(const std::string tier_word, text_or(desk.body, "tier", "default"));
  MILL_TRY(const maas::Tier tier, maas::parse_tier(tier_word, "tier"));
  MILL_TRY(const auto batch, fields.boolean("batch"));
  MILL_TRY(const auto at, fields.string("at"));
  int64_t at_ns = unix_nanoseconds();
  if (at) {
    MILL_TRY(at_ns, maas::parse_instant(*at, "at"));
  }
  MILL_TRY(const ledger::Buckets tokens, read_tokens(desk.body));
  const VersionPointer version = version_at(desk, at_ns);
  if (!version) return fail(Code::kNotFound, "no price book is in effect at that time");
  MILL_TRY(const maas::Pin pin, version->pin({.model = model,
                                              .currency = currency,
                                              .tier = tier,
                                              .batch = batch.value_or(false),
                                              .accepted_ns = at_ns}));
  MILL_TRY(const maas::Charge bill, maas::charge(pin, tokens));
  MILL_TRY(const std::string explained, maas::quote(pin, at_ns, tokens));
  json::object shown = show_quote(pin, bill, at_ns);
  shown["text"] = explained;
  return shown;
}

}  // namespace mill::gateway::desk
