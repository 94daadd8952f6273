// Norms and gates: what happens to a row between two products.
// Templates over the vector type of an instruction set; see kernels.h.
#pragma once

#include "tensor/cpu/coding.h"
#include "tensor/cpu/kernels.h"

namespace mill::tensor {

// e^x to within 2 units in the last place for x in [-87.3, 88]; beyond, the value at the border
// (no infinities, no subnormals). e^0 is exactly 1. A NaN stays one.
//
// x = n ln 2 + r with |r| <= ln 2 / 2; e^r = 1 + r + r² q(r), q of degree 4 fitted for the least
// relative error (4e-9 before rounding). ln 2 is taken off in two parts, the first of 9 bits, so
// that n times it is exact also without a fused multiply-add.
//
// Each step is taken for all of the vectors before the next: one alone is a chain of steps that
// wait for each other.
template <class S, int kCount>
[[gnu::always_inline]] inline void exp(typename S::F (&x)[kCount]) {
  using F = typename S::F;
  F n[kCount], q[kCount];
  const auto each = [](auto step) {
#pragma GCC unroll 8
    for (int i = 0; i < kCount; ++i) step(i);
  };
  each([&](int i) { x[i] = S::min(S::set(88.0F), S::max(S::set(-87.3F), x[i])); });
  each([&](int i) { n[i] = S::round(S::mul(x[i], S::set(1.44269504F))); });
  each([&](int i) { x[i] = S::subtract_product(x[i], n[i], S::set(0.693359375F)); });
  each([&](int i) { x[i] = S::subtract_product(x[i], n[i], S::set(-2.12194440e-4F)); });
  each(
      [&](int i) { q[i] = S::add_product(S::set(0x1.123a20p-7F), S::set(0x1.6a23cep-10F), x[i]); });
  each([&](int i) { q[i] = S::add_product(S::set(0x1.5558f2p-5F), q[i], x[i]); });
  each([&](int i) { q[i] = S::add_product(S::set(0x1.555492p-3F), q[i], x[i]); });
  each([&](int i) { q[i] = S::add_product(S::set(0x1.fffffcp-2F), q[i], x[i]); });
  each([&](int i) { x[i] = S::add_product(x[i], S::mul(x[i], x[i]), q[i]); });
  each([&](int i) { x[i] = S::scale_by_power(S::add(x[i], S::set(1.0F)), n[i]); });
}
template <class S>
typename S::F exp(typename S::F x) {
  typename S::F one[1] = {x};
  exp<S, 1>(one);
  return one[0];
}

// 2^x to within 2.2e-7 for x in [-125, 0]; below, the value at the border. 2^0 is exactly 1. A NaN
// stays one. The polynomial is fitted for the least relative error (7.5e-8 before rounding).
template <class S>
typename S::F exp2(typename S::F x) {
  using F = typename S::F;
  x = S::max(S::set(-125.0F), x);
  const F n = S::round(x);
  const F r = S::sub(x, n);
  F p = S::set(0x1.5c08e6p-10F);
  p = S::add_product(S::set(0x1.3d0c52p-7F), p, r);
  p = S::add_product(S::set(0x1.c6b6e4p-5F), p, r);
  p = S::add_product(S::set(0x1.ebf918p-3F), p, r);
  p = S::add_product(S::set(0x1.62e428p-1F), p, r);
  p = S::add_product(S::set(1.0F), p, r);
  return S::scale_by_power(p, n);
}

// What a gate makes of x: x / (1 + e^-y) with y = x for silu, and for the tanh form of gelu
// y = 2 sqrt(2 / pi) (x + 0.044715 x³), as (1 + tanh(z)) / 2 = 1 / (1 + e^(-2z)).
template <class S, Gate kGate, int kCount>
[[gnu::always_inline]] inline void activate(typename S::F (&x)[kCount]) {
  constexpr float kTwice = 1.59576912F;  // 2 sqrt(2 / pi)
  typename S::F e[kCount];
#pragma GCC unroll 8
  for (int i = 0; i < kCount; ++i) {
    e[i] = x[i];
    if constexpr (kGate == Gate::kGeluTanh) {
      const typename S::F cube = S::mul(S::mul(x[i], x[i]), x[i]);
      e[i] = S::mul(S::set(kTwice), S::add_product(x[i], cube, S::set(0.044715F)));
    }
    e[i] = S::sub(S::zero(), e[i]);
  }
  exp<S, kCount>(e);
#pragma GCC unroll 8
  for (int i = 0; i < kCount; ++i) x[i] = S::div(x[i], S::add(S::set(1.0F), e[i]));
}

// c tanh(x / c), as c - 2c / (1 + e^(2x/c)); absolute error about c * 2e-7.
template <class S>
typename S::F soft_cap(typename S::F x, float cap) {
  const typename S::F e = exp<S>(S::mul(x, S::set(2.0F / cap)));
  return S::sub(S::set(cap), S::div(S::set(2.0F * cap), S::add(S::set(1.0F), e)));
}

// Sum of squares of `count` numbers.
template <class S>
float square_sum(const float* x, int64_t count) {
  typename S::F sum[4] = {S::zero(), S::zero(), S::zero(), S::zero()};
  int64_t i = 0;
  for (; i + 4 * S::kLanes <= count; i += 4 * S::kLanes) {
#pragma GCC unroll 4
    for (int v = 0; v < 4; ++v) {
      const typename S::F value = S::load(x + i + v * S::kLanes);
      sum[v] = S::add_product(sum[v], value, value);
    }
  }
  for (; i < count; i += S::kLanes) {
    const int64_t left = count - i;
    const int lanes = static_cast<int>(left < S::kLanes ? left : S::kLanes);
    const typename S::F value = S::load_part(x + i, lanes);
    sum[0] = S::add_product(sum[0], value, value);
  }
  return S::sum(S::add(S::add(sum[0], sum[1]), S::add(sum[2], sum[3])));
}

template <class S>
float inverse_rms(const float* x, int64_t count, float eps) {
  return 1.0F / __builtin_sqrtf(square_sum<S>(x, count) / static_cast<float>(count) + eps);
}

// `count` groups of 32 to the wanted forms. place(i, from, to) says where group i begins among the
// inputs and in `out`; fill(at, lanes, x) makes x[v] the vector of inputs from at[v] on.
template <class S, class Place, class Fill>
[[gnu::always_inline]] inline void produce_groups(int64_t count, const ActivationRow& out,
                                                  const Place& place, const Fill& fill) {
  using Coder = GroupCoder<S>;
  // As many blocks of groups side by side as hide each other's waiting; in rounds of one size.
  constexpr int64_t kBlocks = 6;
  Coder coder[kBlocks];
  for (int64_t first = 0, blocks = 0; first < count; first += blocks * Coder::kGroups) {
    const int64_t left = (count - first + Coder::kGroups - 1) / Coder::kGroups;
    const int64_t rounds = (left + kBlocks - 1) / kBlocks;
    blocks = (left + rounds - 1) / rounds;
    int64_t to[kBlocks][Coder::kGroups];
    for (int64_t b = 0; b < blocks; ++b) {
      int64_t at[Coder::kQuads];
#pragma GCC unroll 4
      for (int g = 0; g < Coder::kGroups; ++g) {
        // In place of groups that are not there, the last one again.
        const int64_t group = first + b * Coder::kGroups + g;
        int64_t from = 0;
        place(group < count ? group : count - 1, from, to[b][g]);
#pragma GCC unroll 8
        for (int v = 0; v < Coder::kVectors; ++v)
          at[g * Coder::kVectors + v] = from + v * S::kLanes;
      }
      typename S::F x[Coder::kQuads];
      fill(at, S::kLanes, x);
      if (out.values) {
#pragma GCC unroll 8
        for (int i = 0; i < Coder::kQuads; ++i) {
          S::store(out.values + to[b][i / Coder::kVectors] + i % Coder::kVectors * S::kLanes, x[i]);
        }
      }
      coder[b].take(x);
    }
    for (int64_t b = 0; b < blocks; ++b) coder[b].weigh();
    for (int64_t b = 0; b < blocks; ++b) coder[b].choose();
    for (int64_t b = 0; b < blocks; ++b) {
      CodedGroup coded[Coder::kGroups];
#pragma GCC unroll 4
      for (int g = 0; g < Coder::kGroups; ++g) {
        coded[g] = {out.codes + to[b][g], out.scales + to[b][g] / 32, out.sums + to[b][g] / 32};
      }
      coder[b].code(coded);
    }
  }
}

// `count` groups of 32 to bf16, and to values where they are wanted; place as above, and
// line(i) says where group i goes.
template <class S, class Place, class Line, class Fill>
[[gnu::always_inline]] inline void produce_bfloats(int64_t count, const ActivationRow& out,
                                                   const Place& place, const Line& line,
                                                   const Fill& fill) {
  static_assert(S::kLanes == 16);
  constexpr int kSideBySide = 4;
  for (int64_t first = 0; first < count; first += kSideBySide) {
    int64_t at[2 * kSideBySide], to[kSideBySide];
#pragma GCC unroll 4
    for (int g = 0; g < kSideBySide; ++g) {
      // In place of groups that are not there, the last one again.
      const int64_t group = first + g < count ? first + g : count - 1;
      place(group, at[2 * g], to[g]);
      at[2 * g + 1] = at[2 * g] + S::kLanes;
    }
    typename S::F x[2 * kSideBySide];
    fill(at, S::kLanes, x);
#pragma GCC unroll 4
    for (int g = 0; g < kSideBySide; ++g) {
      S::store_bfloats(line(first + g < count ? first + g : count - 1), x[2 * g], x[2 * g + 1]);
      if (!out.values) continue;
      S::store(out.values + to[g], x[2 * g]);
      S::store(out.values + to[g] + S::kLanes, x[2 * g + 1]);
    }
  }
}

// Columns [first, last) of a row to the wanted forms.
template <class S, class Fill>
void produce(int64_t first, int64_t last, const ActivationRow& out, const Fill& fill) {
  if constexpr (S::kBfloats) {
    if (out.bfloats) {
      return produce_bfloats<S>(
          (last - first) / 32, out,
          [first](int64_t i, int64_t& from, int64_t& to) { from = to = first + i * 32; },
          [&out, first](int64_t i) { return out.bfloats + (first / 32 + i) * kTileGroup; }, fill);
    }
  }
  if (out.codes) {
    return produce_groups<S>(
        (last - first) / 32, out,
        [first](int64_t i, int64_t& from, int64_t& to) { from = to = first + i * 32; }, fill);
  }
  for (int64_t i = first; i < last; i += S::kLanes) {
    const int lanes = static_cast<int>(last - i < S::kLanes ? last - i : S::kLanes);
    typename S::F x[1];
    fill({i}, lanes, x);
    S::store_part(out.values + i, x[0], lanes);
  }
}

// A way to fill vectors of which each is made for itself, by value(i, lanes).
template <class S, class Value>
auto one_by_one(const Value& value) {
  return [value]<int kCount>(const int64_t(&at)[kCount], int lanes, typename S::F(&x)[kCount]) {
#pragma GCC unroll 8
    for (int i = 0; i < kCount; ++i) x[i] = value(at[i], lanes);
  };
}

template <class S>
void norm(const NormCall& call) {
  const typename S::F inverse = S::set(call.inverse);
  const auto normed = [x = call.x, weight = call.weight, inverse](int64_t i, int lanes) {
    return S::mul(S::mul(load_lanes<S>(x + i, lanes), inverse), load_lanes<S>(weight + i, lanes));
  };
  if (!call.sum) return produce<S>(call.first, call.last, call.out, one_by_one<S>(normed));
  const ActivationRow to{.values = call.sum};
  const auto added = [normed, sum = call.sum](int64_t i, int lanes) {
    return S::add(load_lanes<S>(sum + i, lanes), normed(i, lanes));
  };
  produce<S>(call.first, call.last, to, one_by_one<S>(added));
}

// Vectors kFirst and up, as many at a time as leave registers for the steps of exp.
template <class S, Gate kGate, int kFirst = 0, int kCount>
[[gnu::always_inline]] inline void fill_gated(const float* g, const float* u,
                                              const int64_t (&at)[kCount], int lanes,
                                              typename S::F (&x)[kCount]) {
  constexpr int kRun = kCount - kFirst < 4 ? kCount - kFirst : 4;
  typename S::F gates[kRun];
#pragma GCC unroll 4
  for (int i = 0; i < kRun; ++i) gates[i] = load_lanes<S>(g + at[kFirst + i], lanes);
  activate<S, kGate, kRun>(gates);
#pragma GCC unroll 4
  for (int i = 0; i < kRun; ++i) {
    x[kFirst + i] = S::mul(gates[i], load_lanes<S>(u + at[kFirst + i], lanes));
  }
  if constexpr (kFirst + kRun < kCount) fill_gated<S, kGate, kFirst + kRun>(g, u, at, lanes, x);
}

template <class S>
uint16_t* bfloats_of(const GateCall& call, int64_t row) {
  return call.out.bfloats + row / kTileRows * kTileRows * call.out_stride + row % kTileRows * 32;
}

template <class S, Gate kGate>
void gated_by(const GateCall& call) {
  const auto fill_from = [](const float* g, const float* u) {
    return [g, u]<int kCount>(const int64_t(&at)[kCount], int lanes, typename S::F(&x)[kCount]) {
      fill_gated<S, kGate>(g, u, at, lanes, x);
    };
  };
  if (call.last - call.first == 32) {
    // One group of each row: those of several rows side by side.
    const auto place = [&](int64_t row, int64_t& from, int64_t& to) {
      from = call.first + row * call.stride;
      to = call.first + row * call.out_stride;
    };
    if (call.out.codes) {
      return produce_groups<S>(call.rows, call.out, place, fill_from(call.g, call.u));
    }
    if constexpr (S::kBfloats) {
      if (call.out.bfloats) {
        const auto line = [&](int64_t row) {
          return bfloats_of<S>(call, row) + call.first / 32 * kTileGroup;
        };
        return produce_bfloats<S>(call.rows, call.out, place, line, fill_from(call.g, call.u));
      }
    }
  }
  for (int64_t row = 0; row < call.rows; ++row) {
    ActivationRow out = call.out;
    if (out.values) out.values += row * call.out_stride;
    if (out.codes) {
      out.codes += row * call.out_stride;
      out.scales += row * (call.out_stride / 32);
      out.sums += row * (call.out_stride / 32);
    }
    if (out.bfloats) out.bfloats = bfloats_of<S>(call, row);
    produce<S>(call.first, call.last, out,
               fill_from(call.g + row * call.stride, call.u + row * call.stride));
  }
}

template <class S>
void gated(const GateCall& call) {
  if (call.gate == Gate::kSilu) return gated_by<S, Gate::kSilu>(call);
  gated_by<S, Gate::kGeluTanh>(call);
}

// Groups of all rows side by side.
template <class S>
void encode(const float* values, int64_t stride, int64_t rows, int64_t cols,
            const ActivationRow& to, int64_t to_stride) {
  const auto groups = static_cast<uint32_t>(cols / 32);
  const auto value = [values](int64_t i, int lanes) { return load_lanes<S>(values + i, lanes); };
  const auto place = [=](int64_t i, int64_t& from, int64_t& to_number) {
    const uint32_t row = static_cast<uint32_t>(i) / groups;
    const int64_t column = (i - int64_t{row} * groups) * 32;
    from = row * stride + column;
    to_number = row * to_stride + column;
  };
  if constexpr (S::kBfloats) {
    if (to.bfloats) {
      const auto line = [&to, groups](int64_t i) {
        const uint32_t row = static_cast<uint32_t>(i) / groups;
        return to.bfloats + (i - int64_t{row} * groups) * kTileGroup + row * 32;
      };
      return produce_bfloats<S>(rows * groups, to, place, line, one_by_one<S>(value));
    }
  }
  produce_groups<S>(rows * groups, to, place, one_by_one<S>(value));
}

template <class S>
void to_half(const float* from, uint16_t* to, int64_t count) {
  constexpr float kMost = 65504.0F;
  for (int64_t i = 0; i < count; i += S::kLanes) {
    const int lanes = static_cast<int>(count - i < S::kLanes ? count - i : S::kLanes);
    const typename S::F value = load_lanes<S>(from + i, lanes);
    S::to_half_part(to + i, S::min(S::set(kMost), S::max(S::set(-kMost), value)), lanes);
  }
}

// Calls step(i, lanes) for the vectors of [first, last), whole ones and then the rest.
template <class S, class Step>
[[gnu::always_inline]] inline void each_vector(int64_t first, int64_t last, const Step& step) {
  int64_t i = first;
  for (; i + S::kLanes <= last; i += S::kLanes) step(i, S::kLanes);
  if (i < last) step(i, static_cast<int>(last - i));
}

// Some heads of a row, which a step is taken for side by side: what the row has is read once.
// kPlain: there is no norm, and no factors and center.
template <class S, bool kPlain>
class HeadRun {
 public:
  using F = typename S::F;
  static constexpr int64_t kMost = 8;

