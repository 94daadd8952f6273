#include "tensor/peak.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <cstring>

#include "base/clock.h"
#include "tensor/arena.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace mill::tensor {
namespace {

constexpr size_t kBuffer = size_t{256} << 20;
constexpr int kPasses = 4;
constexpr int64_t kRounds = 2'000'000;  // of the integer loop
constexpr int kChains = 12;             // independent accumulators, enough to hide the latency

std::atomic<uint64_t> g_sink;  // keeps what was read alive

uint64_t sum_of(const std::byte* data, size_t bytes) {
  std::array<uint64_t, 16> sums{};
  for (size_t at = 0; at + sizeof sums <= bytes; at += sizeof sums) {
    std::array<uint64_t, 16> words;
    std::memcpy(words.data(), data + at, sizeof words);
    for (size_t i = 0; i < words.size(); ++i) sums[i] += words[i];
  }
  uint64_t total = 0;
  for (const uint64_t sum : sums) total += sum;
  return total;
}

#if defined(__x86_64__)
// In assembly, as gcc 12 keeps an array of sums in memory: kChains sums in registers 0 to 11.
#define MILL_EACH_SUM(line) \
  line(0) line(1) line(2) line(3) line(4) line(5) line(6) line(7) line(8) line(9) line(10) line(11)
#define MILL_SUMS \
  "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11"

int64_t run_avx512() {
  for (int64_t round = 0; round < kRounds; ++round) {
#define MILL_LINE(n) "vpdpbusd %%zmm30, %%zmm31, %%zmm" #n "\n\t"
    asm volatile(MILL_EACH_SUM(MILL_LINE) : : : MILL_SUMS);
#undef MILL_LINE
  }
  asm volatile("vzeroupper");
  return kRounds * kChains * 64;
}

int64_t run_avx2() {
  for (int64_t round = 0; round < kRounds; ++round) {
#define MILL_LINE(n)                         \
  "vpmaddubsw %%ymm14, %%ymm15, %%ymm12\n\t" \
  "vpmaddwd %%ymm13, %%ymm12, %%ymm12\n\t"   \
  "vpaddd %%ymm12, %%ymm" #n ", %%ymm" #n "\n\t"
    asm volatile(MILL_EACH_SUM(MILL_LINE) : : : MILL_SUMS, "xmm12");
#undef MILL_LINE
  }
  asm volatile("vzeroupper");
  return kRounds * kChains * 32;
}
#undef MILL_SUMS
#undef MILL_EACH_SUM

// Four sums of 16 rows and 16 outputs over 32 inputs.
__attribute__((target("amx-tile,amx-bf16"))) int64_t run_tiles() {
  struct alignas(64) Shapes {  // as LDTILECFG reads it
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
  };
  static constexpr Shapes kShapes = {1, 0, {}, {64, 64, 64, 64, 64, 64}, {16, 16, 16, 16, 16, 16}};
  _tile_loadconfig(&kShapes);
  constexpr int64_t kTileRounds = kRounds / 16;
  for (int64_t round = 0; round < kTileRounds; ++round) {
    _tile_dpbf16ps(0, 4, 5);
    _tile_dpbf16ps(1, 4, 5);
    _tile_dpbf16ps(2, 4, 5);
    _tile_dpbf16ps(3, 4, 5);
  }
  _tile_release();
  return kTileRounds * 4 * 16 * 16 * 32;
}
#endif

int64_t run_plain() {
  std::array<int8_t, 64> a, b;
  a.fill(3);
  b.fill(5);
  std::array<int32_t, 64> sums{};
  for (int64_t round = 0; round < kRounds / 4; ++round) {
    for (size_t i = 0; i < sums.size(); ++i) sums[i] += int32_t{a[i]} * b[i];
    asm volatile("" : : "r"(sums.data()), "r"(a.data()) : "memory");
  }
  g_sink += static_cast<uint64_t>(sums[63]);
  return kRounds / 4 * 64;
}

int64_t run_best() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512vnni")) return run_avx512();
  if (__builtin_cpu_supports("avx2")) return run_avx2();
#endif
  return run_plain();
}

double macs_per_second(ThreadPool& pool, int64_t (*run)()) {
  double best = 0;
  for (int pass = 0; pass < kPasses; ++pass) {
    std::atomic<int64_t> macs{0};
    const Instant start = now();
    pool.run([&](Team&) { macs += run(); });
    best = std::max(best, static_cast<double>(macs) / to_seconds(now() - start));
  }
  return best;
}

}  // namespace

std::optional<double> measure_read_bytes_per_second(ThreadPool& pool) {
  Result<Arena> arena = Arena::reserve(kBuffer);
  if (!arena) return std::nullopt;
  double best = 0;
  for (int pass = 0; pass < 1 + kPasses; ++pass) {
    const Instant start = now();
    pool.run([&](Team& team) {
      const auto [first, last] = team.share(static_cast<int64_t>(kBuffer), 4096);
      std::byte* mine = arena->data() + first;
      const auto bytes = static_cast<size_t>(last - first);
      if (pass == 0) {
        std::memset(mine, 1, bytes);
      } else {
        g_sink += sum_of(mine, bytes);
      }
    });
    if (pass > 0) best = std::max(best, static_cast<double>(kBuffer) / to_seconds(now() - start));
  }
  return best;
}

double measure_int8_macs_per_second(ThreadPool& pool) {
  return macs_per_second(pool, run_best);
}

double measure_prompt_macs_per_second(ThreadPool& pool, std::string_view path) {
#if defined(__x86_64__)
  if (path == "amx") return macs_per_second(pool, run_tiles);
#endif
  return macs_per_second(pool, run_best);
}

}  // namespace mill::tensor
