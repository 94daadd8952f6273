#include "gateway/kept_answers.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "ledger/bytes.h"
#include "ledger/entry.h"

namespace mill::gateway {
namespace {

constexpr size_t kOverhead = 256;      // of an entry, about
constexpr uint8_t kFormat = 1;         // of a keepsake's bytes
constexpr size_t kLongestText = 1024;  // of a receipt or a content type

size_t weight(const std::string& name, const KeptAnswer& answer) {
  return 2 * name.size() + answer.body.size() + answer.content_type.size() + kOverhead;
}

}  // namespace

void KeptAnswers::Turn::append(std::string_view bytes) {
  answer_.too_long = answer_.too_long || answer_.body.size() + bytes.size() > kLongestAnswer;
  if (answer_.too_long)
    answer_.body = {};
  else
    answer_.body += bytes;
}

std::shared_ptr<const ledger::Keepsake> KeptAnswers::Turn::seal(std::string receipt) {
  answer_.receipt = std::move(receipt);
  return store_->pack(name_, answer_);
}

void KeptAnswers::Turn::keep(int64_t seq, Instant now) {
  answer_.seq = seq;
  if (KeptAnswers* store = std::exchange(store_, nullptr))
    store->store(name_, std::move(answer_), now);
}

std::variant<KeptAnswers::Found, KeptAnswers::Refusal> KeptAnswers::begin(uint64_t owner,
                                                                          std::string_view key,
                                                                          std::string_view path,
                                                                          std::string_view body,
                                                                          Instant now) {
  const bool clean =
      !key.empty() && key.size() <= kLongestKey &&
      std::all_of(key.begin(), key.end(), [](char c) { return c > 0x20 && c < 0x7F; });
  if (!clean)
    return Refusal{400, "Idempotency-Key must be 1 to 255 printable characters without spaces"};
  std::string request = std::to_string(path.size()) + ':';
  request.append(path).append(body);
  const Digest digest = ledger::sha256(request);
  std::string name = std::to_string(owner) + ':';
  name.append(key);
  const std::lock_guard lock(mutex_);
  forget_old(now);
  const auto [found, is_new] = entries_.try_emplace(name);
  if (is_new) {
    found->second = {.request = digest};
    return Found(Turn(this, std::move(name)));
  }
  if (found->second.request != digest)
    return Refusal{422, "this Idempotency-Key was used for another request"};
  const std::shared_ptr<const KeptAnswer>& answer = found->second.answer;
  if (!answer) return Refusal{409, "the first request with this Idempotency-Key is still running"};
  if (answer->too_long) {
    return Refusal{410, fmt::format("this Idempotency-Key was answered and charged (receipt {}), "
                                    "and the answer was too long to be kept: use a new key",
                                    answer->receipt)};
  }
  return Found(answer);
}

void KeptAnswers::release(const std::string& name) {
  const std::lock_guard lock(mutex_);
  entries_.erase(name);
}

std::shared_ptr<const ledger::Keepsake> KeptAnswers::pack(const std::string& name,
                                                          const KeptAnswer& answer) {
  ledger::Keepsake keepsake{.name = name};
  ledger::ByteWriter out(keepsake.bytes);
  const std::lock_guard lock(mutex_);
  out.byte(kFormat);
  out.raw(entries_.at(name).request.data(), sizeof(Digest));
  out.text(answer.receipt);
  out.text(answer.content_type);
  out.byte(answer.too_long ? 1 : 0);
  out.text(answer.body);
  keepsake.forget_through = forgotten_seq_;
  return std::make_shared<const ledger::Keepsake>(std::move(keepsake));
}

Status KeptAnswers::unpack(int64_t seq, Instant since, const ledger::Keepsake& keepsake) {
  ledger::ByteReader in(keepsake.bytes);
  KeptAnswer answer{.seq = seq};
  Entry entry;
  const uint8_t format = in.byte();
  in.raw(entry.request.data(), sizeof(Digest));
  answer.receipt = in.text(kLongestText);
  answer.content_type = in.text(kLongestText);
  answer.too_long = in.byte() != 0;
  answer.body = in.text(kLongestAnswer);
  if (format != kFormat || !in.at_end()) {
    return fail(Code::kCorrupt,
                fmt::format("what is kept beside entry {} of the journal is no answer", seq));
  }
  const std::lock_guard lock(mutex_);
  Entry& place = entries_[keepsake.name];
  if (place.answer) {  // an older one under the same key, from before it was free again
    bytes_ -= weight(keepsake.name, *place.answer);
    order_.erase(place.answer->seq);
  }
  place = std::move(entry);
  put(place, keepsake.name, std::move(answer), since);
  return {};
}

Status KeptAnswers::load(ledger::Book& book, int64_t unix_ns, Instant now) {
  return book.keepsakes(
      [&](int64_t seq, int64_t at_ns, const ledger::Keepsake& keepsake) -> Status {
        const auto age = std::chrono::nanoseconds(std::max<int64_t>(unix_ns - at_ns, 0));
        if (age > options_.keep) {
          const std::lock_guard lock(mutex_);
          forgotten_seq_ = std::max(forgotten_seq_, seq);
          return {};
        }
        return unpack(seq, now - age, keepsake);
      });
}

void KeptAnswers::store(const std::string& name, KeptAnswer answer, Instant now) {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(name);
  if (found != entries_.end()) put(found->second, name, std::move(answer), now);
}

void KeptAnswers::put(Entry& entry, const std::string& name, KeptAnswer answer, Instant since) {
  const int64_t seq = answer.seq;
  bytes_ += weight(name, answer);
  entry.answer = std::make_shared<const KeptAnswer>(std::move(answer));
  entry.since = since;
  order_.emplace(seq, name);
  while (bytes_ > options_.bytes) forget_oldest();
}

void KeptAnswers::forget_old(Instant now) {
  while (!order_.empty()) {
    if (now - entries_.at(order_.begin()->second).since <= options_.keep) return;
    forget_oldest();
  }
}

void KeptAnswers::forget_oldest() {
  const auto oldest = order_.begin();
  const auto found = entries_.find(oldest->second);
  bytes_ -= weight(found->first, *found->second.answer);
  forgotten_seq_ = std::max(forgotten_seq_, oldest->first);
  entries_.erase(found);
  order_.erase(oldest);
}

size_t KeptAnswers::bytes() const {
  const std::lock_guard lock(mutex_);
  return bytes_;
}

}  // namespace mill::gateway
