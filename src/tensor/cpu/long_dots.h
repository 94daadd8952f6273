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
  static constexpr int kZero = 128;  // what a key's code 0 is in a product

  // A vector of keys (values) from the cache.
  [[gnu::always_inline]] static void keys(const std::byte* from, I& four, I& /*unused*/) {
    four = S::ints_of(S::load_bytes(from));
  }
  [[gnu::always_inline]] static void values(const std::byte* from, I& four, I& unused) {
    keys(from, four, unused);
  }
  static constexpr bool kWidens = false;
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
  // The same of a block's numbers, which are not negative; both bytes lie in [0, 127].
  template <int kVectors>
  [[gnu::always_inline]] static void code_block(const F (&x)[kVectors], F inverse, int8_t* row) {
    I codes[kVectors];
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) codes[v] = S::to_int(S::mul(x[v], inverse));
    S::store_halves(row, codes);
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
  // What a whole product begins with, of both halves.
  static int32_t zero_of(const int32_t* code_sum) {
    return static_cast<int32_t>(128 * static_cast<uint32_t>(without_zero(code_sum[0])) +
                                static_cast<uint32_t>(without_zero(code_sum[1])));
  }
  [[gnu::always_inline]] static void add_keys(I& high, I& low, I keys, I /*unused*/, I high_codes,
                                              I low_codes) {
    high = add_dot<KeyDots>(high, S::bytes_of(keys), high_codes);
    low = add_dot<KeyDots>(low, S::bytes_of(keys), low_codes);
  }
  // A sum over values, whose bytes are signed, with codes that are not negative; begun with zeros.
  [[gnu::always_inline]] static void add_values(I& high, I& low, I values, I /*unused*/,
                                                I high_codes, I low_codes) {
    high = add_dot<ValueDots>(high, S::bytes_of(high_codes), values);
    low = add_dot<ValueDots>(low, S::bytes_of(low_codes), values);
  }
  [[gnu::always_inline]] static F total(I high, I low) {
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
// code, where products of bytes take several instructions. Of four numbers (or codes), the first
// and the third make one vector of words, the second and the fourth another: so the four are
// widened by shifts, and their sums stay in their lane.
template <class S>
class Words {
 public:
  using F = typename S::F;
  using I = typename S::I;

  [[gnu::always_inline]] static void keys(const std::byte* from, I& even, I& odd) {
    const I four = S::ints_of(S::load_bytes(from));
    even = S::even_unsigned(four);
    odd = S::odd_unsigned(four);
  }
  [[gnu::always_inline]] static void values(const std::byte* from, I& even, I& odd) {
    const I four = S::ints_of(S::load_bytes(from));
    even = S::even_signed(four);
    odd = S::odd_signed(four);
  }
  // For many queries it pays to widen a block once: each vector to two of words.
  static constexpr bool kWidens = true;
  static void widen_keys(const std::byte* from, int64_t bytes, std::byte* to) {
    widen<keys>(from, bytes, to);
  }
  static void widen_values(const std::byte* from, int64_t bytes, std::byte* to) {
    widen<values>(from, bytes, to);
  }
  [[gnu::always_inline]] static void widened(const std::byte* from, I& even, I& odd) {
    even = S::ints_of(S::load_bytes(from));
    odd = S::ints_of(S::load_bytes(from + kBytes));
  }

  [[gnu::always_inline]] static void codes(const int8_t* row, int64_t /*count*/, int64_t at,
                                           I& even, I& odd) {
    even = S::broadcast(row + 2 * at);
    odd = S::broadcast(row + 2 * at + 4);
  }

  struct CodeSum {
    I all = S::zero_int();
  };
  static void code(F x, F inverse, int8_t* row, int64_t /*count*/, int64_t at, CodeSum& sum) {
    const I codes = S::to_int(S::mul(x, inverse));
    S::store_words(row + 2 * at, codes);
    sum.all = S::add_int(sum.all, codes);
  }
  template <int kVectors>
  [[gnu::always_inline]] static void code_block(const F (&x)[kVectors], F inverse, int8_t* row) {
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; v += 2) {
      S::store_words(row + 2 * v * S::kLanes, S::to_int(S::mul(x[v], inverse)),
                     S::to_int(S::mul(x[v + 1], inverse)));
    }
  }
  static void store_sum(const CodeSum& sum, int32_t* to) {
    to[0] = S::sum_int(sum.all);
  }

  [[gnu::always_inline]] static void start_keys(const int32_t* code_sum, I& sum, I& unused) {
    sum = S::set_int(
        static_cast<int32_t>(static_cast<uint32_t>(-128) * static_cast<uint32_t>(code_sum[0])));
    unused = S::zero_int();
  }
  [[gnu::always_inline]] static void add_keys(I& sum, I& /*unused*/, I even, I odd, I even_codes,
                                              I odd_codes) {
    S::add_pairs(sum, even, even_codes);
    S::add_pairs(sum, odd, odd_codes);
  }
  [[gnu::always_inline]] static void add_values(I& sum, I& unused, I even, I odd, I even_codes,
                                                I odd_codes) {
    add_keys(sum, unused, even, odd, even_codes, odd_codes);
  }
  [[gnu::always_inline]] static F total(I sum, I /*unused*/) {
    return S::from_int(sum);
  }

 private:
  static constexpr int64_t kBytes = S::kLanes * 4;

  template <void (*kTake)(const std::byte*, I&, I&)>
  static void widen(const std::byte* from, int64_t bytes, std::byte* to) {
    for (int64_t i = 0; i < bytes; i += kBytes) {
      I even, odd;
      kTake(from + i, even, odd);
      S::store_bytes(to + 2 * i, S::bytes_of(even));
      S::store_bytes(to + 2 * i + kBytes, S::bytes_of(odd));
    }
  }
};

}  // namespace mill::tensor
