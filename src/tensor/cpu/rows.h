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

// Columns [first, last) of a row to the wanted forms.
template <class S, class Fill>
void produce(int64_t first, int64_t last, const ActivationRow& out, const Fill& fill) {
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
  const typename S::F inverse = S::set(inverse_rms<S>(call.x, call.cols, call.eps));
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

template <class S, Gate kGate>
void gated_by(const GateCall& call) {
  const auto fill_from = [](const float* g, const float* u) {
    return [g, u]<int kCount>(const int64_t(&at)[kCount], int lanes, typename S::F(&x)[kCount]) {
      fill_gated<S, kGate>(g, u, at, lanes, x);
    };
  };
  if (call.out.codes && call.last - call.first == 32) {
    // One group of each row: those of several rows side by side.
    return produce_groups<S>(
        call.rows, call.out,
        [&](int64_t row, int64_t& from, int64_t& to) {
          from = call.first + row * call.stride;
          to = call.first + row * call.out_stride;
        },
        fill_from(call.g, call.u));
  }
  for (int64_t row = 0; row < call.rows; ++row) {
    ActivationRow out = call.out;
    if (out.values) out.values += row * call.out_stride;
    if (out.codes) {
      out.codes += row * call.out_stride;
      out.scales += row * (call.out_stride / 32);
      out.sums += row * (call.out_stride / 32);
    }
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
  produce_groups<S>(
      rows * groups, to,
      [=](int64_t i, int64_t& from, int64_t& place) {
        const uint32_t row = static_cast<uint32_t>(i) / groups;
        const int64_t column = (i - int64_t{row} * groups) * 32;
        from = row * stride + column;
        place = row * to_stride + column;
      },
      one_by_one<S>(value));
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

// Pairs (2i, 2i + 1) of a head.
template <class S>
void rotate_neighbours(const HeadCall& call) {
  for (int64_t i = 0; i < call.dims; i += S::kLanes) {
    const int lanes = static_cast<int>(call.dims - i < S::kLanes ? call.dims - i : S::kLanes);
    const typename S::F x = load_lanes<S>(call.head + i, lanes);
    const typename S::F cos = S::load_doubled(call.cos + i / 2, lanes / 2);
    const typename S::F sin = S::load_doubled(call.sin + i / 2, lanes / 2);
    const typename S::F crossed = S::mul(S::swap_neighbours(x), sin);
    S::store_part(call.head + i, S::subtract_add(S::mul(x, cos), crossed), lanes);
  }
}

// Pairs (i, i + dims / 2) of a head.
template <class S>
void rotate_halves(const HeadCall& call) {
  const int64_t half = call.dims / 2;
  for (int64_t i = 0; i < half; i += S::kLanes) {
    const int lanes = static_cast<int>(half - i < S::kLanes ? half - i : S::kLanes);
    const typename S::F a = load_lanes<S>(call.head + i, lanes);
    const typename S::F b = load_lanes<S>(call.head + half + i, lanes);
    const typename S::F cos = load_lanes<S>(call.cos + i, lanes);
    const typename S::F sin = load_lanes<S>(call.sin + i, lanes);
    S::store_part(call.head + i, S::subtract_product(S::mul(a, cos), b, sin), lanes);
    S::store_part(call.head + half + i, S::add_product(S::mul(b, cos), a, sin), lanes);
  }
}

// Each number of the head becomes change(number, with[i]).
template <class S, class Change>
[[gnu::always_inline]] inline void change_head(const HeadCall& call, const float* with,
                                               Change change) {
  for (int64_t i = 0; i < call.head_dim; i += S::kLanes) {
    const int64_t left = call.head_dim - i;
    const int lanes = static_cast<int>(left < S::kLanes ? left : S::kLanes);
    const typename S::F other = load_lanes<S>(with + i, lanes);
    S::store_part(call.head + i, change(load_lanes<S>(call.head + i, lanes), other), lanes);
  }
}

template <class S>
void prepare_head(const HeadCall& call) {
  if (call.norm) {
    const NormCall head{.x = call.head,
                        .cols = call.head_dim,
                        .last = call.head_dim,
                        .weight = call.norm,
                        .eps = call.eps,
                        .out = {.values = call.head}};
    norm<S>(head);
  }
  if (call.factors) {
    change_head<S>(call, call.factors, [](auto a, auto b) { return S::mul(a, b); });
  }
  if (call.cos && call.half_split) rotate_halves<S>(call);
  if (call.cos && !call.half_split) rotate_neighbours<S>(call);
  if (call.center) {
    change_head<S>(call, call.center, [](auto a, auto b) { return S::sub(a, b); });
  }
}

}  // namespace mill::tensor
