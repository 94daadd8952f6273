// How the attention of a batch is cut into items, and which member of a team takes which.
#pragma once

#include <algorithm>
#include <utility>

#include "tensor/cpu/kernels.h"

namespace mill::tensor {

// Query rows [first, first + rows) of a slice on heads [first_head, last_head).
struct AttentionItem {
  const Slice* slice = nullptr;
  int64_t first = 0;
  int64_t rows = 0;
  int64_t first_head = 0;
  int64_t last_head = 0;
};

class AttentionSplit {
 public:
  // prompts_apart: slices of prompts go by Kernels::attend_prompt.
  AttentionSplit(const AttentionCall& call, int members, bool prompts_apart = false)
      : call_(call), prompts_apart_(prompts_apart) {
    const HeadShape& shape = call.shape;
    const int64_t ratio = shape.heads / shape.kv_heads;
    rows_ = std::clamp<int64_t>(kMostQueries / ratio, 1, 16);
    prompt_rows_ = std::clamp<int64_t>(kMostPromptQueries / ratio, 1, kMostPromptRows);
    // Many rows share the work of widening; but there is to be work for all.
    while (prompt_rows_ > rows_ && tiles() * shape.kv_heads < kFewest * members) {
      prompt_rows_ = std::max(prompt_rows_ / 2, rows_);
    }
    // The heads of one KV head read its keys and values together; fewer, where that would leave
    // members without work; all, where a group of 32 codes would span two items.
    heads_ = ratio;
    while (heads_ > 1 && tiles() * ((shape.heads + heads_ - 1) / heads_) < members) {
      heads_ = (heads_ + 1) / 2;
      if (ratio % heads_ != 0) heads_ = 1;
    }
    if (call.out.codes && heads_ * shape.head_dim % kGroup != 0) heads_ = ratio;
    if (call.out.codes && heads_ * shape.head_dim % kGroup != 0) heads_ = shape.heads;
    // All heads of a row come quickest from memory; with enough rows for all members, each is an
    // item.
    constexpr int64_t kEnough = 4;  // for each member
    row_heads_ = tiles() >= kEnough * members ? shape.heads : heads_;
  }

  int64_t rows() const {  // of an item, at most
    int64_t most = 0;
    for (const Slice& slice : call_.slices) most = std::max(most, rows_of(slice));
    return most;
  }

  // Calls visit(item, next) for the items of this member; `next` is the begin of what it visits
  // then, or null. Of many, each member takes the next as it comes for them; of few, the parts cost
  // about the same. What a member has of the same rows on neighbouring heads is one item.
  template <class Visit>
  void visit(Team& team, const Visit& visit) const {
    constexpr int64_t kMany = 8;  // for each member
    int64_t count = 0;
    int64_t total = 0;
    each([&](const AttentionItem& item) { ++count, total += cost(item); });
    if (count >= kMany * team.size()) return visit_claimed(team, total, visit);
    Joined joined(visit);
    visit_likely(team, [&](const AttentionItem& item) { joined.add(item); });
    joined.flush();
  }

  // Calls visit(item) for the items that this member is likely to get.
  template <class Visit>
  void visit_likely(const Team& team, const Visit& visit) const {
    int64_t total = 0;
    each([&](const AttentionItem& item) { total += cost(item); });
    int64_t before = 0;
    each([&](const AttentionItem& item) {
      const int64_t middle = before + cost(item) / 2;
      before += cost(item);
      if (std::min<int64_t>(middle * team.size() / total, team.size() - 1) == team.index()) {
        visit(item);
      }
    });
  }

 private:
  template <class Visit>
  class Joined {
   public:
    explicit Joined(const Visit& visit) : visit_(visit) {}
    void add(const AttentionItem& item) {
      if (item.slice == item_.slice && item.first == item_.first &&
          item.first_head == item_.last_head) {
        item_.last_head = item.last_head;
        return;
      }
      if (item_.slice) visit_(item_, &item);
      item_ = item;
    }
    void flush() {
      if (item_.slice) visit_(item_, static_cast<const AttentionItem*>(nullptr));
      item_ = {};
    }

   private:
    const Visit& visit_;
    AttentionItem item_;
  };

  // What is claimed is parts of the costs: an item goes to whom its begin belongs to. By their
  // number, a member would take all heads of a long prompt at once, and the others the short ones.
  template <class Visit>
  void visit_claimed(Team& team, int64_t total, const Visit& visit) const {
    constexpr int64_t kParts = 1024;
    Team::Claims claims = team.claims(kParts);
    std::pair<int64_t, int64_t> mine = claims.next();
    Joined joined(visit);
    // Claims go up until the member helps another one, whose items may lie before its own.
    while (mine.first != mine.second) {
      int64_t before = 0;
      bool again = false;
      each([&](const AttentionItem& item) {
        const int64_t part = before * kParts / total;
        before += cost(item);
        while (!again && mine.first != mine.second && part >= mine.second) {
          const int64_t reached = mine.second;
          mine = claims.next();
          again = mine.first < reached;
        }
        if (!again && part >= mine.first && part < mine.second) joined.add(item);
      });
      if (!again && mine.first != mine.second) mine = claims.next();
    }
    joined.flush();
  }

  template <class Visit>
  void each(const Visit& visit) const {
    for (const Slice& slice : call_.slices) {
      const int64_t most = rows_of(slice);
      for (int64_t first = 0; first < slice.rows; first += most) {
        const int64_t rows = std::min(most, slice.rows - first);
        const int64_t heads = slice.rows == 1 ? row_heads_ : heads_;
        for (int64_t head = 0; head < call_.shape.heads; head += heads) {
          visit({&slice, first, rows, head, std::min<int64_t>(head + heads, call_.shape.heads)});
        }
      }
    }
  }

  // Of an item of a slice, at most. Those of a prompt have about as many each.
  int64_t rows_of(const Slice& slice) const {
    if (!prompts_apart_ || !slice.of_prompt) return rows_;
    const int64_t parts = std::max<int64_t>((slice.rows + prompt_rows_ - 1) / prompt_rows_, 1);
    return (slice.rows + parts - 1) / parts;
  }
  int64_t tiles() const {
    int64_t count = 0;
    for (const Slice& slice : call_.slices) {
      count += (slice.rows + rows_of(slice) - 1) / rows_of(slice);
    }
    return count;
  }

  // Reading a block of one KV head costs about as much as two queries on it.
  int64_t cost(const AttentionItem& item) const {
    const int64_t last = item.slice->position + item.first + item.rows;
    const int64_t reach = call_.window > 0 ? std::min(call_.window + item.rows, last) : last;
    const int64_t heads = item.last_head - item.first_head;
    const int64_t ratio = call_.shape.heads / call_.shape.kv_heads;
    const int64_t kv_heads = (heads + ratio - 1) / ratio;
    return (reach / kBlockTokens + 1) * (item.rows * heads + 2 * kv_heads);
  }

  static constexpr int64_t kMostPromptRows = 128;
  static constexpr int64_t kFewest = 4;  // items of each member

  const AttentionCall& call_;
  const bool prompts_apart_;
  int64_t rows_ = 0;         // of an item, at most
  int64_t prompt_rows_ = 0;  // likewise, of a prompt
  int64_t heads_ = 0;
  int64_t row_heads_ = 0;  // of slices of one row
};

}  // namespace mill::tensor
