#include "maas/catalog/version_builder.h"

#include <fmt/format.h>

#include <algorithm>

#include "maas/catalog/civil_time.h"
#include "maas/catalog/draft_codec.h"

namespace mill::maas {
namespace {

using Row = std::vector<std::optional<Rates>>;  // [1 + band]

constexpr int64_t kOne = 1'000'000'000;  // 1 in nano-units
constexpr int64_t kMostPrice =
    1'000'000'000 * kOne;                   // per million; what rates.cc's sum is proved for
constexpr int64_t kMostFee = 1'000 * kOne;  // per request, a million of which is the above
constexpr int64_t kMostFactor = 1'000 * kOne;
constexpr size_t kMostBands = 32;
constexpr size_t kMostModels = 10'000;
constexpr size_t kMostName = 128;

tl::unexpected<Error> wrong(const std::string& field, std::string_view what) {
  return fail(Code::kInvalid, fmt::format("{}: {}", field, what), field);
}

bool given(const RatesDraft& rates) {
  return rates != RatesDraft{};
}

std::array<const std::string*, kItemCount> by_item(const RatesDraft& rates) {
  return {&rates.input,  &rates.cache_read, &rates.cache_write,  &rates.input_image,
          &rates.output, &rates.reasoning,  &rates.output_image, &rates.request};
}

Result<Rates> parse_rates(const RatesDraft& draft, const std::string& field) {
  const auto texts = by_item(draft);
  Rates rates;
  rates.fill(kNotSold);
  for (size_t i = 0; i < kItemCount; ++i) {
    if (texts[i]->empty()) continue;
    const bool fee = Item(i) == Item::kRequest;
    MILL_TRY(rates[i], parse_price(*texts[i], fmt::format("{}.{}", field, name(Item(i))),
                                   fee ? kMostFee : kMostPrice));
    if (fee) rates[i] *= 1'000'000;
  }
  for (const Item item : {Item::kInput, Item::kOutput})
    if (rates[size_t(item)] == kNotSold)
      return wrong(fmt::format("{}.{}", field, name(item)), "is required");
  const auto inherit = [&](Item from, Item to) {
    if (rates[size_t(to)] == kNotSold) rates[size_t(to)] = rates[size_t(from)];
  };
  inherit(Item::kInput, Item::kCacheRead);
  inherit(Item::kInput, Item::kCacheWrite);
  inherit(Item::kOutput, Item::kReasoning);
  if (rates[size_t(Item::kRequest)] == kNotSold) rates[size_t(Item::kRequest)] = 0;
  return rates;
}

// A variant with own prices must speak of everything the base speaks of: a forgotten cache price
// would silently become the dearer input price.
Status names_all_of(const RatesDraft& base, const RatesDraft& variant, const std::string& field) {
  const auto wanted = by_item(base);
  const auto has = by_item(variant);
  for (size_t i = 0; i < kItemCount; ++i)
    if (!wanted[i]->empty() && has[i]->empty())
      return wrong(fmt::format("{}.{}", field, name(Item(i))),
                   "is a gap: the base prices name it, so a price of its own is needed here");
  return {};
}

Result<Rates> times(const Rates& rates, int64_t factor, const std::string& field) {
  Rates product = rates;
  for (size_t i = 0; i < kItemCount; ++i) {
    if (rates[i] == kNotSold) continue;
    const Femto exact = Femto(rates[i]) * factor;
    if (exact % kOne != 0)
      return wrong(field, fmt::format("times the price of {} needs more than nine decimals; give "
                                      "prices of their own",
                                      name(Item(i))));
    if (exact / kOne > kMostPrice)
      return wrong(field, fmt::format("makes the price of {} too high", name(Item(i))));
    product[i] = int64_t(exact / kOne);
  }
  return product;
}

Result<int64_t> parse_factor(const std::string& text, const std::string& field) {
  MILL_TRY(const int64_t factor, parse_price(text, field, kMostFactor));
  if (factor == 0) return wrong(field, "a factor of 0 is no price; write prices of 0");
  return factor;
}

// Either `factor` of `base`, or own rates.
Result<Rates> variant(const Rates& base, const RatesDraft& base_draft, const std::string& factor,
                      const RatesDraft& own, const std::string& field) {
  if (factor.empty() == !given(own))
    return wrong(field, "needs either a factor or prices of its own, not both");
  if (!given(own)) {
    MILL_TRY(const int64_t parsed, parse_factor(factor, field + ".factor"));
    return times(base, parsed, field + ".factor");
  }
  MILL_TRY_DO(names_all_of(base_draft, own, field + ".rates"));
  return parse_rates(own, field + ".rates");
}

// The base price and the price in each of `bands`.
Result<Row> row_of(const RatesDraft& base_draft, const std::vector<BandPriceDraft>& drafts,
                   const std::vector<Band>& bands, const std::string& field) {
  MILL_TRY(const Rates base, parse_rates(base_draft, field + ".rates"));
  Row row(bands.size() + 1);
  row[0] = base;
  for (size_t i = 0; i < drafts.size(); ++i) {
    const std::string at = fmt::format("{}.bands[{}]", field, i);
    const auto band = std::find_if(bands.begin(), bands.end(),
                                   [&](const Band& b) { return b.name() == drafts[i].band; });
    if (band == bands.end())
      return wrong(at + ".band", fmt::format("'{}' is not a band of this price", drafts[i].band));
    auto& cell = row[size_t(band - bands.begin()) + 1];
    if (cell) return wrong(at + ".band", fmt::format("'{}' twice", drafts[i].band));
    MILL_TRY(cell, variant(base, base_draft, drafts[i].factor, drafts[i].rates, at));
  }
  for (size_t i = 0; i < bands.size(); ++i)
    if (!row[i + 1])
      return wrong(field + ".bands",
                   fmt::format("is a gap: no price for the band '{}'", bands[i].name()));
  return row;
}

Status put(ModelPrice& price, Tier tier, bool batch, const Row& row) {
  const size_t width = price.bands.size() + 1;
  std::copy(row.begin(), row.end(),
            price.table.begin() + std::ptrdiff_t((size_t(tier) * 2 + (batch ? 1 : 0)) * width));
  return {};
}

Result<Row> row_times(const Row& row, int64_t factor, const std::string& field) {
  Row product(row.size());
  for (size_t i = 0; i < row.size(); ++i) {
    MILL_TRY(product[i], times(*row[i], factor, field));
  }
  return product;
}

Row row_at(const ModelPrice& price, Tier tier, bool batch) {
  Row row;
  for (int32_t band = -1; band < int32_t(price.bands.size()); ++band)
    row.push_back(price.at(tier, batch, band));
  return row;
}

}  // namespace

Result<int64_t> parse_price(std::string_view text, const std::string& field, int64_t most) {
  const auto shape = [&] {
    return wrong(field, fmt::format("'{}' is not a price: plain digits with at most nine decimals, "
                                    "such as 0.15",
                                    text));
  };
  const size_t point = text.find('.');
  const std::string_view whole = text.substr(0, point);
  const std::string_view decimals =
      point == std::string_view::npos ? std::string_view() : text.substr(point + 1);
  if (whole.empty() || decimals.size() > 9) return shape();
  if (point != std::string_view::npos && decimals.empty()) return shape();
  Femto value = 0;
  for (const char c : whole) {
    if (c < '0' || c > '9') return shape();
    value = value * 10 + (c - '0');
    if (value > kMostPrice) break;
  }
  for (size_t i = 0; i < 9; ++i) {
    const char c = i < decimals.size() ? decimals[i] : '0';
    if (c < '0' || c > '9') return shape();
    value = value * 10 + (c - '0');
  }
  if (value > most) return wrong(field, fmt::format("'{}' is over {}", text, most / kOne));
  return int64_t(value);
}

VersionBuilder::VersionBuilder(const BookDraft& draft, int64_t number)
    : draft_(draft), version_(new PriceVersion) {
  version_->number_ = number;
  version_->draft_ = draft;
}

Status VersionBuilder::build(int64_t now_ns) {
  version_->effective_from_ns_ = now_ns;
  if (!draft_.effective_from.empty()) {
    MILL_TRY(version_->effective_from_ns_, parse_instant(draft_.effective_from, "effective_from"));
  }
  if (draft_.models.empty()) return wrong("models", "a price book needs at least one model");
  if (draft_.models.size() > kMostModels) return wrong("models", "more than 10,000 models");
  constexpr size_t kRoomForTheAct = 1024;
  if (encode(draft_).size() + kRoomForTheAct > ledger::kMaxBody)
    return fail(Code::kTooLarge, "models: the price book has over 1 MiB, more than one act holds",
                "models");
  MILL_TRY_DO(add_bands());
  MILL_TRY_DO(add_names());
  for (size_t i = 0; i < draft_.models.size(); ++i)
    MILL_TRY_DO(add_model(draft_.models[i], i, fmt::format("models[{}]", i)));
  return {};
}

Status VersionBuilder::add_bands() {
  if (draft_.bands.size() > kMostBands) return wrong("bands", "more than 32 bands");
  for (size_t i = 0; i < draft_.bands.size(); ++i) {
    const std::string at = fmt::format("bands[{}]", i);
    MILL_TRY(Band band, Band::check(draft_.bands[i], at));
    for (const Band& earlier : bands_)
      if (earlier.name() == band.name())
        return wrong(at + ".name", fmt::format("'{}' twice", band.name()));
    bands_.push_back(std::move(band));
  }
  return {};
}

Status VersionBuilder::add_names() {
  const auto add = [&](const std::string& text, size_t model, const std::string& field) -> Status {
    if (text.empty() || text.size() > kMostName)
      return wrong(field, "a name has between 1 and 128 bytes");
    for (const char c : text)
      if (c <= ' ' || c == 0x7f) return wrong(field, "a name has no blanks or control characters");
    if (!version_->names_.emplace(text, model).second)
      return wrong(field, fmt::format("'{}' is already the name or alias of a model", text));
    return {};
  };
  for (size_t i = 0; i < draft_.models.size(); ++i)
    MILL_TRY_DO(add(draft_.models[i].id, i, fmt::format("models[{}].id", i)));
  for (size_t i = 0; i < draft_.models.size(); ++i)
    for (size_t j = 0; j < draft_.models[i].aliases.size(); ++j)
      MILL_TRY_DO(add(draft_.models[i].aliases[j], i, fmt::format("models[{}].aliases[{}]", i, j)));
  return {};
}

Status VersionBuilder::check_fallbacks(const ModelDraft& draft, const std::string& field) const {
  const auto known = [&](const std::string& id) {
    const auto found = version_->names_.find(id);
    return found != version_->names_.end() && draft_.models[found->second].id == id;
  };
  for (size_t i = 0; i < draft.fallbacks.size(); ++i) {
    const std::string at = fmt::format("{}.fallbacks[{}]", field, i);
    if (draft.fallbacks[i] == draft.id) return wrong(at, "a model is no fallback of itself");
    if (!known(draft.fallbacks[i]))
      return wrong(at,
                   fmt::format("'{}' is not the id of a model of this book", draft.fallbacks[i]));
    const auto first = draft.fallbacks.begin();
    if (std::count(first, first + std::ptrdiff_t(i), draft.fallbacks[i]) > 0)
      return wrong(at, fmt::format("'{}' twice", draft.fallbacks[i]));
  }
  if (!draft.replacement.empty() && !known(draft.replacement))
    return wrong(field + ".replacement",
                 fmt::format("'{}' is not the id of a model of this book", draft.replacement));
  return {};
}

Status VersionBuilder::add_model(const ModelDraft& draft, size_t index, const std::string& field) {
  Model model{.id = draft.id,
              .description = draft.description,
              .aliases = draft.aliases,
              .fallbacks = draft.fallbacks,
              .replacement = draft.replacement,
              .context_tokens = draft.context_tokens,
              .max_output_tokens = draft.max_output_tokens};
  MILL_TRY_DO(check_fallbacks(draft, field));
  if (!draft.deprecated_at.empty()) {
    MILL_TRY(model.deprecated_at_ns, parse_instant(draft.deprecated_at, field + ".deprecated_at"));
  }
  if (!draft.retires_at.empty()) {
    MILL_TRY(model.retires_at_ns, parse_instant(draft.retires_at, field + ".retires_at"));
  }
  if (model.deprecated_at_ns && model.retires_at_ns &&
      *model.retires_at_ns < *model.deprecated_at_ns)
    return wrong(field + ".retires_at", "is before deprecated_at");
  if (draft.context_tokens < 0) return wrong(field + ".context_tokens", "is negative");
  if (draft.max_output_tokens < 0) return wrong(field + ".max_output_tokens", "is negative");
  if (draft.context_tokens > 0 && draft.max_output_tokens > draft.context_tokens)
    return wrong(field + ".max_output_tokens", "is over context_tokens");
  if (draft.prices.empty()) return wrong(field + ".prices", "a model needs at least one price");
  version_->prices_.emplace_back();
  for (size_t i = 0; i < draft.prices.size(); ++i) {
    const std::string at = fmt::format("{}.prices[{}]", field, i);
    const auto currency = ledger::parse_currency(draft.prices[i].currency);
    if (!currency) return wrong(at + ".currency", currency.error().message);
    if (std::count(model.currencies.begin(), model.currencies.end(), *currency) > 0)
      return wrong(at + ".currency", fmt::format("'{}' twice", draft.prices[i].currency));
    model.currencies.push_back(*currency);
    MILL_TRY(ModelPrice checked, price(draft.prices[i], at));
    version_->prices_[index].push_back(std::move(checked));
  }
  version_->models_.push_back(std::move(model));
  return {};
}

Result<std::vector<Band>> VersionBuilder::bands_of(const PriceDraft& draft,
                                                   const std::string& field) const {
  std::vector<Band> used;
  for (size_t i = 0; i < draft.bands.size(); ++i) {
    const std::string at = fmt::format("{}.bands[{}].band", field, i);
    const auto found = std::find_if(bands_.begin(), bands_.end(), [&](const Band& band) {
      return band.name() == draft.bands[i].band;
    });
    if (found == bands_.end())
      return wrong(at, fmt::format("there is no band '{}' in bands", draft.bands[i].band));
    for (const Band& other : used) {
      if (other.name() == found->name()) return wrong(at, fmt::format("'{}' twice", found->name()));
      if (!(other.zone() == found->zone()))
        return wrong(at, fmt::format("'{}' and '{}' are in different zones; the bands of one price "
                                     "are in one",
                                     other.name(), found->name()));
      if (other.overlaps(*found))
        return wrong(at, fmt::format("'{}' overlaps '{}'", found->name(), other.name()));
    }
    used.push_back(*found);
  }
  return used;
}

Result<ModelPrice> VersionBuilder::price(const PriceDraft& draft, const std::string& field) const {
  ModelPrice price;
  MILL_TRY(price.bands, bands_of(draft, field));
  price.table.resize(kTierCount * 2 * (price.bands.size() + 1));
  MILL_TRY(const Row base, row_of(draft.rates, draft.bands, price.bands, field));
  MILL_TRY_DO(put(price, Tier::kDefault, false, base));
  for (size_t i = 0; i < draft.tiers.size(); ++i)
    MILL_TRY_DO(add_tier(draft.tiers[i], fmt::format("{}.tiers[{}]", field, i), draft, price));
  if (draft.batch_factor.empty()) return price;

  const std::string at = field + ".batch_factor";
  MILL_TRY(const int64_t factor, parse_factor(draft.batch_factor, at));
  for (const Tier tier : {Tier::kDefault, Tier::kPriority, Tier::kFlex}) {
    if (!price.at(tier, false, -1)) continue;
    MILL_TRY(const Row row, row_times(row_at(price, tier, false), factor, at));
    MILL_TRY_DO(put(price, tier, true, row));
  }
  if (!price.at(Tier::kBatch, true, -1))
    MILL_TRY_DO(put(price, Tier::kBatch, true, row_at(price, Tier::kDefault, true)));
  return price;
}

Status VersionBuilder::add_tier(const TierPriceDraft& draft, const std::string& field,
                                const PriceDraft& base, ModelPrice& into) const {
  MILL_TRY(const Tier tier, parse_tier(draft.tier, field + ".tier"));
  if (tier == Tier::kDefault)
    return wrong(field + ".tier", "the default tier's prices are the ones outside of tiers");
  const bool batch = tier == Tier::kBatch;
  if (into.at(tier, batch, -1))
    return wrong(field + ".tier", fmt::format("'{}' twice", draft.tier));
  if (draft.factor.empty() == !given(draft.rates))
    return wrong(field, "needs either a factor or prices of its own, not both");
  if (given(draft.rates)) {
    MILL_TRY_DO(names_all_of(base.rates, draft.rates, field + ".rates"));
    MILL_TRY(const Row row, row_of(draft.rates, draft.bands, into.bands, field));
    return put(into, tier, batch, row);
  }
  if (!draft.bands.empty())
    return wrong(field + ".bands", "a factor takes the default tier's bands; leave these out");
  MILL_TRY(const int64_t factor, parse_factor(draft.factor, field + ".factor"));
  MILL_TRY(const Row row,
           row_times(row_at(into, Tier::kDefault, false), factor, field + ".factor"));
  return put(into, tier, batch, row);
}

Result<std::shared_ptr<const PriceVersion>> PriceVersion::check(const BookDraft& draft,
                                                                int64_t number, int64_t now_ns) {
  VersionBuilder builder(draft, number);
  MILL_TRY_DO(builder.build(now_ns));
  return builder.take();
}

}  // namespace mill::maas
