// Attention of prompts by tiles of bf16, where this machine has them.
#include <limits>

#include "tensor/cpu/attention_support.h"

namespace mill::tensor {
namespace {

// Rows of prompts, where they go a way of their own.
class AttendingPrompts : public PromptsApart {
 protected:
  static std::vector<float> attend(const Backend& on, ThreadPool& pool, const World& world,
                                   std::span<const Slice> slices, const std::vector<float>& q,
                                   Variant variant = {0, 0}) {
    OwnActivations out(world.tokens, int64_t{world.shape.heads} * world.shape.head_dim, kValues);
    AttentionCall call = attention_call(world, slices, q, out.all);
    call.window = variant.window;
    call.softcap = variant.softcap;
    pool.run([&](Team& team) { on.attention(team, call); });
    return out.values;
  }
  static double rms(const std::vector<float>& a, const std::vector<float>& b) {
    double sum = 0;
    for (size_t i = 0; i < a.size(); ++i) sum += std::pow(double{a[i]} - b[i], 2);
    return std::sqrt(sum / static_cast<double>(a.size()));
  }

  static constexpr Variant kVariants[] = {{0, 0}, {7, 0}, {150, 0}, {40, 3}, {0, 20}};
  // The last has no whole tiles.
  static constexpr Shape kTileShapes[] = {{9, 3, 64}, {14, 2, 64}, {4, 1, 256}, {4, 2, 128},
                                          {6, 2, 56}, {70, 1, 64}, {4, 4, 80}};
};

// Values lie in [-1, 1]. What is rounded to bf16 is off by up to 2^-9: the values themselves; the
// weights, by up to 0.7 % with all that is done to them, and by half of that in the sum of two; and
// a query's numbers, which moves its scores (of about 1) by as much, and the weights again.
TEST_F(AttendingPrompts, IsTheReferences) {
  const std::vector<int64_t> lengths = {1, 33, 150, 5};
  ThreadPool pool(2);
  for (const Shape shape : kTileShapes) {
    for (const Variant variant : kVariants) {
      SCOPED_TRACE(testing::Message() << shape.heads << "/" << shape.kv_heads << " of "
                                      << shape.head_dim << " window " << variant.window);
      Random random(31);
      World ours(random, KvType::kI8, shape, lengths), theirs(random, KvType::kI8, shape, lengths);
      const Inputs in = make_inputs(random, ours.tokens, shape);
      const auto our_slices = whole_slices(ours, lengths, true);
      const auto their_slices = whole_slices(theirs, lengths, true);
      store_all(*backend, pool, ours, our_slices, in);
      store_all(*reference, pool, theirs, their_slices, in);
      const auto out = attend(*backend, pool, ours, our_slices, in.q, variant);
      const auto expected = attend(*reference, pool, theirs, their_slices, in.q, variant);
      for (size_t i = 0; i < expected.size(); ++i) ASSERT_NEAR(out[i], expected[i], 8e-3) << i;
      EXPECT_LT(rms(out, expected), 8e-4);
    }
  }
}

// What the cache's codes are off is several times what bf16 adds to it.
TEST_F(AttendingPrompts, IsAboutAsNearAsOtherRows) {
  const std::vector<int64_t> lengths = {600};
  ThreadPool pool(2);
  for (const Shape shape : {Shape{9, 3, 64}, {4, 1, 256}, {14, 2, 64}}) {
    for (const float size : {1.0F, 4.0F}) {  // of the queries: how unequal the weights are
      std::vector<float> outs[3];            // of the truth, of other rows, of a prompt's
      for (int i = 0; i < 3; ++i) {
        Random random(32);
        World world(random, i == 0 ? KvType::kF32 : KvType::kI8, shape, lengths);
        Inputs in = make_inputs(random, world.tokens, shape);
        for (float& q : in.q) q *= size;
        const auto slices = whole_slices(world, lengths, i == 2);
        const Backend& on = i == 0 ? *reference : *backend;
        store_all(on, pool, world, slices, in);
        outs[i] = attend(on, pool, world, slices, in.q);
      }
      const double other = rms(outs[1], outs[0]), prompt = rms(outs[2], outs[0]);
      EXPECT_LT(prompt, 1.3 * other) << shape.head_dim << ", queries of " << size;
      RecordProperty("off_" + std::to_string(shape.heads) + "_" + std::to_string(size),
                     std::to_string(other) + " " + std::to_string(prompt));
    }
  }
}

// The same bits in any chunks, on any number of threads, beside any others. Keys grow along the
// sequence, so that the highest scores so far are passed again and again.
TEST_F(AttendingPrompts, OfARowIsTheSameBitsInAnyChunks) {
  const std::vector<int64_t> lengths = {290, 34};
  for (const Shape shape : kTileShapes) {
    for (const Variant variant : kVariants) {
      SCOPED_TRACE(testing::Message() << shape.heads << "/" << shape.kv_heads << " of "
                                      << shape.head_dim << " window " << variant.window);
      Random random(33);
      World world(random, KvType::kI8, shape, lengths);
      Inputs in = make_inputs(random, world.tokens, shape);
      const int64_t width = int64_t{shape.kv_heads} * shape.head_dim;
      for (size_t i = 0; i < in.k.size(); ++i) {
        in.k[i] *= static_cast<float>(static_cast<int64_t>(i) / width) / 20;
      }
      const auto whole = whole_slices(world, lengths, true);
      ThreadPool alone(1);
      store_all(*backend, alone, world, whole, in);
      const auto in_chunks = [&](const auto& size) {
        OwnActivations out(world.tokens, int64_t{shape.heads} * shape.head_dim, kValues);
        for (const Slice& slice : whole) {
          for (int64_t i = 0; i < slice.rows;) {
            const int64_t rows = std::min<int64_t>(size(), slice.rows - i);
            const Slice chunk{slice.first_row + i, rows, slice.position + i, slice.blocks, true};
            AttentionCall call = attention_call(world, {&chunk, 1}, in.q, out.all);
            call.window = variant.window;
            call.softcap = variant.softcap;
            alone.run([&](Team& team) { backend->attention(team, call); });
            i += rows;
          }
        }
        return out.values;
      };
      const std::vector<float> single = in_chunks([] { return 1; });
      const auto same = [&](const std::vector<float>& other) {
        return std::memcmp(other.data(), single.data(), single.size() * 4) == 0;
      };
      for (const float value : single) ASSERT_TRUE(std::isfinite(value));
      ASSERT_TRUE(same(in_chunks([] { return 5; })));
      ASSERT_TRUE(same(in_chunks([&] { return integer(random, 1, 150); })));
      for (const int threads : {1, 2, 5}) {
        ThreadPool pool(threads);
        ASSERT_TRUE(same(attend(*backend, pool, world, whole, in.q, variant))) << threads;
      }
    }
  }
}

// Rows that are no prompt's, in the same call, keep their own bits.
TEST_F(AttendingPrompts, LeavesRowsOfAnswersAsTheyAre) {
  const std::vector<int64_t> lengths = {75, 130};
  const Shape shape{9, 3, 64};
  Random random(34);
  ThreadPool pool(2);
  World world(random, KvType::kI8, shape, lengths);
  const Inputs in = make_inputs(random, world.tokens, shape);
  auto slices = whole_slices(world, lengths);
  store_all(*backend, pool, world, slices, in);
  const auto answers = attend(*backend, pool, world, slices, in.q);
  slices[1].of_prompt = true;
  const auto mixed = attend(*backend, pool, world, slices, in.q);
  slices[0].of_prompt = true;
  const auto prompts = attend(*backend, pool, world, slices, in.q);
  const size_t border = 75 * 9 * 64;
  EXPECT_EQ(std::memcmp(mixed.data(), answers.data(), border * 4), 0);
  EXPECT_EQ(
      std::memcmp(mixed.data() + border, prompts.data() + border, (mixed.size() - border) * 4), 0);
  EXPECT_NE(std::memcmp(mixed.data(), prompts.data(), border * 4), 0);
}

// A value that is none shows in the rows that see it, and in no others.
TEST_F(AttendingPrompts, NotANumberShowsWhereItIsSeen) {
  const std::vector<int64_t> lengths = {200};
  const Shape shape{2, 1, 64};
  ThreadPool pool(1);
  for (int broken = 0; broken < 3; ++broken) {
    Random random(35);
    World world(random, KvType::kI8, shape, lengths);
    Inputs in = make_inputs(random, world.tokens, shape);
    (broken == 0   ? in.q[140 * 128 + 5]
     : broken == 1 ? in.k[140 * 64 + 5]
                   : in.v[140 * 64 + 5]) = std::numeric_limits<float>::quiet_NaN();
    const auto slices = whole_slices(world, lengths, true);
    store_all(*backend, pool, world, slices, in);
    const auto out = attend(*backend, pool, world, slices, in.q, {30, 0});
    for (int64_t row = 0; row < 200; ++row) {
      const bool sees = broken == 0 ? row == 140 : row >= 140 && row < 170;
      for (int64_t d = 0; d < (broken == 0 ? 64 : 128); ++d) {
        ASSERT_EQ(std::isnan(out[static_cast<size_t>(row * 128 + d)]), sees) << row << " " << d;
      }
    }
  }
}

// Scores beyond all that an exponent of the weights holds: the highest decides.
TEST_F(AttendingPrompts, HugeScoresChooseTheirValue) {
  const std::vector<int64_t> lengths = {300};
  const Shape shape{16, 1, 64};
  ThreadPool pool(1);
  for (const float size : {1e2F, 1e4F, 1e6F}) {
    Random random(36);
    World ours(random, KvType::kI8, shape, lengths), theirs(random, KvType::kI8, shape, lengths);
    Inputs in = make_inputs(random, ours.tokens, shape);
    // One number of a head is that of all keys: their scores are far apart, and exact.
    for (size_t row = 0; row < 300; ++row) {
      for (size_t d = 0; d < 64; ++d) in.k[row * 64 + d] = d == 0 ? std::sin(float(row)) * size : 0;
    }
    const auto our_slices = whole_slices(ours, lengths, true);
    const auto their_slices = whole_slices(theirs, lengths, true);
    store_all(*backend, pool, ours, our_slices, in);
    store_all(*reference, pool, theirs, their_slices, in);
    const auto out = attend(*backend, pool, ours, our_slices, in.q);
    const auto expected = attend(*reference, pool, theirs, their_slices, in.q);
    int off = 0;
    for (size_t i = 0; i < out.size(); ++i) {
      ASSERT_TRUE(std::isfinite(out[i]));
      off += std::abs(out[i] - expected[i]) > 0.02;
    }
    // Where two scores are nearer to each other than queries are rounded.
    EXPECT_LT(off, static_cast<int>(out.size()) / 20) << size;
  }
}

}  // namespace
}  // namespace mill::tensor
