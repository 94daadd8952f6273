#include "maas/till/till.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <mutex>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/log.h"

namespace mill::maas {
namespace {

ledger::Reason reason_of(Outcome outcome, const Took& took, bool began) {
  switch (outcome) {
    case Outcome::kDone:
      return took.length ? ledger::Reason::kLength : ledger::Reason::kStop;
    case Outcome::kClientGone:
      return ledger::Reason::kClientGone;
    case Outcome::kDeadline:
      return began ? ledger::Reason::kDeadline : ledger::Reason::kQueueTimeout;
    case Outcome::kFault:
      return took.delivered_tokens > 0 ? ledger::Reason::kFaultAfterFirstToken
                                       : ledger::Reason::kFaultBeforeFirstToken;
    case Outcome::kFilter:
      return ledger::Reason::kFilter;
    case Outcome::kDrained:
      return ledger::Reason::kDrained;
    case Outcome::kKeyRevoked:
      return ledger::Reason::kKeyRevoked;
  }
  return ledger::Reason::kNone;
}

// The tokens that an answer cost, from the worker's count where that can be true.
struct Counted {
  ledger::Buckets tokens;
  std::string note;  // what was wrong with the count; empty: nothing
};
Counted count(const Took& took, const Ask& asked) {
  const int64_t prompt_tokens = asked.prompt_tokens, most_output = asked.output_tokens;
  Counted made;
  work::Usage usage;
  if (took.usage) {
    usage = *took.usage;
  } else {
    usage = {.prompt_tokens = prompt_tokens, .completion_tokens = took.delivered_tokens};
    made.note = "no count from the worker: what was delivered is charged";
  }
  const auto correct = [&](int64_t& value, int64_t low, int64_t high, std::string_view what) {
    const int64_t right = std::clamp(value, low, high);
    if (right == value) return;
    made.note += fmt::format("{}{} {} is not within {} and {}", made.note.empty() ? "" : "; ", what,
                             value, low, high);
    value = right;
  };
  // The gateway has counted the prompt and what it sent: less than that cannot be.
  const int64_t sent = std::clamp<int64_t>(took.delivered_tokens, 0, most_output);
  correct(usage.prompt_tokens, sent > 0 ? prompt_tokens : 0, prompt_tokens, "prompt_tokens");
  correct(usage.cached_tokens, 0, usage.prompt_tokens, "cached_tokens");
  correct(usage.completion_tokens, sent, most_output, "completion_tokens");
  made.tokens.input_uncached = usage.prompt_tokens - usage.cached_tokens;
  made.tokens.input_cache_read = usage.cached_tokens;
  made.tokens.output_text = usage.completion_tokens;
  return made;
}

}  // namespace

struct Till::Core {
  Core(ledger::Book& owner, Options given)
      : book(owner), options(std::move(given)), fair(options.fair_share) {
    if (!options.unix_ns) options.unix_ns = unix_nanoseconds;
    if (!options.monotonic) options.monotonic = [] { return now(); };
  }
  Times times() const { return {options.monotonic(), options.unix_ns()}; }

  ledger::Book& book;
  Options options;
  mutable std::mutex mutex;  // before the book's own
  Admission admission;
  FairShare fair;
  PriceBook prices;
};

struct Permit::State {
  Till::Core& till;
  Patron patron;
  Ask ask;
  ledger::HoldId id{};
  ledger::Ticket ticket;
  std::shared_ptr<const PriceVersion> version;  // what `pin` points into
  Pin pin;
  Grant grant;
  Instant rank{};
  int64_t work = 0;  // announced to the fair share
  RateViews rates;
  EnergyMeter::Mark energy_mark;
  Instant last_progress{};
  int64_t last_tokens = 0;
  bool progress_refused = false;  // which was said
  bool open = true;

