// A priority queue for things that mostly come in order: the lowest rank first, of equal ranks the
// lowest place in the text.
//
// What has one rank mostly comes from left to right, so it waits in a list of its own and costs no
// sorting, however long a line of dashes or a page of spaces is. What comes out of order, or has a
// rank too many, waits in a heap. So n items of few ranks take O(n), and any others O(n log n).
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <utility>
#include <vector>

namespace mill::text {

// Place: an unsigned integer. More: what an item carries along.
template <class Place, class More>
class OrderedQueue {
 public:
  struct Item {
    uint32_t rank;
    Place place;
    More more;
  };

  void clear() {
    slots_.fill(0);
    lists_.clear();
    waiting_.clear();
    free_ = kNone;
    active_.clear();
    heap_.clear();
  }

  void reserve(size_t items) { waiting_.reserve(items); }

  void push(const Item& item) {
    if (lists_.empty()) {
      lists_.reserve(kUsual);
      waiting_.reserve(kUsual);
      active_.reserve(kUsual);
    }
    List* const list = list_of(item.rank);
    const bool in_order = list && (list->head == kNone || item.place >= list->last);
    if (!in_order) {
      heap_.push_back(item);
      std::push_heap(heap_.begin(), heap_.end(), later);
      return;
    }
    const uint32_t added = wait({item.place, item.more, kNone});
    list->last = item.place;
    if (list->head != kNone) {
      waiting_[list->tail].next = added;
    } else {
      list->head = added;
      active_.push_back(static_cast<uint8_t>(list - lists_.data()));
      std::push_heap(active_.begin(), active_.end(), LaterList{lists_});
    }
    list->tail = added;
  }

  // False when it is empty.
  bool pop(Item& next) {
    if (active_.empty() && heap_.empty()) return false;
    const bool from_list = !active_.empty() && (heap_.empty() || !later(front(), heap_.front()));
    if (!from_list) {
      std::pop_heap(heap_.begin(), heap_.end(), later);
      next = heap_.back();
      heap_.pop_back();
      return true;
    }
    next = front();
    List& list = lists_[active_.front()];
    const uint32_t gone = list.head;
    list.head = std::exchange(waiting_[gone].next, free_);
    free_ = gone;
    if (list.head == kNone) {
      std::pop_heap(active_.begin(), active_.end(), LaterList{lists_});
      active_.pop_back();
    }
    return true;
  }

 private:
  static constexpr uint32_t kNone = UINT32_MAX;
  static constexpr size_t kUsual = 8;  // items of a short text: room for them is taken at once
  static constexpr size_t kMostLists = 128;  // of 256 slots: looking one up stays short

  struct List {
    uint32_t rank, head, tail;
    Place last;  // of tail
  };
  struct Waiting {
    Place place;
    More more;
    uint32_t next;
  };
  struct LaterList {
    const std::vector<List>& lists;
    bool operator()(uint8_t a, uint8_t b) const { return lists[a].rank > lists[b].rank; }
  };

  static bool later(const Item& a, const Item& b) {
    return a.rank != b.rank ? a.rank > b.rank : a.place > b.place;
  }

  // The place that was left last is taken first: whoever goes through a text stays in the cache.
  uint32_t wait(const Waiting& item) {
    if (free_ == kNone) {
      waiting_.push_back(item);
      return static_cast<uint32_t>(waiting_.size() - 1);
    }
    const uint32_t taken = free_;
    free_ = waiting_[taken].next;
    waiting_[taken] = item;
    return taken;
  }

  Item front() const {
    const List& list = lists_[active_.front()];
    const Waiting& first = waiting_[list.head];
    return {list.rank, first.place, first.more};
  }

  // Null where there are lists enough of other ranks.
  List* list_of(uint32_t rank) {
    for (uint8_t slot = static_cast<uint8_t>((rank * 0x9E3779B9u) >> 24);; ++slot) {
      uint8_t& known = slots_[slot];
      if (known == 0) {
        if (lists_.size() == kMostLists) return nullptr;
        lists_.push_back({rank, kNone, kNone, 0});
        known = static_cast<uint8_t>(lists_.size());
        return &lists_.back();
      }
      if (lists_[known - 1u].rank == rank) return &lists_[known - 1u];
    }
  }

  std::array<uint8_t, 256> slots_{};  // the list of a rank by its hash, from 1; 0: free
  std::vector<List> lists_;
  std::vector<Waiting> waiting_;  // of all lists
  uint32_t free_ = kNone;         // the first of those in waiting_ that wait no more
  std::vector<uint8_t> active_;   // lists that are not empty, a heap by rank
  std::vector<Item> heap_;
};

}  // namespace mill::text
