// One version of the price book: models and prices, checked and immutable.
//
// A request pins its prices when it is accepted: version, tier, batch and time band are settled
// then, whatever happens to the clock or the book while it runs. The instant of acceptance is the
// one in the request's ULID (accepted_at), so a settle entry of the journal alone says which prices
// it was charged by.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "maas/catalog/draft.h"
#include "maas/catalog/rates.h"

namespace mill::maas {

// A model as requests meet it. `prices` are in PriceVersion; this is what it is called and what it
// may do.
struct Model {
  std::string id;
  std::string description;
  std::vector<std::string> aliases;
  std::vector<std::string> fallbacks;
  std::optional<int64_t> deprecated_at_ns;
  std::optional<int64_t> retires_at_ns;
  std::string replacement;
  int64_t context_tokens = 0;                // 0: no cap of the catalogue
  int64_t max_output_tokens = 0;             // 0: no cap of the catalogue
  std::vector<ledger::Currency> currencies;  // those it has prices in

  bool deprecated(int64_t at_ns) const { return deprecated_at_ns && at_ns >= *deprecated_at_ns; }
  bool retired(int64_t at_ns) const { return retires_at_ns && at_ns >= *retires_at_ns; }
};

// How a request is to be priced.
struct Terms {
  std::string_view model;  // id or alias
  ledger::Currency currency;
  Tier tier = Tier::kDefault;
  bool batch = false;       // part of a batch; the tier batch is that too
  int64_t accepted_ns = 0;  // accepted_at(the request's id)
};

// The prices of one request. Small, a copy; `model` and `band` point into the version it came from.
struct Pin {
  int64_t price_version = 0;
  std::string_view model;
  ledger::Currency currency;
  Tier tier = Tier::kDefault;
  bool batch = false;
  std::string_view band;  // "base" outside of all bands
  Rates rates{};
};

// The milliseconds in a ULID, as instants of the books.
int64_t accepted_at(const ledger::HoldId& id);

struct ChargeLine {
  Item item;
  int64_t quantity = 0;
  int64_t rate = 0;  // nano-units per 1,000,000 of it
  Femto exact = 0;
};

struct Charge {
  std::vector<ChargeLine> lines;  // those with a quantity, in the order of Item
  Femto exact = 0;                // their sum
  ledger::Nano amount = 0;        // rounded once, half to even
  int64_t residue = 0;            // femto: exact minus amount
};

// What `tokens` cost at these prices. Fails as exact_charge and round_half_even do.
Result<Charge> charge(const Pin& pin, const ledger::Buckets& tokens);

// What must be held so that no split of `prompt_tokens` into fresh, cached and kept ones, and none
// of `max_output_tokens` into text and reasoning, costs more; rounded up. Images are counted
// exactly, for their number is known beforehand.
struct HoldShape {
  int64_t prompt_tokens = 0;
  int64_t max_output_tokens = 0;
  int64_t input_image_tokens = 0;
  int64_t output_image_tokens = 0;
};
Result<ledger::Nano> hold_amount(const Pin& pin, const HoldShape& shape);

// A model in a currency: its rates by tier, batch and band.
struct ModelPrice {
  std::vector<Band> bands;
  // [tier, batch, 1 + band], the first of each row is the base price; empty where it is not sold
  std::vector<std::optional<Rates>> table;
  const std::optional<Rates>& at(Tier tier, bool batch, int32_t band) const {
    return table[((size_t(tier) * 2) + (batch ? 1 : 0)) * (bands.size() + 1) + size_t(band + 1)];
  }
};

class PriceVersion {
 public:
  // Fails with kInvalid: the message says what is wrong and `param` where, such as
  // "models[1].prices[0].rates.input". `number` is the version's serial number in the book,
  // `now_ns` the instant of an empty `effective_from`.
  static Result<std::shared_ptr<const PriceVersion>> check(const BookDraft& draft, int64_t number,
                                                           int64_t now_ns);

  int64_t number() const { return number_; }
  int64_t effective_from_ns() const { return effective_from_ns_; }
  const BookDraft& draft() const { return draft_; }
  const std::vector<Model>& models() const { return models_; }

  // By id or alias; nullptr for none.
  const Model* find(std::string_view name) const;

  // Fails with kNotFound (`param` "model") for an unknown model, kUnsupported for a currency, tier
  // or batch without a price.
  Result<Pin> pin(const Terms& terms) const;

  // Every price of a model in a currency, for lists: each tier, batch and band that is sold. Empty
  // for an unknown one.
  std::vector<Pin> prices(std::string_view model, ledger::Currency currency) const;

 private:
  friend class VersionBuilder;
  PriceVersion() = default;
  const ModelPrice* price_of(size_t model, ledger::Currency currency) const;
  Pin pin_of(size_t model, ledger::Currency currency, const ModelPrice& price, Tier tier,
             bool batch, int32_t band) const;

  int64_t number_ = 0;
  int64_t effective_from_ns_ = 0;
  BookDraft draft_;
  std::vector<Model> models_;
  std::vector<std::vector<ModelPrice>> prices_;  // [model][its currency]
  std::unordered_map<std::string, size_t> names_;
};

}  // namespace mill::maas
