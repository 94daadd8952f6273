// How many of the vector operations that AVX2's products are made of a core does in a clock: alone,
// side by side, and where one adds what the other multiplied. What bounds code_products.h there.
//
//   mill_ports_bench
//
// Loops of nothing else, in assembly, as their order counts; best of 15 by the time on a core. The
// clock is that of a chain of additions in a general register.
#include <fmt/format.h>

#include <algorithm>
#include <cstdint>

#include "tensor/bench_support.h"

namespace mill::tensor {
namespace {

// ymm0 to 5 are sums, 6 to 11 products, the others only read. All are zeros.
#define MILL_MUL(op, to) op " %%ymm15, %%ymm14, %%ymm" #to "\n"
#define MILL_ADD(op, from, to) op " %%ymm" #from ", %%ymm" #to ", %%ymm" #to "\n"
#define MILL_PAIR(mul, add, sum, product) MILL_MUL(mul, product) MILL_ADD(add, product, sum)
#define MILL_TWO(mul, add, sum, product, sum2, product2) \
  MILL_MUL(mul, product)                                 \
  MILL_MUL(mul, product2) MILL_ADD(add, product, sum) MILL_ADD(add, product2, sum2)

#define MILL_BYTES(sum, product) MILL_MUL("vpmaddubsw", product)
#define MILL_SUMS(sum, product) MILL_ADD("vpaddw", 12, sum)
#define MILL_BOTH(sum, product) MILL_BYTES(sum, product) MILL_SUMS(sum, product)
#define MILL_FUSED(sum, product) MILL_BYTES(sum, product) MILL_ADD("vfmadd231ps", 12, sum)
#define MILL_THEN(sum, product) MILL_PAIR("vpmaddubsw", "vpaddw", sum, product)
#define MILL_WORDS(sum, product) MILL_PAIR("vpmaddwd", "vpaddd", sum, product)
#define MILL_SIGNED(sum, product)                                                                \
  MILL_MUL("vpsignb", product)                                                                   \
  "vpmaddubsw %%ymm" #product ", %%ymm14, %%ymm" #product "\n" MILL_ADD("vpmaddwd", 13, product) \
      MILL_ADD("vpaddd", product, sum)

#define MILL_SIX(each) each(0, 6) each(1, 7) each(2, 8) each(3, 9) each(4, 10) each(5, 11)
#define MILL_TWOS(mul, add) \
  MILL_TWO(mul, add, 0, 6, 1, 7) MILL_TWO(mul, add, 2, 8, 3, 9) MILL_TWO(mul, add, 4, 10, 5, 11)

#define MILL_LOOP(name, body)                                                                    \
  void name(int64_t count) {                                                                     \
    asm volatile("vzeroall\n1:\n" body body "dec %0\njnz 1b\nvzeroupper\n"                       \
                 : "+r"(count)                                                                   \
                 :                                                                               \
                 : "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", \
                   "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");                \
  }
MILL_LOOP(products_alone, MILL_SIX(MILL_BYTES))
MILL_LOOP(sums_alone, MILL_SIX(MILL_SUMS))
MILL_LOOP(side_by_side, MILL_SIX(MILL_BOTH))
MILL_LOOP(beside_fused, MILL_SIX(MILL_FUSED))
MILL_LOOP(bytes, MILL_SIX(MILL_THEN))
MILL_LOOP(bytes_by_twos, MILL_TWOS("vpmaddubsw", "vpaddw"))
MILL_LOOP(words, MILL_SIX(MILL_WORDS))
MILL_LOOP(words_by_twos, MILL_TWOS("vpmaddwd", "vpaddd"))
MILL_LOOP(with_signs, MILL_SIX(MILL_SIGNED))

constexpr int kTimes = 12;  // of each operation in a turn of a loop

void clock_chain(int64_t count) {
  asm volatile("xor %%eax, %%eax\n1:\n.rept 12\nadd $1, %%rax\n.endr\ndec %0\njnz 1b\n"
               : "+r"(count)
               :
               : "cc", "rax");
}

// Turns a second.
double rate(void (*loop)(int64_t)) {
  constexpr int64_t kTurns = 200000;
  double best = 1e9;
  for (int i = 0; i < 15; ++i) {
    const double start = bench_seconds(true);
    loop(kTurns);
    best = std::min(best, bench_seconds(true) - start);
  }
  return kTurns / best;
}

struct Row {
  const char* what;
  void (*loop)(int64_t);
  int64_t multiply_adds;  // of 8 bits, of one of each operation
};

int run() {
  if (!backend_to_bench("avx2")) return 1;
  const double clock = rate(clock_chain) * kTimes;
  fmt::print("{:.2f} GHz\n\n| | times a clock | multiply-adds a clock |\n| --- | --- | --- |\n",
             clock * 1e-9);
  constexpr Row kRows[] = {
      {"vpmaddubsw", products_alone, 32},
      {"vpaddw", sums_alone, 0},
      {"both, of other registers", side_by_side, 32},
      {"vpmaddubsw beside vfmadd231ps", beside_fused, 32},
      {"vpmaddubsw, vpaddw of that", bytes, 32},
      {"the same two by two", bytes_by_twos, 32},
      {"vpmaddwd, vpaddd of that", words, 16},
      {"the same two by two", words_by_twos, 16},
      {"vpsignb, vpmaddubsw, vpmaddwd, vpaddd", with_signs, 32},
  };
  for (const Row& row : kRows) {
    const double times = rate(row.loop) * kTimes / clock;
    fmt::print("| {} | {:.2f} | {} |\n", row.what, times,
               row.multiply_adds > 0 ? fmt::format("{:.1f}", times * row.multiply_adds) : "");
  }
  return 0;
}

}  // namespace
}  // namespace mill::tensor

int main() {
  return mill::tensor::run();
}
