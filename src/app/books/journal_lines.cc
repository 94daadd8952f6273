#include "app/books/journal_lines.h"

#include <charconv>
#include <optional>
#include <string_view>
#include <utility>

#include "maas/catalog/civil_time.h"
#include "maas/catalog/rates.h"

namespace mill::app {
namespace {

namespace json = boost::json;
using ledger::format_amount;

// In the order of CSV's columns.
constexpr const char* kColumns[] = {"seq",
                                    "at",
                                    "kind",
                                    "id",
                                    "organization_id",
                                    "project_id",
                                    "key_id",
                                    "currency",
                                    "amount",
                                    "held",
                                    "model",
                                    "price_version",
                                    "tier",
                                    "reason",
                                    "input_uncached",
                                    "input_cache_read",
                                    "input_cache_write",
                                    "input_image",
                                    "output_text",
                                    "output_reasoning",
                                    "output_image",
                                    "delivered_bytes",
                                    "residue_femto",
                                    "microjoules",
                                    "energy_cost",
                                    "co2_micrograms",
                                    "flags",
                                    "actor",
                                    "act",
                                    "target",
                                    "note",
                                    "hash"};

template <class T>
json::value id_of(maas::IdKind kind, const T* thing) {
  return thing ? json::value(maas::to_string(kind, thing->id)) : json::value();
}

std::string flags_of(uint32_t flags) {
  constexpr std::pair<uint32_t, const char*> kNames[] = {{ledger::kStream, "stream"},
                                                         {ledger::kBatch, "batch"},
                                                         {ledger::kFlagRecovered, "recovered"},
                                                         {ledger::kCachedReplay, "cached_replay"},
                                                         {ledger::kEnergyModel, "energy_model"},
                                                         {ledger::kEnergyRapl, "energy_rapl"},
                                                         {ledger::kEnergyPriced, "energy_priced"}};
  std::string text;
  for (const auto& [bit, name] : kNames) {
    if ((flags & bit) != 0) text += (text.empty() ? "" : " ") + std::string(name);
  }
  return text;
}

std::string csv_cell(const json::value& value) {
  if (value.is_null()) return "";
  if (!value.is_string()) return json::serialize(value);
  std::string text(value.get_string());
  double number = 0;
  const char* end = text.data() + text.size();
  const bool is_number = !text.empty() && std::from_chars(text.data(), end, number).ptr == end;
  if (!is_number && !text.empty() &&
      std::string_view("=+-@\t\r").find(text[0]) != std::string::npos)
    text.insert(0, "'");
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + "\"";
}

}  // namespace

json::object JournalLines::next(const ledger::Entry& entry) {
  const bool act = entry.kind == ledger::Kind::kAct;
  std::optional<maas::AuditEvent> event;
  if (act) {
    if (auto told = trail_.next(entry)) event = std::move(*told);
    if (const auto body = maas::decode_act(entry.body))
      static_cast<void>(directory_.apply(*body, entry.at_ns));
  }
  const uint64_t org = event ? event->org : entry.payer.org;
  const uint64_t project = event ? event->project : entry.payer.project;
  const ledger::Buckets& tokens = entry.tokens;
  json::object line{
      {"seq", entry.seq},
      {"at", maas::format_instant(entry.at_ns)},
      {"at_ns", entry.at_ns},
      {"kind", std::string(name(entry.kind))},
      {"id", nullptr},
      {"organization_id", id_of(maas::IdKind::kOrganization, directory_.organization(org))},
      {"project_id", id_of(maas::IdKind::kProject, directory_.project(project))},
      {"key_id", id_of(maas::IdKind::kKey, directory_.key(entry.payer.key))},
      {"payer", json::array{entry.payer.org, entry.payer.project, entry.payer.key}},
      {"currency", ledger::to_string(entry.currency)},
      {"amount", format_amount(entry.amount)},
      {"held", format_amount(entry.held)},
      {"model", entry.model},
      {"price_version", entry.price_version},
      {"tier", std::string(name(static_cast<maas::Tier>(entry.tier)))},
      {"reason", std::string(name(entry.reason))},
      {"input_uncached", tokens.input_uncached},
      {"input_cache_read", tokens.input_cache_read},
      {"input_cache_write", tokens.input_cache_write},
      {"input_image", tokens.input_image},
      {"output_text", tokens.output_text},
      {"output_reasoning", tokens.output_reasoning},
      {"output_image", tokens.output_image},
      {"delivered_bytes", entry.delivered_bytes},
      {"residue_femto", entry.residue},
      {"microjoules", entry.microjoules},
      {"energy_cost", format_amount(entry.energy_cost)},
      {"co2_micrograms", entry.co2_micrograms},
      {"flags", flags_of(entry.flags)},
      {"actor", entry.actor},
      {"act", nullptr},
      {"target", nullptr},
      {"note", act ? std::string() : entry.body},
      {"previous", ledger::to_hex(entry.previous)},
      {"hash", ledger::to_hex(entry.hash)}};
  if (!ledger::is_none(entry.hold)) line["id"] = ledger::to_string(entry.hold);
  if (event) {
    line["act"] = event->type;
    line["target"] = event->target;
  }
  return line;
}

std::string JournalLines::csv_head() {
  std::string text;
  for (const char* column : kColumns) text += (text.empty() ? "" : ",") + std::string(column);
  return text + "\r\n";
}

std::string JournalLines::csv(const json::object& line) {
  std::string text;
  for (const char* column : kColumns)
    text += (column == kColumns[0] ? "" : ",") + csv_cell(line.at(column));
  return text + "\r\n";
}

}  // namespace mill::app
