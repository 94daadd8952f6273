#include "gateway/booking.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/check.h"
#include "base/log.h"
#include "gateway/http_status.h"

namespace mill::gateway {
namespace {

Error books_error(const Error& error) {
  return {Code::kOverloaded, "the books take no entries at present: " + error.message, ""};
}

std::string milliseconds(Duration duration) {
  return std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(duration).count());
}

}  // namespace

struct Booking::State {
  Terms terms;
  maas::Permit permit;
  int64_t output_held = 0;
  uint64_t keys_seen = 0;  // the keyring's revision when the key was last looked at
  bool full = false;       // no more can be held
  maas::Bill bill;
};

Booking::Booking() = default;
Booking::Booking(Booking&&) noexcept = default;
Booking& Booking::operator=(Booking&&) noexcept = default;
Booking::~Booking() = default;

Booking::Booking(Terms terms, maas::Permit permit, int64_t output_held)
    : state_(new State{
          .terms = std::move(terms), .permit = std::move(permit), .output_held = output_held}) {
  state_->keys_seen = state_->terms.office->keyring().revision();
}

std::string Booking::id() const {
  return state_ ? ledger::to_string(state_->permit.id()) : std::string();
}
maas::Tier Booking::tier() const {
  return state_ ? state_->terms.caller.tier : maas::Tier::kDefault;
}
// A level is worth ten seconds in the line (scheduler/step_planner.h): flex lets half a minute of
// others go first, a batch five minutes.
int32_t Booking::level() const {
  if (!state_) return 0;
  switch (state_->terms.caller.tier) {
    case maas::Tier::kPriority:
      return 1;
    case maas::Tier::kFlex:
      return -3;
    case maas::Tier::kBatch:
      return -30;
    case maas::Tier::kDefault:
      break;
  }
  return 0;
}
Duration Booking::yield() const {
  return state_ ? state_->permit.rank() - now() : Duration::zero();
}
uint64_t Booking::tenant() const {
  return state_ ? state_->terms.caller.payer.org : 0;
}
ledger::Nano Booking::charge() const {
  return state_ ? state_->bill.charge : 0;
}
int64_t Booking::seq() const {
  return state_ ? state_->bill.ticket.seq : 0;
}

std::vector<net::Header> Booking::headers() const {
  std::vector<net::Header> headers;
  if (!state_) return headers;
  headers.reserve(10);  // all of them, and two of a model that goes away
  headers.push_back({"X-Tokenmill-Receipt", id()});
  if (!state_->terms.caller.org_id.empty()) {
    headers.push_back({"OpenAI-Organization",
                       maas::to_string(maas::IdKind::kOrganization, state_->terms.caller.org_id)});
  }
  append_rate_headers(headers, state_->permit.rates());
  return headers;
}

Instant Booking::glance(Instant deadline) const {
  if (!state_ || !state_->terms.revoked_ends) return deadline;
  return std::min(deadline, now() + kGlance);
}

bool Booking::revoked() {
  if (!state_ || !state_->terms.revoked_ends) return false;
  const maas::Keyring& keyring = state_->terms.office->keyring();
  const uint64_t revision = keyring.revision();
  if (revision == state_->keys_seen) return false;
  state_->keys_seen = revision;
  return !keyring.standing(state_->terms.caller.payer.key);
}

Booking::Word Booking::milled(int64_t output_tokens) {
  if (!state_) return Word::kGoOn;
  if (revoked()) return Word::kRevoked;
  State& mine = *state_;
  if (mine.full) return output_tokens < mine.output_held ? Word::kGoOn : Word::kLength;
  const int64_t most = mine.terms.most_output;
  // Asked for early enough that the answer need not wait.
  while (mine.output_held < most && output_tokens > mine.output_held - mine.output_held / 4) {
    const int64_t more = std::min(mine.output_held * 2, most);
    if (!mine.permit.extend(more)) {
      mine.full = true;
      return output_tokens < mine.output_held ? Word::kGoOn : Word::kLength;
    }
    mine.output_held = more;
  }
  return Word::kGoOn;
}

