// What the tests of attention share: sequences in a cache, and calls over them.
#pragma once

#include <algorithm>
#include <cmath>
#include <numeric>

#include "tensor/cpu/test_support.h"

namespace mill::tensor {

struct Shape {
  int32_t heads, kv_heads, head_dim;
};
// Sequences with their tokens in scattered blocks of an arena full of NaNs.
struct World {
  World(Random& random, KvType type, Shape s, const std::vector<int64_t>& lengths)
      : shape{s.heads, s.kv_heads, s.head_dim} {
    for (const int64_t length : lengths) {
      tokens += length;
      blocks.emplace_back(static_cast<size_t>((length + kBlockTokens - 1) / kBlockTokens));
    }
    int32_t count = 0;
    for (auto& of_sequence : blocks) count += static_cast<int32_t>(of_sequence.size());
    std::vector<int32_t> ids(static_cast<size_t>(count));
    std::iota(ids.begin(), ids.end(), 1);
    std::shuffle(ids.begin(), ids.end(), random);
    size_t next = 0;
    for (auto& of_sequence : blocks) {
      for (int32_t& id : of_sequence) id = ids[next++];
    }
    const size_t plane = static_cast<size_t>(s.kv_heads) * kv_head_bytes(type, s.head_dim);
    arena.assign((2 * plane + 128) * (ids.size() + 1) + 64, std::byte{0x7f});
    const size_t skew = (64 - reinterpret_cast<uintptr_t>(arena.data()) % 64) % 64;
    kv = {arena.data() + skew, 2 * plane + 128, 64, 64 + plane, type};
  }

  HeadShape shape;
  int64_t tokens = 0;
  std::vector<std::vector<int32_t>> blocks;
  std::vector<std::byte> arena;
  KvLayer kv;
};

struct Inputs {
  std::vector<float> q, k, v;
};

inline Inputs make_inputs(Random& random, int64_t rows, Shape s) {
  return {uniform_values(random, rows * s.heads * s.head_dim, 2),
          uniform_values(random, rows * s.kv_heads * s.head_dim),
          uniform_values(random, rows * s.kv_heads * s.head_dim)};
}

inline void store_all(const Backend& backend, ThreadPool& pool, World& world,
                      std::span<const Slice> slices, Inputs in, const float* center = nullptr) {
  const int64_t rows = world.tokens;
  StoreCall call;
  call.shape = world.shape;
  call.slices = slices;
  call.q = matrix_of(in.q, rows, int64_t{world.shape.heads} * world.shape.head_dim);
  call.k = matrix_of(in.k, rows, int64_t{world.shape.kv_heads} * world.shape.head_dim);
  call.v = matrix_of(in.v, rows, call.k.cols);
  call.k_center = center;
  call.kv = world.kv;
  pool.run([&](Team& team) { backend.store_kv(team, call); });
}

inline AttentionCall attention_call(const World& world, std::span<const Slice> slices,
                                    const std::vector<float>& q, const Activations& out) {
  AttentionCall call;
  call.shape = world.shape;
  call.slices = slices;
  call.q = matrix_of(q, world.tokens, int64_t{world.shape.heads} * world.shape.head_dim);
  call.scale = 1 / std::sqrt(static_cast<float>(world.shape.head_dim));
  call.kv = world.kv;
  call.out = out;
  return call;
}

inline std::vector<Slice> whole_slices(const World& world, const std::vector<int64_t>& lengths,
                                       bool of_prompt = false) {
  std::vector<Slice> slices;
  int64_t row = 0;
  for (size_t i = 0; i < lengths.size(); ++i) {
    slices.push_back({.first_row = row,
                      .rows = lengths[i],
                      .position = 0,
                      .blocks = world.blocks[i],
                      .of_prompt = of_prompt});
    row += lengths[i];
  }
  return slices;
}

struct Variant {
  int64_t window;
  float softcap;
};

}  // namespace mill::tensor
