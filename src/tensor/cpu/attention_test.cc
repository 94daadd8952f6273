#include <cmath>
#include <limits>

#include "tensor/cpu/attention_support.h"

namespace mill::tensor {
namespace {

class Attending : public EachPath {};
MILL_EACH_PATH(Attending);

constexpr Shape kShapes[] = {{9, 3, 64}, {14, 2, 64},  {4, 1, 256}, {8, 4, 8}, {4, 4, 80},
                             {6, 2, 96}, {16, 2, 128}, {70, 1, 16}, {6, 2, 56}};

// Calls test(shape, type) for all of them.
template <class Test>
void each_shape_and_type(const Test& test) {
  for (const Shape shape : kShapes) {
    for (const KvType type : kAllKvTypes) {
      SCOPED_TRACE(testing::Message() << shape.heads << "/" << shape.kv_heads << " of "
                                      << shape.head_dim << " " << name(type));
      ASSERT_NO_FATAL_FAILURE(test(shape, type));
    }
  }
}

// Our attention beside the reference's, with keys and values of the same type.
void expect_the_references(const Backend& backend, const Backend& reference, Shape shape,
                           KvType type, Variant variant) {
  Random random(21);
  ThreadPool pool(2);
  const std::vector<int64_t> lengths = {1, 33, 70, 5};
  World ours(random, type, shape, lengths), theirs(random, type, shape, lengths);
  const Inputs in = make_inputs(random, ours.tokens, shape);
  const auto our_slices = whole_slices(ours, lengths);
  const auto their_slices = whole_slices(theirs, lengths);
  store_all(backend, pool, ours, our_slices, in);
  store_all(reference, pool, theirs, their_slices, in);
  const int64_t cols = int64_t{shape.heads} * shape.head_dim;
  const bool codes = cols % kGroup == 0;
  OwnActivations out(ours.tokens, cols, kValues | (codes ? kCodes : 0));
  OwnActivations only_codes(ours.tokens, cols, codes ? kCodes : kValues);
  OwnActivations expected(ours.tokens, cols, kValues);
  for (auto [where, what, to] : {std::tuple{&ours, &backend, &out},
                                 {&ours, &backend, &only_codes},
                                 {&theirs, &reference, &expected}}) {
    AttentionCall call =
        attention_call(*where, where == &ours ? our_slices : their_slices, in.q, to->all);
    call.window = variant.window;
    call.softcap = variant.softcap;
    pool.run([&, on = what](Team& team) { on->attention(team, call); });
  }
  // Values lie in [-1, 1]; scores within ±2 sqrt(head_dim), so that their roundings (head_dim of
  // them, and of the cap) reach 1e-5 in the weights. Over codes, queries and weights are rounded
  // too: half of 1 / 16256 of the largest, in each product of a sum.
  const float off = type == KvType::kI8 ? 2e-4F : 2e-5F;
  for (size_t i = 0; i < expected.values.size(); ++i) {
    ASSERT_NEAR(out.values[i], expected.values[i], off) << i;
  }
  if (!codes) return;
  ASSERT_EQ(only_codes.codes, out.codes);
  ASSERT_EQ(only_codes.scales, out.scales);
  ASSERT_EQ(only_codes.sums, out.sums);
  expect_codes_of(out.values, out);
}

TEST_P(Attending, IsTheReferences) {
  each_shape_and_type([&](Shape shape, KvType type) {
    for (const Variant variant : {Variant{0, 0}, Variant{7, 0}, Variant{40, 3}, Variant{0, 20}}) {
      SCOPED_TRACE(testing::Message() << "window " << variant.window);
      ASSERT_NO_FATAL_FAILURE(expect_the_references(*backend, *reference, shape, type, variant));
    }
  });
}

// Whether a prompt comes in one piece, in pieces or token by token, alone or with others: the same
// bits.
TEST_P(Attending, OfARowIsTheSameBitsInAnyChunks) {
  const std::vector<int64_t> lengths = {75, 34};
  each_shape_and_type([&](Shape shape, KvType type) {
    Random random(22);
    for (const Variant variant : {Variant{0, 0}, Variant{20, 0}, Variant{0, 3}}) {
      World world(random, type, shape, lengths);
      const Inputs in = make_inputs(random, world.tokens, shape);
      const int64_t cols = int64_t{shape.heads} * shape.head_dim;
      const auto whole = whole_slices(world, lengths);
      ThreadPool alone(1);
      store_all(*backend, alone, world, whole, in);
      const auto attend = [&](ThreadPool& pool, std::span<const Slice> slices,
                              const OwnActivations& out) {
        AttentionCall call = attention_call(world, slices, in.q, out.all);
        call.window = variant.window;
        call.softcap = variant.softcap;
        pool.run([&](Team& team) { backend->attention(team, call); });
      };
      const auto in_chunks = [&](int64_t most) {
        OwnActivations out(world.tokens, cols, kValues);
        for (const Slice& slice : whole) {
          for (int64_t i = 0; i < slice.rows; i += most) {
            const Slice chunk{slice.first_row + i, std::min(most, slice.rows - i),
                              slice.position + i, slice.blocks};
            attend(alone, {&chunk, 1}, out);
          }
        }
        return out.values;
      };
      const std::vector<float> single = in_chunks(1);
      ASSERT_EQ(std::memcmp(in_chunks(5).data(), single.data(), single.size() * 4), 0);
      for (const int threads : {1, 2, 3}) {
        ThreadPool pool(threads);
        OwnActivations all(world.tokens, cols, kValues);
        attend(pool, whole, all);
        ASSERT_EQ(std::memcmp(all.values.data(), single.data(), single.size() * 4), 0);
      }
    }
  });
}

// The path with tiles takes them for many queries alone, and does in f32 what its vectors do.
TEST(AttendingByTiles, GivesTheBitsOfVectors) {
  const auto names = backend_names();
  if (std::find(names.begin(), names.end(), "amx") == names.end()) {
    GTEST_SKIP() << "this machine has no tiles";
  }
  const auto tiles = std::move(*make_backend("amx"));
  const auto vectors = std::move(*make_backend("avx512"));
  const std::vector<int64_t> lengths = {75, 130};
  ThreadPool pool(2);
  for (const Shape shape : kShapes) {
    for (const Variant variant : {Variant{0, 0}, Variant{40, 0}, Variant{0, 3}}) {
      std::vector<float> outs[2];
      for (int i = 0; i < 2; ++i) {
        Random random(29);
        const Backend& backend = i == 0 ? *tiles : *vectors;
        World world(random, KvType::kI8, shape, lengths);
        const Inputs in = make_inputs(random, world.tokens, shape);
        const auto slices = whole_slices(world, lengths);
        store_all(backend, pool, world, slices, in);
        OwnActivations out(world.tokens, int64_t{shape.heads} * shape.head_dim, kValues);
        AttentionCall call = attention_call(world, slices, in.q, out.all);
        call.window = variant.window;
        call.softcap = variant.softcap;
        pool.run([&](Team& team) { backend.attention(team, call); });
        outs[i] = out.values;
      }
      ASSERT_EQ(std::memcmp(outs[0].data(), outs[1].data(), outs[0].size() * 4), 0)
          << shape.heads << "/" << shape.kv_heads << " of " << shape.head_dim;
    }
  }
}

// A vector taken off all keys moves the scores of a query alike.
TEST_P(Attending, ACenterOfTheKeysDoesNotShow) {
  Random random(27);
  const std::vector<int64_t> lengths = {75};
  ThreadPool pool(2);
  for (const Shape shape : kShapes) {
    World world(random, KvType::kF32, shape, lengths);
    const Inputs in = make_inputs(random, world.tokens, shape);
    const auto slices = whole_slices(world, lengths);
    const int64_t cols = int64_t{shape.heads} * shape.head_dim;
    const std::vector<float> center =
        uniform_values(random, int64_t{shape.kv_heads} * shape.head_dim);
    OwnActivations plain(world.tokens, cols, kValues), centered(world.tokens, cols, kValues);
    for (OwnActivations* out : {&plain, &centered}) {
      store_all(*backend, pool, world, slices, in, out == &plain ? nullptr : center.data());
      const AttentionCall call = attention_call(world, slices, in.q, out->all);
      pool.run([&](Team& team) { backend->attention(team, call); });
    }
    // As in IsTheReferences; scores are twice as large.
    for (size_t i = 0; i < plain.values.size(); ++i) {
      ASSERT_NEAR(centered.values[i], plain.values[i], 4e-5) << shape.head_dim << " " << i;
    }
  }
}

// With one dimension of a hundred times the others' size, one scale for the plain numbers would
// leave 1 / 127 of it in each of the others, which then decide nothing. The transform's largest
// number is 100 / sqrt(64) and what the others add to it (at most 8 here): half of 1 / 127 of this
// in each product of a query of up to 2 is, over 64 dimensions and with the scale of 1/8, a score's
// error of 0.06 for the root mean square, a few times that for the farthest; a weight's share is
// off by as much.
TEST_P(Attending, ALargeDimensionLeavesTheOthersTheirCodes) {
  Random random(28);
  const std::vector<int64_t> lengths = {64};
  const Shape shape{2, 1, 64};
  ThreadPool pool(1);
  Inputs in = make_inputs(random, 64, shape);
  for (size_t row = 0; row < 64; ++row) {
    in.k[row * 64 + 5] = 100;
    in.q[row * 128 + 5] = in.q[row * 128 + 64 + 5] = 0;
  }
  std::vector<float> outs[2];
  for (const KvType type : {KvType::kF32, KvType::kI8}) {
    World world(random, type, shape, lengths);
    const auto slices = whole_slices(world, lengths);
    store_all(*backend, pool, world, slices, in);
    OwnActivations out(64, 128, kValues);
    const AttentionCall call = attention_call(world, slices, in.q, out.all);
    pool.run([&](Team& team) { backend->attention(team, call); });
    outs[type == KvType::kI8] = out.values;
  }
  double off = 0, size = 0;
  for (size_t i = 0; i < outs[0].size(); ++i) {
    off += std::pow(outs[1][i] - outs[0][i], 2), size += std::pow(outs[0][i], 2);
  }
  EXPECT_LT(std::sqrt(off / size), 0.06);
}

// What prefix caching lives on: a block holds the same bytes however its tokens came, and means
// the same wherever it lies.
TEST_P(Attending, BlocksDependOnTheirTokensAloneAndCanBeCopied) {
  const std::vector<int64_t> lengths = {75};
  each_shape_and_type([&](Shape shape, KvType type) {
    Random random(25), same(25);
    World world(random, type, shape, lengths), pieces(same, type, shape, lengths);
    const Inputs in = make_inputs(random, world.tokens, shape);
    auto whole = whole_slices(world, lengths);
    ThreadPool pool(2);
    store_all(*backend, pool, world, whole, in);
    for (int64_t i = world.tokens - 1; i >= 0; --i) {
      const Slice one{i, 1, i, whole[0].blocks};
      store_all(*backend, pool, pieces, {&one, 1}, in);
    }
    ASSERT_EQ(std::memcmp(world.kv.base, pieces.kv.base, 4 * world.kv.block_bytes), 0);

    const int64_t cols = int64_t{shape.heads} * shape.head_dim;
    OwnActivations before(world.tokens, cols, kValues), after(world.tokens, cols, kValues);
    const auto attend = [&](const OwnActivations& out) {
      const AttentionCall call = attention_call(world, whole, in.q, out.all);
      pool.run([&](Team& team) { backend->attention(team, call); });
    };
    attend(before);
    std::vector<int32_t> moved = world.blocks[0];  // block 0 is free
    const auto bytes = [&](int32_t id) {
      return world.kv.base + static_cast<size_t>(id) * world.kv.block_bytes;
    };
    std::memcpy(bytes(0), bytes(moved[1]), world.kv.block_bytes);
    std::memset(bytes(moved[1]), 0x7f, world.kv.block_bytes);
    moved[1] = 0;
    whole[0].blocks = moved;
    attend(after);
    ASSERT_EQ(after.values, before.values);
  });
}

TEST_P(Attending, PreparesHeadsAsTheReference) {
  Random random(23);
  const std::vector<int64_t> lengths = {3, 40};
  for (const int threads : {1, 3}) {
    ThreadPool pool(threads);
    for (const Shape shape : kShapes) {
      for (int variant = 0; variant < 32; ++variant) {
        const bool half_split = variant & 1, norms = variant & 2, partial = variant & 4;
        const bool factors = variant & 8, center = variant & 16;
        SCOPED_TRACE(testing::Message() << shape.heads << "/" << shape.kv_heads << " of "
                                        << shape.head_dim << " variant " << variant);
        World ours(random, KvType::kF16, shape, lengths);
        World theirs(random, KvType::kF16, shape, lengths);
        const int64_t rows = ours.tokens;
        const int32_t dims = partial ? shape.head_dim / 2 : shape.head_dim;
        const std::vector<float> angles = uniform_values(random, rows * dims / 2, 3);
        std::vector<float> cos(angles.size()), sin(angles.size());
        for (size_t i = 0; i < angles.size(); ++i) {
          cos[i] = std::cos(angles[i]), sin[i] = std::sin(angles[i]);
        }
        const Rotation rotation{matrix_of(std::as_const(cos), rows, dims / 2),
                                matrix_of(std::as_const(sin), rows, dims / 2), dims, half_split};
        const std::vector<float> norm = uniform_values(random, shape.head_dim);
        const std::vector<float> many =
            uniform_values(random, (shape.kv_heads + 1) * int64_t{shape.head_dim});
        const Inputs in = make_inputs(random, rows, shape);
        Inputs mine = in, other = in;
        const auto run = [&](const Backend& on, World& world, Inputs& inputs) {
          StoreCall call;
          call.shape = world.shape;
          const auto slices = whole_slices(world, lengths);
          call.slices = slices;
          call.q = matrix_of(inputs.q, rows, int64_t{shape.heads} * shape.head_dim);
          call.k = matrix_of(inputs.k, rows, int64_t{shape.kv_heads} * shape.head_dim);
          call.v = matrix_of(inputs.v, rows, call.k.cols);
          if (norms) call.q_norm = call.k_norm = norm.data();
          if (factors) call.q_factors = many.data(), call.k_factors = many.data() + shape.head_dim;
          if (center) call.k_center = many.data();
          call.eps = 1e-6F;
          call.rotation = &rotation;
          call.kv = world.kv;
          pool.run([&](Team& team) { on.store_kv(team, call); });
        };
        run(*backend, ours, mine);
        run(*reference, theirs, other);
        // The norm's roundings (head_dim + 8 of them, halved by the root), then three.
        const float off = 4 * static_cast<float>(shape.head_dim + 8) * 0x1p-24F;
        for (size_t i = 0; i < mine.q.size(); ++i) ASSERT_NEAR(mine.q[i], other.q[i], off);
        for (size_t i = 0; i < mine.k.size(); ++i) ASSERT_NEAR(mine.k[i], other.k[i], off);
      }
    }
  }
}

TEST_P(Attending, NumbersBeyondHalfPrecisionStayFinite) {
  Random random(24);
  ThreadPool pool(1);
  const std::vector<int64_t> lengths = {2};
  const Shape shape{1, 1, 64};
  World world(random, KvType::kF16, shape, lengths);
  Inputs in = make_inputs(random, 2, shape);
  in.v[3] = 1e9F;
  in.v[64 + 3] = 1e9F;
  const auto slices = whole_slices(world, lengths);
  store_all(*backend, pool, world, slices, in);
  OwnActivations out(2, 64, kValues);
  const AttentionCall call = attention_call(world, slices, in.q, out.all);
  pool.run([&](Team& team) { backend->attention(team, call); });
  for (const float value : out.values) ASSERT_TRUE(std::isfinite(value));
  EXPECT_NEAR(out.values[3], 65504, 1);
}

// A broken value must not be coded into a number that looks like one.
TEST_P(Attending, NotANumberShowsThroughEveryType) {
  Random random(26);
  ThreadPool pool(1);
  const std::vector<int64_t> lengths = {40};
  for (const KvType type : kAllKvTypes) {
    for (int broken = 0; broken < 6; ++broken) {
      SCOPED_TRACE(testing::Message() << name(type) << ", " << broken);
      const int32_t dim = broken < 3 ? 32 : 64;
      const Shape shape{2, 1, dim};
      World world(random, type, shape, lengths);
      Inputs in = make_inputs(random, world.tokens, shape);
      const auto last = static_cast<size_t>(39 * 2 * dim + 5);
      const auto middle = static_cast<size_t>(20 * dim + 5);
      (broken % 3 == 0   ? in.q[last]
       : broken % 3 == 1 ? in.k[middle]
                         : in.v[middle]) = std::numeric_limits<float>::quiet_NaN();
      const auto slices = whole_slices(world, lengths);
      store_all(*backend, pool, world, slices, in);
      OwnActivations out(world.tokens, 2 * dim, kValues);
      const AttentionCall call = attention_call(world, slices, in.q, out.all);
      pool.run([&](Team& team) { backend->attention(team, call); });
      EXPECT_TRUE(std::isnan(out.values[last]));
    }
  }
}

}  // namespace
}  // namespace mill::tensor
