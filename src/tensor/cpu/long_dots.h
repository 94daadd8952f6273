// Integer dot products of 15-bit codes with bytes, in the two ways that machines are good at.
// Templates over the vector type of an instruction set; see kernels.h. Both give the same bits: the
// sums are exact, and become f32 with one rounding.
//
// A row of `count` codes takes 2 * count bytes. A vector of numbers is kLanes sums of four numbers
// each, as keys and values lie in the cache (kv_order.h). Sums fit: |code| <= 127 * 128, and the
// numbers of a sum are at most 512 bytes.
#pragma once

#include "tensor/cpu/kernels.h"

namespace mill::tensor {

inline constexpr float kMostLongCode = 127 * 128;

// A code as 128 * high + low, two signed bytes; two byte products a vector. A row is its high
// bytes, then its low ones.
template <class S>
class BytePairs {
 public:
  using F = typename S::F;
  using I = typename S::I;
  using KeyDots = typename S::template Dots<255, 1>;
  using ValueDots = typename S::template Dots<127, 1>;
  static constexpr int kZero = 128 - KeyDots::kOffset;  // what a key's code 0 is in a product

  // A vector of numbers, loaded.
  using Numbers = I;
  [[gnu::always_inline]] static Numbers numbers(const std::byte* from) {
    return S::ints_of(S::load_bytes(from));
  }
  // Four codes of a row, in all lanes.
  [[gnu::always_inline]] static void codes(const int8_t* row, int64_t count, int64_t at, I& high,
                                           I& low) {
    high = S::broadcast(row + at);
    low = S::broadcast(row + count + at);
  }

  // kLanes codes of a row: x * inverse.  Returns a sum of them by parts, for start_keys.
  struct CodeSum {
    I high = S::zero_int(), low = S::zero_int();
  };
  static void code(F x, F inverse, int8_t* row, int64_t count, int64_t at, CodeSum& sum) {
    const F scaled = S::mul(x, inverse);
    const F high = S::round(S::mul(scaled, S::set(1.0F / 128)));
    const I high_code = S::to_int(high);
    const I low_code = S::to_int(S::subtract_product(scaled, high, S::set(128)));
    S::store_codes(row + at, high_code);
    S::store_codes(row + count + at, low_code);
    sum.high = S::add_int(sum.high, high_code);
    sum.low = S::add_int(sum.low, low_code);
  }
  // The same of numbers that are not negative, with both bytes in [0, 127].
  static void code_positive(F x, F inverse, int8_t* row, int64_t count, int64_t at) {
    const F scaled = S::mul(x, inverse);
    const F high =
        S::round(S::subtract_product(S::set(-0.5F + 1.0F / 256), scaled, S::set(-1.0F / 128)));
    S::store_codes(row + at, S::to_int(high));
    S::store_codes(row + count + at, S::to_int(S::subtract_product(scaled, high, S::set(128))));
  }
  static void store_sum(const CodeSum& sum, int32_t* to) {
    to[0] = S::sum_int(sum.high);
    to[1] = S::sum_int(sum.low);
  }

  // A sum over keys, whose bytes are code + 128: begun with what that adds, taken off. The codes of
  // a query with a NaN may have any sum. (Two plain vectors, not a struct, as gcc 12 keeps arrays
  // of structs in memory.)
  [[gnu::always_inline]] static void start_keys(const int32_t* code_sum, I& high, I& low) {
    high = S::set_int(without_zero(code_sum[0]));
    low = S::set_int(without_zero(code_sum[1]));
  }
  [[gnu::always_inline]] static void add_keys(I& high, I& low, Numbers keys, I high_codes,
                                              I low_codes) {
    high = add_dot<KeyDots>(high, S::bytes_of(keys), high_codes);
    low = add_dot<KeyDots>(low, S::bytes_of(keys), low_codes);
  }
  [[gnu::always_inline]] static F keys_total(I high, I low, const int32_t* /*code_sum*/) {
    return values_total(high, low);
  }
  // A sum over values, whose bytes are signed, with codes that are not negative; begun with zeros.
  [[gnu::always_inline]] static void add_values(I& high, I& low, Numbers values, I high_codes,
                                                I low_codes) {
    high = add_dot<ValueDots>(high, S::bytes_of(high_codes), values);
    low = add_dot<ValueDots>(low, S::bytes_of(low_codes), values);
  }
  [[gnu::always_inline]] static F values_total(I high, I low) {
    return S::add_product(S::from_int(low), S::from_int(high), S::set(128));
  }

 private:
  static int32_t without_zero(int32_t code_sum) {
    return static_cast<int32_t>(static_cast<uint32_t>(-kZero) * static_cast<uint32_t>(code_sum));
  }
  template <class Dots>
  [[gnu::always_inline]] static I add_dot(I sum, typename S::B numbers, I codes) {
    Dots dots;
    dots.sum = sum;
    dots.template add<0>(numbers, codes);
    return dots.sum;
  }
};

// A code as one 16-bit number, and bytes widened to 16 bits: one product for both halves of the
// code, where products of bytes take several instructions. Each half of a vector of numbers makes
// sums of two numbers, which are added up at the end.
template <class S>
class Words {
 public:
  using F = typename S::F;
  using I = typename S::I;

  using Numbers = const std::byte*;
  [[gnu::always_inline]] static Numbers numbers(const std::byte* from) { return from; }
  [[gnu::always_inline]] static void codes(const int8_t* row, int64_t /*count*/, int64_t at,
                                           I& four, I& /*unused*/) {
    four = S::broadcast_eight(row + 2 * at);
  }

  struct CodeSum {
    I all = S::zero_int();
  };
  static void code(F x, F inverse, int8_t* row, int64_t /*count*/, int64_t at, CodeSum& sum) {
    const I codes = S::to_int(S::mul(x, inverse));
    S::store_words(row + 2 * at, codes);
    sum.all = S::add_int(sum.all, codes);
  }
  static void code_positive(F x, F inverse, int8_t* row, int64_t /*count*/, int64_t at) {
    S::store_words(row + 2 * at, S::to_int(S::mul(x, inverse)));
  }
  static void store_sum(const CodeSum& sum, int32_t* to) { to[0] = S::sum_int(sum.all); }

  [[gnu::always_inline]] static void start_keys(const int32_t* /*code_sum*/, I& first, I& second) {
    first = second = S::zero_int();
  }
  [[gnu::always_inline]] static void add_keys(I& first, I& second, Numbers keys, I four,
                                              I /*unused*/) {
    first = S::add_int(first, S::dot_pairs(S::widen_unsigned(keys), four));
    second = S::add_int(second, S::dot_pairs(S::widen_unsigned(keys + S::kLanes * 2), four));
  }
  [[gnu::always_inline]] static F keys_total(I first, I second, const int32_t* code_sum) {
    const auto zero =
        static_cast<int32_t>(static_cast<uint32_t>(-128) * static_cast<uint32_t>(code_sum[0]));
    return S::from_int(S::add_int(S::add_neighbours(first, second), S::set_int(zero)));
  }
  [[gnu::always_inline]] static void add_values(I& first, I& second, Numbers values, I four,
                                                I /*unused*/) {
    first = S::add_int(first, S::dot_pairs(S::widen_signed(values), four));
    second = S::add_int(second, S::dot_pairs(S::widen_signed(values + S::kLanes * 2), four));
  }
  [[gnu::always_inline]] static F values_total(I first, I second) {
    return S::from_int(S::add_neighbours(first, second));
  }
};

}  // namespace mill::tensor