  // Heads [first, last) of the call; at most kMost where they are not plain.
  HeadRun(const HeadsCall& call, int64_t first, int64_t last)
      : call_(call),
        count_(last - first),
        head_dim_(call.head_dim),
        heads_(call.heads + first * call.head_dim) {
    if constexpr (kPlain) return;
    int64_t kv_head = first / call.ratio;
    for (int64_t h = 0; h < count_; ++h) {
      if (first + h == (kv_head + 1) * call.ratio) ++kv_head;
      of_kv_head_[h] = kv_head * head_dim_;
      if (call.norm) inverse_[h] = inverse_rms<S>(heads_ + h * head_dim_, head_dim_, call.eps);
    }
  }

  void prepare() const {
    const int64_t dims = call_.cos ? call_.dims : 0;
    if (call_.half_split) {
      rotate_halves(dims / 2);
    } else {
      rotate_neighbours(dims);
    }
    if constexpr (kPlain) return;
    each_vector<S>(dims, head_dim_, [&](int64_t i, int lanes) {
      for (int64_t h = 0; h < count_; ++h) put(h, i, lanes, take(h, i, lanes));
    });
  }

 private:
  // Pairs (2i, 2i + 1) of a head.
  void rotate_neighbours(int64_t dims) const {
    each_vector<S>(
        0, dims, [&](int64_t i, int lanes) __attribute__((always_inline)) {
          const F cos = S::load_doubled(call_.cos + i / 2, lanes / 2);
          const F sin = S::load_doubled(call_.sin + i / 2, lanes / 2);
          for (int64_t h = 0; h < count_; ++h) {
            const F x = take(h, i, lanes);
            const F crossed = S::mul(S::swap_neighbours(x), sin);
            put(h, i, lanes, S::subtract_add(S::mul(x, cos), crossed));
          }
        });
  }

