#include "tensor/cpu/attention_split.h"

#include <gtest/gtest.h>

#include <mutex>
#include <optional>
#include <vector>

#include "tensor/thread_pool.h"

namespace mill::tensor {
namespace {

// Slices as (rows, position).
std::vector<Slice> slices_of(const std::vector<std::pair<int64_t, int64_t>>& sizes, bool prompts) {
  std::vector<Slice> made;
  int64_t row = 0;
  for (const auto& [rows, position] : sizes) {
    made.push_back(
        {.first_row = row, .rows = rows, .position = position, .of_prompt = prompts && rows > 1});
    row += rows;
  }
  return made;
}

// How often each head of each row is visited by a team.
std::vector<int> visits(const std::vector<Slice>& slices, HeadShape shape, int64_t window,
                        int members) {
  int64_t rows = 0;
  for (const Slice& slice : slices) rows += slice.rows;
  std::vector<int> seen(static_cast<size_t>(rows * shape.heads));
  std::mutex one_at_a_time;
  ThreadPool pool(members);
  pool.run([&](Team& team) {
    const AttentionCall call{.shape = shape, .slices = slices, .window = window};
    const AttentionSplit split(call, team.size(), true);
    for (int again = 0; again < 3; ++again) {  // a round of claims follows the one before
      std::optional<AttentionItem> said;
      split.visit(team, [&](const AttentionItem& item, const AttentionItem* next) {
        EXPECT_LE(item.rows, split.rows());
        const std::lock_guard lock(one_at_a_time);
        if (said) {
          EXPECT_EQ(item.slice, said->slice);
          EXPECT_EQ(item.first, said->first);
          EXPECT_EQ(item.first_head, said->first_head);
        }
        said = next ? std::optional(*next) : std::nullopt;
        for (int64_t r = item.first; r < item.first + item.rows; ++r) {
          for (int64_t h = item.first_head; h < item.last_head; ++h) {
            ++seen[static_cast<size_t>((item.slice->first_row + r) * shape.heads + h)];
          }
        }
      });
      EXPECT_FALSE(said);
    }
  });
  return seen;
}

TEST(AttentionSplit, VisitsEachHeadOfEachRowOnce) {
  std::vector<std::pair<int64_t, int64_t>> crowd(15, {1, 1200});
  std::vector<std::pair<int64_t, int64_t>> prompt_first = crowd, prompt_last = crowd;
  prompt_first.insert(prompt_first.begin(), {14, 6000});
  prompt_last.push_back({14, 6000});
  const std::vector<std::vector<std::pair<int64_t, int64_t>>> batches = {
      {{1, 0}}, {{512, 0}}, {{512, 100000}, {1, 3}}, crowd, prompt_first, prompt_last};
  for (const HeadShape shape : {HeadShape{9, 3, 64}, HeadShape{4, 1, 256}, HeadShape{16, 16, 64}}) {
    for (const auto& batch : batches) {
      for (const int64_t window : {0, 512}) {
        for (const int members : {1, 2, 3, 5}) {
          for (const bool prompts : {false, true}) {
            const std::vector<int> seen = visits(slices_of(batch, prompts), shape, window, members);
            EXPECT_EQ(std::count(seen.begin(), seen.end(), 3), static_cast<int64_t>(seen.size()))
                << shape.heads << " heads, " << batch.size() << " slices, " << members
                << " members, " << prompts;
          }
        }
      }
    }
  }
}

TEST(AttentionSplit, JoinsTheHeadsOfARow) {
  const std::vector<Slice> slices =
      slices_of(std::vector<std::pair<int64_t, int64_t>>(4, {1, 160}), false);
  ThreadPool pool(2);
  std::vector<int> items(2);
  pool.run([&](Team& team) {
    const AttentionCall call{.shape = {9, 3, 64}, .slices = slices};
    AttentionSplit(call, team.size())
        .visit(team, [&](const AttentionItem& item, const AttentionItem* /*next*/) {
          ++items[static_cast<size_t>(team.index())];
          EXPECT_EQ(item.first_head, 0);
          EXPECT_EQ(item.last_head, 9);
        });
  });
  EXPECT_EQ(items, (std::vector<int>{2, 2}));
}

}  // namespace
}  // namespace mill::tensor
