#include "gateway/kept_answers.h"

#include <algorithm>
#include <utility>

#include "ledger/entry.h"

namespace mill::gateway {
namespace {

constexpr size_t kOverhead = 256;  // of an entry, about

size_t weight(const std::string& name, const KeptAnswer& answer) {
  return 2 * name.size() + answer.body.size() + answer.content_type.size() + kOverhead;
}

}  // namespace

void KeptAnswers::Turn::keep(KeptAnswer answer) {
  if (KeptAnswers* store = std::exchange(store_, nullptr)) store->store(name_, std::move(answer));
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
  while (!order_.empty() && now - order_.front().second > options_.keep) forget_oldest();
  const auto [found, is_new] = entries_.try_emplace(name);
  if (is_new) {
    found->second = {.request = digest, .since = now};
    return Found(Turn(this, std::move(name)));
  }
  if (found->second.request != digest)
    return Refusal{422, "this Idempotency-Key was used for another request"};
  if (!found->second.answer)
    return Refusal{409, "the first request with this Idempotency-Key is still running"};
  return Found(found->second.answer);
}

void KeptAnswers::release(const std::string& name) {
  const std::lock_guard lock(mutex_);
  entries_.erase(name);
}

void KeptAnswers::store(const std::string& name, KeptAnswer answer) {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(name);
  if (found == entries_.end()) return;
  const size_t size = weight(name, answer);
  if (answer.body.size() > kLongestAnswer || size > options_.bytes) {
    entries_.erase(found);
    return;
  }
  while (bytes_ + size > options_.bytes) forget_oldest();
  found->second.answer = std::make_shared<const KeptAnswer>(std::move(answer));
  bytes_ += size;
  order_.emplace_back(name, found->second.since);
}

void KeptAnswers::forget_oldest() {
  const auto found = entries_.find(order_.front().first);
  bytes_ -= weight(found->first, *found->second.answer);
  entries_.erase(found);
  order_.pop_front();
}

size_t KeptAnswers::bytes() const {
  const std::lock_guard lock(mutex_);
  return bytes_;
}

}  // namespace mill::gateway