  // Pairs (i, i + half).
  void rotate_halves(int64_t half) const {
    each_vector<S>(
        0, half, [&](int64_t i, int lanes) __attribute__((always_inline)) {
          const F cos = load_lanes<S>(call_.cos + i, lanes);
          const F sin = load_lanes<S>(call_.sin + i, lanes);
          for (int64_t h = 0; h < count_; ++h) {
            const F a = take(h, i, lanes), b = take(h, half + i, lanes);
            put(h, i, lanes, S::subtract_product(S::mul(a, cos), b, sin));
            put(h, half + i, lanes, S::add_product(S::mul(b, cos), a, sin));
          }
        });
  }

  // Numbers i and up of a head as they are rotated, and what became of them.
  [[gnu::always_inline]] F take(int64_t h, int64_t i, int lanes) const {
    F x = load_lanes<S>(heads_ + h * head_dim_ + i, lanes);
    if constexpr (kPlain) return x;
    if (call_.norm) {
      x = S::mul(S::mul(x, S::set(inverse_[h])), load_lanes<S>(call_.norm + i, lanes));
    }
    if (call_.factors) {
      x = S::mul(x, load_lanes<S>(call_.factors + of_kv_head_[h] + i, lanes));
    }
    return x;
  }
  [[gnu::always_inline]] void put(int64_t h, int64_t i, int lanes, F x) const {
    if (!kPlain && call_.center) {
      x = S::sub(x, load_lanes<S>(call_.center + of_kv_head_[h] + i, lanes));
    }
    store_lanes<S>(heads_ + h * head_dim_ + i, x, lanes);
  }

  const HeadsCall& call_;
  const int64_t count_, head_dim_;
  float* const heads_;
  int64_t of_kv_head_[kMost];
  float inverse_[kMost];
};

template <class S>
void prepare_heads(const HeadsCall& call) {
  if (!call.norm && !call.factors && !call.center) {
    if (call.cos) HeadRun<S, true>(call, call.first, call.last).prepare();
    return;
  }
  using Run = HeadRun<S, false>;
  for (int64_t first = call.first; first < call.last; first += Run::kMost) {
    const int64_t left = call.last - first;
    Run(call, first, first + (left < Run::kMost ? left : Run::kMost)).prepare();
  }
}

}  // namespace mill::tensor