  ledger::Entry entry(ledger::Kind kind) const {
    ledger::Entry made;
    made.kind = kind;
    made.hold = id;
    made.payer = patron.payer;
    made.currency = patron.currency;
    made.model = std::string(pin.model);
    made.price_version = pin.price_version;
    made.tier = static_cast<uint8_t>(patron.tier);
    made.flags = ask.stream ? uint32_t{ledger::kStream} : 0;
    return made;
  }
  void let_go();
  void note_electricity(const Took& took, ledger::Entry& settle) const;
  Result<Bill> book_end(const Counted& counted, const Took& took, ledger::Reason reason,
                        bool charged);
};

Permit::Permit(std::unique_ptr<State> state) : state_(std::move(state)) {}
Permit::Permit(Permit&&) noexcept = default;

Permit::~Permit() {
  if (state_ && state_->open) state_->let_go();
}

const ledger::HoldId& Permit::id() const {
  return state_->id;
}
ledger::Nano Permit::hold() const {
  return state_->grant.shape.hold;
}
Instant Permit::rank() const {
  return state_->rank;
}
const RateViews& Permit::rates() const {
  return state_->rates;
}

Task<Status> Permit::held(Instant deadline) {
  return state_->till.book.durable(state_->ticket, deadline);
}

void Permit::State::let_go() {
  open = false;
  const std::lock_guard lock(till.mutex);
  const Times at = till.times();
  ledger::Entry voided = entry(ledger::Kind::kVoid);
  voided.reason = ledger::Reason::kRefused;
  if (const auto posted = till.book.post(std::move(voided)); !posted) {
    log_error("a hold stays open")
        .add("hold", ledger::to_string(id))
        .add("error", posted.error().message);
  }
  till.admission.undo(grant, at);
  till.fair.end(patron.payer.org, work, 0, at.steady);
}

void Permit::progress(int64_t output_tokens, int64_t delivered_bytes) {
  State& mine = *state_;
  if (output_tokens <= mine.last_tokens) return;
  const Instant at = mine.till.options.monotonic();
  if (at - mine.last_progress < mine.till.options.progress_every) return;
  const Counted counted = count({.usage = work::Usage{.prompt_tokens = mine.ask.prompt_tokens,
                                                      .cached_tokens = mine.ask.prompt_tokens,
                                                      .completion_tokens = output_tokens}},
                                mine.ask);
  const auto cost = charge(mine.pin, counted.tokens);
  if (!cost) return;
  ledger::Entry entry = mine.entry(ledger::Kind::kProgress);
  entry.amount = std::min(cost->amount, mine.grant.shape.hold);
  entry.tokens = counted.tokens;
  entry.delivered_bytes = delivered_bytes;
  // What cannot be booked now is booked with the next.
  const auto posted = mine.till.book.post(std::move(entry));
  if (posted) {
    mine.last_progress = at;
    mine.last_tokens = output_tokens;
  } else if (!std::exchange(mine.progress_refused, true)) {
    log_warn("progress_not_booked")
        .add("hold", ledger::to_string(mine.id))
        .add("error", posted.error().message);
  }
}

tl::expected<void, Denial> Permit::extend(int64_t output_tokens) {
  State& mine = *state_;
  const auto amount = hold_amount(
      mine.pin, {.prompt_tokens = mine.ask.prompt_tokens, .max_output_tokens = output_tokens});
  if (!amount) {
    return tl::unexpected(Denial{.kind = Denial::Kind::kNoPrice, .error = amount.error()});
  }
  const ledger::Nano by = *amount - mine.grant.shape.hold;
  const std::lock_guard lock(mine.till.mutex);
  if (by > 0) {
    if (auto refusal = mine.till.admission.extend(mine.grant, by, mine.till.times())) {
      return tl::unexpected(Denial{.kind = Denial::Kind::kLimit,
                                   .error = {Code::kPermission, refusal->sentence(), ""},
                                   .limit = *refusal});
    }
    ledger::Entry entry = mine.entry(ledger::Kind::kExtend);
    entry.amount = by;
    const auto ticket = mine.till.book.post(std::move(entry));
    if (!ticket) {
      mine.till.admission.shrink(mine.grant, by, mine.till.times());
      const bool credit = ticket.error().code == Code::kPermission;
      return tl::unexpected(Denial{.kind = credit ? Denial::Kind::kCredit : Denial::Kind::kBooks,
                                   .error = ticket.error()});
    }
  }
  mine.ask.output_tokens = std::max(mine.ask.output_tokens, output_tokens);
  return {};
}

// What is not charged is not written either: it is the mill's own, as overhead.
void Permit::State::note_electricity(const Took& took, ledger::Entry& settle) const {
  EnergyMeter* const meter = till.options.meter.get();
  if (!meter || !took.usage) return;
  const auto energy = meter->end(energy_mark, took.usage->busy, till.options.unix_ns());
  if (energy) note_energy(*energy, settle);
}

Result<Bill> Permit::State::book_end(const Counted& counted, const Took& took,
                                     ledger::Reason reason, bool charged) {
  Bill bill{.reason = reason, .corrected = !counted.note.empty()};
  ledger::Entry made = entry(charged ? ledger::Kind::kSettle : ledger::Kind::kVoid);
  made.reason = reason;
  made.delivered_bytes = took.delivered_bytes;
  made.body = counted.note;
  if (charged) {
    MILL_TRY(const Charge cost, charge(pin, counted.tokens));
    made.amount = std::min(cost.amount, grant.shape.hold);
    made.residue = made.amount == cost.amount ? cost.residue : 0;
    made.tokens = counted.tokens;
    made.keepsake = took.keepsake;
    bill.charge = made.amount;
    bill.tokens = counted.tokens;
    note_electricity(took, made);
  }
  MILL_TRY(bill.ticket, till.book.post(std::move(made)));
  return bill;
}

Result<Bill> Permit::settle(const Took& took, Outcome outcome) {
  State& mine = *state_;
  MILL_CHECK(mine.open);
  mine.open = false;
  // Our fault: the client pays for what it was sent, not for what was milled in vain.
  const bool ours = outcome == Outcome::kFault || outcome == Outcome::kDrained;
  Counted counted = count(took, mine.ask);
  if (ours)
    counted.tokens.output_text = std::min(counted.tokens.output_text, took.delivered_tokens);
  if (outcome == Outcome::kFilter) counted.tokens.output_text = 0;
  const bool began = counted.tokens.output_text > 0 || took.delivered_tokens > 0;
  // In the line to its end: the worker had no step for it.
  const bool waited = !began && took.usage && took.usage->busy <= Duration::zero();
  const bool gone = outcome == Outcome::kClientGone || outcome == Outcome::kKeyRevoked;
  const bool free = (ours && took.delivered_tokens == 0) || (gone && waited) ||
                    (outcome == Outcome::kDeadline && !began);
  const int64_t actual = counted.tokens.input_uncached + counted.tokens.output_text;
  const std::lock_guard lock(mine.till.mutex);
  const Times at = mine.till.times();
  Result<Bill> bill = mine.book_end(counted, took, reason_of(outcome, took, began), !free);
  mine.till.fair.end(mine.patron.payer.org, mine.work, actual, at.steady);
  Taken taken{.prompt_tokens = counted.tokens.input_uncached + counted.tokens.input_cache_read,
              .cached_tokens = counted.tokens.input_cache_read,
              .output_tokens = counted.tokens.output_text,
              .charge = bill ? bill->charge : 0};
  mine.till.admission.finish(mine.grant, taken, at);
  return bill;
}

Task<Status> Permit::settled(const Bill& bill, Instant deadline) {
  return state_->till.book.durable(bill.ticket, deadline);
}

Till::Till(ledger::Book& book, Options options)
    : core_(std::make_unique<Core>(book, std::move(options))) {}
Till::~Till() = default;

Status Till::replay_spending() {
  const int64_t today = core_->options.unix_ns();
  const auto days = std::chrono::floor<std::chrono::days>(
      std::chrono::sys_time<std::chrono::nanoseconds>(std::chrono::nanoseconds(today)));
  const std::chrono::year_month_day date(days);
  const std::chrono::sys_days first(date.year() / date.month() / 1);
  ledger::Range range;
  range.from_ns = std::chrono::nanoseconds(first.time_since_epoch()).count();
  range.kinds = {ledger::Kind::kSettle, ledger::Kind::kReversal};
  return core_->book.scan(range, [&](const ledger::Entry& entry) -> Status {
    const bool back = entry.kind == ledger::Kind::kReversal;
    spent(entry.payer, entry.currency, back ? -entry.amount : entry.amount, entry.at_ns);
    return {};
  });
}

tl::expected<Permit, Denial> Till::admit(const Patron& patron, const Ask& ask) {
  Core& core = *core_;
  const auto deny = [](Denial::Kind kind, Error error) {
    return tl::unexpected(Denial{.kind = kind, .error = std::move(error)});
  };
  auto state =
      std::unique_ptr<Permit::State>(new Permit::State{.till = core, .patron = patron, .ask = ask});
  state->id = core.book.new_id();
  const std::lock_guard lock(core.mutex);
  const Times at = core.times();
  state->version = core.prices.at(at.unix_ns);
  if (!state->version) {
    return deny(Denial::Kind::kNoPrice,
                {Code::kNotFound, "there is no price book in force: nothing can be sold", "model"});
  }
  auto pin = state->version->pin({.model = ask.model,
                                  .currency = patron.currency,
                                  .tier = patron.tier,
                                  .accepted_ns = accepted_at(state->id)});
  if (!pin) return deny(Denial::Kind::kNoPrice, std::move(pin).error());
  state->pin = *pin;
  const auto hold = hold_amount(
      *pin, {.prompt_tokens = ask.prompt_tokens, .max_output_tokens = ask.output_tokens});
  if (!hold) return deny(Denial::Kind::kNoPrice, hold.error());
  const std::string model(pin->model);  // an alias is under the limits of what it names
  const Shape shape{.model = model,
                    .prompt_tokens = ask.prompt_tokens,
                    .output_tokens = ask.output_tokens,
                    .currency = patron.currency,
                    .hold = *hold};
  const bool short_of_places = ask.places > 0 && 4 * ask.in_line >= 3 * ask.places;
  if (short_of_places && core.fair.crowds(patron.payer.org, patron.weight, ask.places)) {
    return deny(
        Denial::Kind::kBusy,
        {Code::kOverloaded,
         "the line is nearly full, and this organization has more of it than its share", ""});
  }
  auto decision = core.admission.admit(patron.payer, shape, at);
  if (auto* refusal = std::get_if<Refusal>(&decision)) {
    return tl::unexpected(Denial{.kind = Denial::Kind::kLimit,
                                 .error = {Code::kOverloaded, refusal->sentence(), ""},
                                 .limit = *refusal,
                                 .rates = core.admission.view(patron.payer, model, at)});
  }
  state->grant = std::get<Grant>(std::move(decision));
  ledger::Entry entry = state->entry(ledger::Kind::kHold);
  entry.amount = *hold;
  auto ticket = core.book.post(std::move(entry));
  if (!ticket) {
    core.admission.undo(state->grant, at);
    const bool credit = ticket.error().code == Code::kPermission;
    state->open = false;
    return deny(credit ? Denial::Kind::kCredit : Denial::Kind::kBooks, std::move(ticket).error());
  }
  state->ticket = *ticket;
  state->work = std::max<int64_t>(ask.computed_tokens, 1) + ask.output_tokens;
  state->rank = core.fair.begin(patron.payer.org, patron.weight, state->work, at.steady);
  state->rates = core.admission.view(patron.payer, model, at);
  state->last_progress = at.steady;
  if (core.options.meter) state->energy_mark = core.options.meter->begin();
  return Permit(std::move(state));
}

std::shared_ptr<const PriceVersion> Till::prices() const {
  const std::lock_guard lock(core_->mutex);
  return core_->prices.at(core_->options.unix_ns());
}

Status Till::set_prices(const BookDraft& draft, int64_t at_ns) {
  const std::lock_guard lock(core_->mutex);
  MILL_TRY_DO(core_->prices.add(draft, at_ns));
  return {};
}

Status Till::check_prices(const BookDraft& draft) const {
  const std::lock_guard lock(core_->mutex);
  MILL_TRY_DO(core_->prices.check(draft, core_->options.unix_ns()));
  return {};
}

Status Till::withdraw_prices(int64_t number, int64_t at_ns) {
  const std::lock_guard lock(core_->mutex);
  return core_->prices.withdraw(number, at_ns);
}

std::shared_ptr<const PriceVersion> Till::prices(int64_t version) const {
  const std::lock_guard lock(core_->mutex);
  return core_->prices.number(version);
}

std::vector<std::shared_ptr<const PriceVersion>> Till::price_versions() const {
  const std::lock_guard lock(core_->mutex);
  return core_->prices.versions();
}

void Till::set_limits(const Scope& scope, const Limits& limits) {
  const std::lock_guard lock(core_->mutex);
  core_->admission.set(scope, limits);
}

Limits Till::limits(const Scope& scope) const {
  const std::lock_guard lock(core_->mutex);
  return core_->admission.limits(scope);
}

void Till::spent(const ledger::Payer& payer, ledger::Currency currency, ledger::Nano amount,
                 int64_t at_ns) {
  const std::lock_guard lock(core_->mutex);
  core_->admission.spent(payer, currency, amount, at_ns);
}

RateViews Till::rates(const Patron& patron, const std::string& model) {
  const std::lock_guard lock(core_->mutex);
  const Times at = core_->times();
  const auto version = core_->prices.at(at.unix_ns);
  const Model* found = version ? version->find(model) : nullptr;
  return core_->admission.view(patron.payer, found ? found->id : model, at);
}

Admission::Money Till::money(const Scope& scope, ledger::Currency currency) {
  const std::lock_guard lock(core_->mutex);
  return core_->admission.money(scope, currency, core_->options.unix_ns());
}

EnergyMeter* Till::meter() const {
  return core_->options.meter.get();
}

Status Till::book_overhead() {
  EnergyMeter* const meter = core_->options.meter.get();
  if (!meter) return {};
  ledger::Entry entry;
  entry.kind = ledger::Kind::kOverhead;
  entry.currency = meter->currency();
  entry.actor = "system";
  note_energy(meter->overhead(core_->options.unix_ns()), entry);
  MILL_TRY_DO(core_->book.post(std::move(entry)));
  return {};
}

}  // namespace mill::maas