void Booking::sent(int64_t output_tokens, int64_t bytes) {
  if (state_) state_->permit.progress(output_tokens, bytes);
}

Task<Status> Booking::held() {
  if (!state_) co_return Status();
  Status held = co_await state_->permit.held(now() + kPatience);
  if (!held) co_return fail(books_error(held.error()));
  co_return held;
}

Status Booking::settle(const maas::Took& took, maas::Outcome outcome) {
  MILL_CHECK(state_);
  Result<maas::Bill> bill = state_->permit.settle(took, outcome);
  if (!bill) {
    log_error("a charge was not booked").add("receipt", id()).add("error", bill.error().message);
    return fail(books_error(bill.error()));
  }
  if (bill->corrected) {
    log_warn("a count of tokens could not be true and was corrected").add("receipt", id());
  }
  state_->bill = *bill;
  return {};
}

Task<Status> Booking::settled() {
  if (!state_) co_return Status();
  Status settled = co_await state_->permit.settled(state_->bill, now() + kPatience);
  if (!settled) co_return fail(books_error(settled.error()));
  co_return settled;
}

tl::expected<Booking, maas::Denial> book(Booking::Terms terms, const std::string& model,
                                         bool stream, const work::Load& line) {
  const int64_t first = std::min(terms.most_output, Booking::kFirstHold);
  auto permit = terms.office->till().admit(maas::Office::patron(terms.caller),
                                           {.model = model,
                                            .prompt_tokens = terms.prompt_tokens,
                                            .output_tokens = first,
                                            .computed_tokens = terms.prompt_tokens,
                                            .stream = stream,
                                            .in_line = line.running + line.waiting,
                                            .places = line.places});
  if (!permit) return tl::unexpected(std::move(permit).error());
  return Booking(std::move(terms), std::move(*permit), first);
}

void append_rate_headers(std::vector<net::Header>& headers, const maas::RateViews& rates) {
  const auto add = [&](const std::optional<maas::RateView>& view, const std::string& of) {
    if (!view) return;
    headers.push_back({"x-ratelimit-limit-" + of, std::to_string(view->limit)});
    headers.push_back({"x-ratelimit-remaining-" + of, std::to_string(view->remaining)});
    headers.push_back({"x-ratelimit-reset-" + of, maas::go_duration(view->reset)});
  };
  add(rates.requests, "requests");
  add(rates.tokens, "tokens");
}

net::HttpReply denial_reply(const maas::Denial& denial, double drain_seconds) {
  using Kind = maas::Denial::Kind;
  if (denial.kind == Kind::kNoPrice) return error_reply(denial.error);
  if (denial.kind == Kind::kBooks) return error_reply(books_error(denial.error));
  if (denial.kind == Kind::kBusy) {
    net::HttpReply reply =
        wire_reply({429, "requests", "rate_limit_exceeded"}, denial.error.message);
    reply.headers.push_back({"Retry-After", std::to_string(retry_after(drain_seconds))});
    reply.headers.push_back({"x-should-retry", "true"});
    return reply;
  }
  const bool quota = denial.kind == Kind::kCredit || denial.limit->exhausted;
  WireError wire{429, "requests", "rate_limit_exceeded"};
  if (quota) {
    wire.type = wire.code = "insufficient_quota";
  } else if (denial.limit->meter == maas::Meter::kInputTokensPerMinute ||
             denial.limit->meter == maas::Meter::kUncachedTokensPerMinute ||
             denial.limit->meter == maas::Meter::kOutputTokensPerMinute) {
    wire.type = "tokens";
  }
  net::HttpReply reply = wire_reply(wire, denial.error.message);
  if (denial.limit) {
    const Duration wait = denial.limit->retry_after;
    reply.headers.push_back({"retry-after-ms", milliseconds(wait)});
    reply.headers.push_back({"Retry-After", std::to_string(retry_after(to_seconds(wait)))});
  }
  reply.headers.push_back({"x-should-retry", quota ? "false" : "true"});
  append_rate_headers(reply.headers, denial.rates);
  return reply;
}

}  // namespace mill::gateway
