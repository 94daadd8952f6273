#include "device/probe.h"

#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <thread>
#include <vector>

#include "base/check.h"
#include "base/clock.h"
#include "device/isa.h"
#include "device/machine.h"

namespace mill::device {
namespace {

constexpr Duration kWindow = std::chrono::milliseconds(100);
constexpr int kWindows = 3;
constexpr int64_t kHugePage = 2 << 20;

// Runs `work` on `threads` threads at once for one window; `work` does a small piece and returns
// how much that was. The sum of the threads' rates, per second.
double rate_of(int threads, const std::function<double(int)>& work) {
  std::atomic<int> ready{0};
  std::vector<double> rates(static_cast<size_t>(threads), 0.0);
  std::vector<std::thread> members;
  for (int index = 0; index < threads; ++index) {
    members.emplace_back([&, index] {
      ++ready;
      while (ready < threads) std::this_thread::yield();
      const Instant start = now();
      Instant time = start;
      double done = 0;
      while (time - start < kWindow) {
        done += work(index);
        time = now();
      }
      rates[static_cast<size_t>(index)] = done / to_seconds(time - start);
    });
  }
  double sum = 0;
  for (int index = 0; index < threads; ++index) {
    members[static_cast<size_t>(index)].join();
    sum += rates[static_cast<size_t>(index)];
  }
  return sum;
}

double best_of_windows(int threads, const std::function<double(int)>& work) {
  double best = 0;
  for (int window = 0; window < kWindows; ++window) best = std::max(best, rate_of(threads, work));
  return best;
}

// ---- reading ----

// A buffer larger than the caches, in huge pages where the system gives them.
class ReadBuffer {
 public:
  explicit ReadBuffer(int64_t bytes) {
    while (memory_ == MAP_FAILED && bytes >= kHugePage) {
      bytes_ = bytes / kHugePage * kHugePage;
      memory_ = ::mmap(nullptr, static_cast<size_t>(bytes_ + kHugePage), PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
      bytes /= 2;
    }
    if (memory_ == MAP_FAILED) return;
    const auto address = reinterpret_cast<uintptr_t>(memory_);
    start_ = reinterpret_cast<std::byte*>((address + kHugePage - 1) / kHugePage * kHugePage);
    ::madvise(start_, static_cast<size_t>(bytes_), MADV_HUGEPAGE);
  }
  ~ReadBuffer() {
    if (memory_ != MAP_FAILED) ::munmap(memory_, static_cast<size_t>(bytes_ + kHugePage));
  }
  ReadBuffer(const ReadBuffer&) = delete;
  ReadBuffer& operator=(const ReadBuffer&) = delete;
  std::byte* start() const { return start_; }  // null when the system gave nothing
  int64_t bytes() const { return bytes_; }

 private:
  void* memory_ = MAP_FAILED;
  std::byte* start_ = nullptr;
  int64_t bytes_ = 0;
};

using Line = uint64_t __attribute__((vector_size(64)));  // one cache line

// Reads `lines` cache lines. Several sums and a prefetch ahead keep enough loads under way to fill
// the memory's pipe.
uint64_t read_lines(const Line* from, int64_t lines) {
  constexpr int64_t kAhead = 32;
  Line a{}, b{}, c{}, d{};
  for (int64_t i = 0; i + 4 <= lines; i += 4) {
    for (int64_t k = 0; k < 4; ++k) __builtin_prefetch(from + i + kAhead + k);
    a += from[i];
    b += from[i + 1];
    c += from[i + 2];
    d += from[i + 3];
  }
  a += b + c + d;
  uint64_t sum = 0;
  for (int k = 0; k < 8; ++k) sum += a[k];
  return sum;
}

double read_rate(int threads) {
  constexpr int64_t kUsual = int64_t{256} << 20;
  const Machine machine = read_machine();
  const int64_t wanted = std::max(kUsual, 4 * last_level_cache_bytes(machine));
  const ReadBuffer buffer(
      std::clamp(wanted, kHugePage, std::max(kHugePage, machine.available_bytes / 4)));
  if (buffer.start() == nullptr) return 0;
  constexpr int64_t kPiece = 1 << 20;
  const int64_t share = buffer.bytes() / threads / 64 * 64;
  const int64_t piece = std::min(kPiece, share);
  if (piece == 0) return 0;
  std::vector<int64_t> at(static_cast<size_t>(threads), 0);
  std::atomic<uint64_t> sink{0};
  std::vector<char> touched(static_cast<size_t>(threads), 0);
  return best_of_windows(threads, [&](int index) -> double {
    std::byte* own = buffer.start() + index * share;
    // Each thread writes its part first, so that it lies on its own NUMA node; that window's rate
    // is low and does not win.
    if (touched[static_cast<size_t>(index)] == 0) {
      touched[static_cast<size_t>(index)] = 1;
      std::fill(own, own + share, std::byte{1});
      return 0;
    }
    int64_t& offset = at[static_cast<size_t>(index)];
    if (offset + piece > share) offset = 0;
    sink += read_lines(reinterpret_cast<const Line*>(own + offset), piece / 64);
    offset += piece;
    return static_cast<double>(piece);
  });
}

// ---- multiplying ----

constexpr int kRounds = 2000;  // of the inner loops, between two looks at the clock

struct Int8Path {
  const char* name;
  double (*run)();  // does a piece, returns its multiply-and-adds
};

#if defined(__x86_64__)

// Assembly rather than C++: the compiler must neither drop nor improve what is measured. Twelve
// independent sums hide the latency of the instruction on every processor that has it.
#define MILL_TWELVE(line) \
  line(0) line(1) line(2) line(3) line(4) line(5) line(6) line(7) line(8) line(9) line(10) line(11)

double run_avx512_vnni() {
  for (int round = 0; round < kRounds; ++round) {
#define MILL_LINE(n) "vpdpbusd %%zmm30, %%zmm31, %%zmm" #n "\n\t"
    __asm__ volatile(MILL_TWELVE(MILL_LINE)::
                         : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8",
                           "xmm9", "xmm10", "xmm11");
#undef MILL_LINE
  }
  __asm__ volatile("vzeroupper");
  return 12.0 * 64 * kRounds;
}

double run_avx_vnni() {
  for (int round = 0; round < kRounds; ++round) {
#define MILL_LINE(n) "%{vex%} vpdpbusd %%ymm14, %%ymm15, %%ymm" #n "\n\t"
    __asm__ volatile(MILL_TWELVE(MILL_LINE)::
                         : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8",
                           "xmm9", "xmm10", "xmm11");
#undef MILL_LINE
  }
  __asm__ volatile("vzeroupper");
  return 12.0 * 32 * kRounds;
}

// Without VNNI three instructions do the work of one: bytes to pairs, pairs to fours, fours to the
// sum.
double run_avx2() {
  for (int round = 0; round < kRounds; ++round) {
#define MILL_LINE(n)                         \
  "vpmaddubsw %%ymm14, %%ymm15, %%ymm12\n\t" \
  "vpmaddwd %%ymm13, %%ymm12, %%ymm12\n\t"   \
  "vpaddd %%ymm12, %%ymm" #n ", %%ymm" #n "\n\t"
    __asm__ volatile(MILL_TWELVE(MILL_LINE)::
                         : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8",
                           "xmm9", "xmm10", "xmm11", "xmm12");
#undef MILL_LINE
  }
  __asm__ volatile("vzeroupper");
  return 12.0 * 32 * kRounds;
}
#undef MILL_TWELVE

#endif

// What the compiler makes of plain C++ for the oldest processor of this kind.
double run_scalar() {
  constexpr int kCount = 1024;
  static int8_t left[kCount];
  static int8_t right[kCount];
  int32_t sum = 0;
  for (int round = 0; round < 64; ++round) {
    __asm__ volatile("" ::: "memory");  // the arrays may have changed
    for (int i = 0; i < kCount; ++i) sum += left[i] * right[i];
  }
  __asm__ volatile("" ::"r"(sum));
  return 64.0 * kCount;
}

Int8Path fastest_path() {
#if defined(__x86_64__)
  if (has_isa("avx512_vnni")) return {"avx512_vnni", run_avx512_vnni};
  if (has_isa("avx_vnni")) return {"avx_vnni", run_avx_vnni};
  if (has_isa("avx2")) return {"avx2", run_avx2};
#endif
  return {"scalar", run_scalar};
}

}  // namespace

Rates measure_rates(int threads) {
  MILL_CHECK(threads >= 1);
  const Int8Path path = fastest_path();
  Rates rates;
  rates.int8_path = path.name;
  rates.int8_macs_per_second = best_of_windows(threads, [&](int) { return path.run(); });
  rates.read_bytes_per_second = read_rate(threads);
  return rates;
}

}  // namespace mill::device
