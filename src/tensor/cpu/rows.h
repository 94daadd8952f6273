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
template <class S>
typename S::F exp(typename S::F x) {
  using F = typename S::F;
  x = S::min(S::set(88.0F), S::max(S::set(-87.3F), x));
  const F n = S::round(S::mul(x, S::set(1.44269504F)));
  F r = S::subtract_product(x, n, S::set(0.693359375F));
  r = S::subtract_product(r, n, S::set(-2.12194440e-4F));
  F q = S::set(0x1.6a23cep-10F);
  q = S::add_product(S::set(0x1.123a20p-7F), q, r);
  q = S::add_product(S::set(0x1.5558f2p-5F), q, r);
  q = S::add_product(S::set(0x1.555492p-3F), q, r);
  q = S::add_product(S::set(0x1.fffffcp-2F), q, r);
  const F small = S::add_product(r, S::mul(r, r), q);
  return S::scale_by_power(S::add(small, S::set(1.0F)), n);
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

// x / (1 + e^-y): silu for y = x; the tanh form of gelu for y = 2 sqrt(2 / pi) (x + 0.044715 x³),
// as (1 + tanh(z)) / 2 = 1 / (1 + e^(-2z)).
template <class S>
typename S::F times_sigmoid(typename S::F x, typename S::F y) {
  return S::div(x, S::add(S::set(1.0F), exp<S>(S::sub(S::zero(), y))));
}

template <class S>
typename S::F activate(Gate gate, typename S::F x) {
  if (gate == Gate::kSilu) return times_sigmoid<S>(x, x);
  constexpr float kTwice = 1.59576912F;  // 2 sqrt(2 / pi)
  const typename S::F cube = S::mul(S::mul(x, x), x);
  return times_sigmoid<S>(x, S::mul(S::set(kTwice), S::add_product(x, cube, S::set(0.044715F))));
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

// kGroups groups of 32 columns from i on; see produce.
template <class S, int kGroups, class Value>
[[gnu::always_inline]] inline void produce_groups(int64_t i, const ActivationRow& out,
                                                  const Value& value) {
  constexpr int kVectors = 32 / S::kLanes;
  typename S::F x[kGroups][kVectors];
#pragma GCC unroll 2
  for (int g = 0; g < kGroups; ++g) {
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) x[g][v] = value(i + g * 32 + v * S::kLanes, S::kLanes);
    if (out.values) {
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; ++v) {
        S::store(out.values + i + g * 32 + v * S::kLanes, x[g][v]);
      }
    }
  }
  if (!out.codes) return;
  int8_t* codes = out.codes + i;
  float* scales = out.scales + i / 32;
  int32_t* sums = out.sums + i / 32;
  GroupCoder<S> first(x[0]);
  if constexpr (kGroups == 2) {
    GroupCoder<S> second(x[1]);
    first.choose();
    second.choose();
    first.code(codes, scales, sums);
    second.code(codes + 32, scales + 1, sums + 1);
  } else {
    first.choose();
    first.code(codes, scales, sums);
  }
}

// Columns [first, last) of a row, value(i, lanes) being columns [i, i + lanes), to the wanted
// forms.
template <class S, class Value>
void produce(int64_t first, int64_t last, const ActivationRow& out, const Value& value) {
  int64_t i = first;
  for (; i + 64 <= last; i += 64) produce_groups<S, 2>(i, out, value);
  if (i + 32 <= last) produce_groups<S, 1>(i, out, value), i += 32;
  for (; i < last; i += S::kLanes) {
    const int lanes = static_cast<int>(last - i < S::kLanes ? last - i : S::kLanes);
    if (out.values) S::store_part(out.values + i, value(i, lanes), lanes);
  }
}

template <class S>
void norm(const NormCall& call) {
  const typename S::F inverse = S::set(inverse_rms<S>(call.x, call.cols, call.eps));
  const auto normed = [&](int64_t i, int lanes) {
    return S::mul(S::mul(load_lanes<S>(call.x + i, lanes), inverse),
                  load_lanes<S>(call.weight + i, lanes));
  };
  if (!call.sum) return produce<S>(call.first, call.last, call.out, normed);
  const ActivationRow to{.values = call.sum};
  produce<S>(call.first, call.last, to, [&](int64_t i, int lanes) {
    return S::add(load_lanes<S>(call.sum + i, lanes), normed(i, lanes));
  });
}

template <class S>
void gated(const GateCall& call) {
  produce<S>(call.first, call.last, call.out, [&](int64_t i, int lanes) {
    const typename S::F g = load_lanes<S>(call.g + i, lanes);
    return S::mul(activate<S>(call.gate, g), load_lanes<S>(call.u + i, lanes));
  });
}

template <class S>
void encode(const float* values, int64_t cols, const ActivationRow& to) {
  produce<S>(0, cols, to, [&](int64_t i, int lanes) { return load_lanes<S>(values + i, lanes); });
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
