#include "engine/ngram_drafter.h"

#include <algorithm>
#include <bit>

#include "base/check.h"

namespace mill::engine {
namespace {

constexpr int64_t kGram = 3;
constexpr int64_t kSureMatch = 12;  // so long a quotation is followed even during a pause

}  // namespace

NgramDrafter::NgramDrafter(const NgramOptions& options)
    : options_(options), heads_(256, -1), reach_(options.first_draft) {
  MILL_CHECK(options.least_match >= kGram && options.longest_match >= options.least_match);
  MILL_CHECK(options.candidates >= 1 && options.first_draft >= 1 && options.most_paused >= 0);
}

// Of the three tokens that end at `end` (exclusive).
size_t NgramDrafter::slot(std::span<const TokenId> tokens, int64_t end) const {
  uint64_t hash = 0;
  for (int64_t i = end - kGram; i < end; ++i) {
    hash = (hash ^ static_cast<uint32_t>(tokens[static_cast<size_t>(i)])) * 0x9E3779B97F4A7C15ULL;
    hash ^= hash >> 29;
  }
  return static_cast<size_t>(hash) & (heads_.size() - 1);
}

// Enters all places but the last: what stands there is what is looked for.
void NgramDrafter::index(std::span<const TokenId> tokens) {
  const size_t places = tokens.size();  // place p: the three tokens before tokens[p]
  if (places > heads_.size() / 2) {
    heads_.assign(std::bit_ceil(places * 4), -1);
    previous_.clear();
  }
  previous_.reserve(places);
  while (previous_.size() < places) {
    const auto end = static_cast<int64_t>(previous_.size());
    if (end < kGram) {
      previous_.push_back(-1);
      continue;
    }
    int32_t& head = heads_[slot(tokens, end)];
    previous_.push_back(head);
    head = static_cast<int32_t>(end);
  }
}

NgramDrafter::Match NgramDrafter::longest(std::span<const TokenId> tokens) const {
  const auto size = static_cast<int64_t>(tokens.size());
  Match best;
  int32_t place = heads_[slot(tokens, size)];
  for (int32_t looks = 0; place >= 0 && looks < options_.candidates; ++looks) {
    const int64_t most = std::min<int64_t>(options_.longest_match, place);
    int64_t length = 0;
    while (length < most && tokens[static_cast<size_t>(place - 1 - length)] ==
                                tokens[static_cast<size_t>(size - 1 - length)]) {
      ++length;
    }
    if (length > best.length) best = {.next = place, .length = length};
    if (length >= options_.longest_match) break;
    place = previous_[static_cast<size_t>(place)];
  }
  return best;
}

void NgramDrafter::propose(std::span<const TokenId> tokens, int64_t most,
                           std::vector<TokenId>& draft) {
  draft.clear();
  const auto size = static_cast<int64_t>(tokens.size());
  if (size <= kGram || most <= 0) return;
  index(tokens);
  const Match match = longest(tokens);
  if (match.length < options_.least_match) return;
  const bool sure = match.length >= kSureMatch;
  if (pause_ > 0 && !sure) {
    --pause_;
    return;
  }
  const auto wanted = static_cast<int64_t>(sure ? std::max(reach_, 8.0) : reach_);
  const int64_t count = std::min(most, wanted);
  // What followed may run into the end of the text: there it goes on with itself, as a text that
  // repeats does.
  for (int64_t i = 0; i < count; ++i) {
    const int64_t at = match.next + i;
    draft.push_back(at < size ? tokens[static_cast<size_t>(at)]
                              : draft[static_cast<size_t>(at - size)]);
  }
}

void NgramDrafter::learn(int64_t computed, int64_t accepted) {
  MILL_CHECK(0 <= accepted && accepted <= computed);
  if (computed == 0) return;
  if (accepted == computed) {
    reach_ = std::min(reach_ * 2, 64.0);
  } else {
    reach_ = std::max(1.0, 0.5 * (reach_ + static_cast<double>(accepted) + 1));
  }
  failures_ = accepted == 0 ? failures_ + 1 : 0;
  pause_ = failures_ < 2 ? 0 : std::min(options_.most_paused, 1 << std::min(failures_ - 1, 20));
}

}  // namespace mill::engine
