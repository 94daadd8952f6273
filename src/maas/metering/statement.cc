#include "maas/metering/statement.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <tuple>

#include "maas/catalog/civil_time.h"

namespace mill::maas {
namespace {

constexpr std::array<std::string_view, 6> kKindNames = {"item",  "rounding", "capped",
                                                        "other", "reversal", "late_reversal"};

auto order(const Line& line) {
  return std::tie(line.org, line.project, line.key, line.day_ns, line.currency, line.model,
                  line.kind, line.item, line.tier, line.batch, line.price_version, line.band,
                  line.rate);
}

}  // namespace

std::string_view name(LineKind kind) {
  return kKindNames[size_t(kind)];
}

size_t Statement::PlaceHash::operator()(const Place& place) const {
  uint64_t hash = 0;
  const auto mix = [&hash](uint64_t value) {
    hash = (hash ^ value) * 0x9E3779B97F4A7C15ull;
    hash ^= hash >> 32;
  };
  mix(uint64_t(place.day));
  mix(place.org);
  mix(place.project);
  mix(place.key);
  mix(place.currency);
  mix(uint64_t(place.price_version));
  mix(uint64_t(place.rate));
  mix(uint64_t{place.model} << 32 | place.band);
  mix(uint64_t{place.tier} << 24 | uint64_t{place.kind} << 16 | uint64_t{place.item} << 8 |
      (place.batch ? 1 : 0));
  return size_t(hash);
}

bool Statement::counts(const ledger::Entry& entry) const {
  return entry.at_ns >= scope_.from_ns && entry.at_ns < scope_.to_ns &&
         (scope_.org == 0 || scope_.org == entry.payer.org) &&
         (scope_.project == 0 || scope_.project == entry.payer.project);
}

uint32_t Statement::word(const std::string& text) {
  const auto [found, fresh] = word_ids_.try_emplace(text, uint32_t(words_.size()));
  if (fresh) words_.push_back(text);
  return found->second;
}

Statement::Place Statement::place_of(const ledger::Entry& entry, const std::string& band) {
  return {.day = floor_to(scope_.by_day ? entry.at_ns : scope_.from_ns, kNanosPerDay),
          .org = entry.payer.org,
          .project = entry.payer.project,
          .key = scope_.by_key ? entry.payer.key : 0,
          .currency = entry.currency.packed,
          .price_version = entry.price_version,
          .model = word(entry.model),
          .band = word(band),
          .tier = entry.tier,
          .batch = is_batch(entry)};
}

Status Statement::make_room(size_t lines) const {
  if (sums_.size() + lines <= max_lines_) return {};
  return fail(Code::kTooLarge,
              fmt::format("the statement would have more than {} lines: ask for a shorter time or "
                          "for one project",
                          max_lines_));
}

void Statement::put(Place place, LineKind kind, const Sum& sum) {
  place.kind = uint8_t(kind);
  Sum& into = sums_[place];
  into.quantity += sum.quantity;
  into.entries += sum.entries;
  into.amount += sum.amount;
}

Status Statement::add_settle(const ledger::Entry& entry) {
  const Explained why = explain(entry, prices_);
  MILL_TRY_DO(make_room(why.lines.size() + 3));
  const Place place = place_of(entry, why.band);
  for (const ChargeLine& line : why.lines) {
    Place at = place;
    at.item = uint8_t(line.item);
    at.rate = line.rate;
    put(at, LineKind::kItem, {.quantity = line.quantity, .entries = 1, .amount = line.exact});
  }
  if (why.rounding != 0) put(place, LineKind::kRounding, {.entries = 1, .amount = why.rounding});
  if (why.capped != 0) put(place, LineKind::kCapped, {.entries = 1, .amount = why.capped});
  if (why.other != 0) put(place, LineKind::kOther, {.entries = 1, .amount = why.other});
  if (accepted_at(entry.hold) < scope_.from_ns) carried_over_.insert(entry.hold);
  ++requests_;
  return {};
}

Status Statement::add_reversal(const ledger::Entry& entry) {
  MILL_TRY_DO(make_room(1));
  const bool late = accepted_at(entry.hold) < scope_.from_ns && !carried_over_.contains(entry.hold);
  put(place_of(entry, {}), late ? LineKind::kLateReversal : LineKind::kReversal,
      {.entries = 1, .amount = -Femto(entry.amount) * kFemtoPerNano});
  return {};
}

Status Statement::add(const ledger::Entry& entry) {
  const bool settle = entry.kind == ledger::Kind::kSettle;
  if ((!settle && entry.kind != ledger::Kind::kReversal) || !counts(entry)) return {};
  MILL_TRY_DO(settle ? add_settle(entry) : add_reversal(entry));
  if (first_seq_ == 0) first_seq_ = entry.seq;
  last_seq_ = entry.seq;
  return {};
}

std::vector<Line> Statement::lines() const {
  std::vector<Line> lines;
  lines.reserve(sums_.size());
  for (const auto& [place, sum] : sums_)
    lines.push_back({.day_ns = place.day,
                     .org = place.org,
                     .project = place.project,
                     .key = place.key,
                     .model = words_[place.model],
                     .price_version = place.price_version,
                     .tier = place.tier,
                     .batch = place.batch,
                     .band = words_[place.band],
                     .kind = LineKind(place.kind),
                     .item = Item(place.item),
                     .rate = place.rate,
                     .currency = {place.currency},
                     .quantity = sum.quantity,
                     .entries = sum.entries,
                     .amount = sum.amount});
  std::sort(lines.begin(), lines.end(),
            [](const Line& a, const Line& b) { return order(a) < order(b); });
  return lines;
}

}  // namespace mill::maas
