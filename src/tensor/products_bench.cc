// Rates of the products with every type of weights: GMAC/s, and GB/s of packed weights read.
//
//   mill_products_bench [--path avx512] [--threads 2] [--types Q4_0,Q8_0] [--shapes 896x4864]
//                       [--rows 1,8,32,512] [--seconds 0.3] [--clock wall|cpu] [--of answers|prompts]
//
// Shapes are inputs x outputs. The weights rotate through at least 128 MiB, so that one row is a
// test of memory. A product counts with the norm that makes its activations. With --clock cpu and
// one thread, only the time on a core counts: on a busy machine that is nearer to the truth. --of prompts: the rows are
// of prompts, where those are apart.
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "tensor/arena.h"
#include "tensor/backend.h"
#include "tensor/bench_support.h"
#include "tensor/half.h"

namespace mill::tensor {
namespace {

struct Options {
  std::string path = "auto";
  int threads = 2;
  std::vector<std::string> types = {"Q4_0", "Q4_1", "Q5_0", "Q8_0", "Q4_K", "Q6_K", "F16"};
  std::vector<std::string> shapes = {"576x1536", "1536x576", "896x4864", "4864x896"};
  std::vector<std::string> rows = {"1", "4", "8", "16", "32", "128", "512"};
  double seconds = 0.3;
  bool cpu_clock = false;
  bool prompts = false;
};

std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> parts(1);
  for (const char c : text) {
    if (c == ',') {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  }
  return parts;
}

Options options_of(int count, char** words) {
  std::map<std::string, std::string> given = flags_of(count, words);
  Options made;
  if (given.contains("--path")) made.path = given["--path"];
  if (given.contains("--threads")) made.threads = std::stoi(given["--threads"]);
  if (given.contains("--types")) made.types = split(given["--types"]);
  if (given.contains("--shapes")) made.shapes = split(given["--shapes"]);
  if (given.contains("--rows")) made.rows = split(given["--rows"]);
  if (given.contains("--seconds")) made.seconds = std::stod(given["--seconds"]);
  made.cpu_clock = given["--clock"] == "cpu";
  made.prompts = given["--of"] == "prompts";
  return made;
}

// Some bytes that are finite numbers in every type.
std::vector<std::byte> file_bytes(DType dtype, int64_t rows, int64_t cols) {
  std::vector<std::byte> bytes(static_cast<size_t>(rows * row_bytes(dtype, cols)));
  std::mt19937_64 random(7);
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(random() % 0x38);
  return bytes;
}

class Bench {
 public:
  Bench(const Backend& backend, ThreadPool& pool, const Options& options)
      : backend_(backend), pool_(pool), options_(options) {}

  void run(DType dtype, int64_t cols, int64_t outputs) {
    constexpr size_t kColdBytes = size_t{128} << 20;
    const std::vector<std::byte> bytes = file_bytes(dtype, outputs, cols);
    const Weight weight{dtype, outputs, cols, bytes.data()};
    const size_t size = backend_.packed_bytes(weight);
    const size_t copies = kColdBytes / size + 1;
    Result<Arena> arena = Arena::reserve(copies * Arena::rounded(size) + (size_t{64} << 20));
    if (!arena) return fmt::print("{}\n", arena.error().message);
    std::vector<PackedMatrix> matrices(copies);
    const double start = now();
    pool_.run([&](Team& team) {
      for (PackedMatrix& matrix : matrices) {
        const std::span<std::byte> room{
            arena->data() +
                (&matrix - matrices.data()) * static_cast<int64_t>(Arena::rounded(size)),
            size};
        const PackedMatrix made = backend_.pack(team, weight, room);
        if (team.index() == 0) matrix = made;
      }
    });
    const double packed = static_cast<double>(copies * bytes.size()) / (now() - start) * 1e-9;
    for (size_t i = 0; i < copies; ++i) arena->take(size);
    fmt::print("{:6} {:>5}x{:<6} pack {:4.2f} GB/s", name(dtype), cols, outputs, packed);
    for (const std::string& rows : options_.rows) {
      const double rate = measure(*arena, matrices, std::stoll(rows), cols, outputs);
      fmt::print("  {}: {:3.0f}", rows, rate * 1e-9);
      if (rows == "1") {
        const double weights = static_cast<double>(cols * outputs);
        fmt::print(" ({:4.1f} GB/s)", rate / weights * static_cast<double>(size) * 1e-9);
      }
      std::fflush(stdout);
    }
    fmt::print("\n");
  }

 private:
  double now() const { return bench_seconds(options_.cpu_clock); }

  // Multiplications per second, the median of at least 5 rounds.
  double measure(const Arena& arena, const std::vector<PackedMatrix>& matrices, int64_t rows,
                 int64_t cols, int64_t outputs) {
    Result<Arena> room =
        Arena::reserve(static_cast<size_t>((rows + 16) * (cols * 12 + outputs * 4)) +
                       (size_t{1} << 20));
    if (!room || arena.size() == 0) return 0;
    const Matrix x{room->take_array<float>(static_cast<size_t>(rows * cols)), rows, cols, cols};
    for (int64_t i = 0; i < rows * cols; ++i) x.data[i] = static_cast<float>(i * 37 % 101) - 50;
    Activations normed{.rows = rows, .cols = cols};
    if (backend_.form_read_by(matrices[0]) == kValues) {
      normed.values = room->take_array<float>(static_cast<size_t>(rows * cols));
    } else if (options_.prompts && backend_.prompts_apart()) {
      normed.prompt_rows = rows;
      normed.bfloats = room->take_array<uint16_t>(static_cast<size_t>(bfloat_count(rows, cols)));
    } else {
      normed.codes = room->take_array<int8_t>(static_cast<size_t>(rows * cols));
      normed.scales = room->take_array<float>(static_cast<size_t>(rows * cols / kGroup));
      normed.sums = room->take_array<int32_t>(static_cast<size_t>(rows * cols / kGroup));
    }
    const Matrix out{room->take_array<float>(static_cast<size_t>(rows * outputs)), rows, outputs,
                     outputs};
    const std::vector<float> weight(static_cast<size_t>(cols), 1.0F);
    const double work = static_cast<double>(rows * cols) * static_cast<double>(outputs);
    const auto calls =
        std::max<int64_t>(1, static_cast<int64_t>(options_.seconds / 7 * 150e9 / work));
    std::vector<double> rates;
    size_t next = 0;
    for (const double end = now() + options_.seconds; rates.size() < 5 || now() < end;) {
      const double start = now();
      pool_.run([&](Team& team) {
        for (int64_t call = 0; call < calls; ++call) {
          backend_.rms_norm(team, x, weight.data(), 1e-5F, normed);
          team.wait();
          const size_t index = (next + static_cast<size_t>(call)) % matrices.size();
          const Product product{.weight = &matrices[index], .out = out};
          backend_.products(team, normed, {&product, 1});
          team.wait();
        }
      });
      next += static_cast<size_t>(calls);
      rates.push_back(work * static_cast<double>(calls) / (now() - start));
    }
    std::sort(rates.begin(), rates.end());
    return rates[rates.size() / 2];
  }

  const Backend& backend_;
  ThreadPool& pool_;
  const Options& options_;
};

int run(int count, char** words) {
  const Options options = options_of(count, words);
  const std::unique_ptr<Backend> backend = backend_to_bench(options.path);
  if (!backend) return 1;
  ThreadPool pool(options.threads);
  fmt::print("{}, {} threads; GMAC/s by rows\n", backend->name(), options.threads);
  Bench bench(*backend, pool, options);
  for (const std::string& type : options.types) {
    for (const std::string& shape : options.shapes) {
      const auto dtype = std::find_if(kAllDTypes.begin(), kAllDTypes.end(),
                                      [&](DType other) { return name(other) == type; });
      const int64_t cols = std::stoll(shape);
      const int64_t outputs = std::stoll(shape.substr(shape.find('x') + 1));
      if (dtype == kAllDTypes.end()) {
        fmt::print(stderr, "there is no type {}\n", type);
        return 1;
      }
      if (cols % block_elements(*dtype) != 0) continue;  // no such tensor can be
      bench.run(*dtype, cols, outputs);
    }
  }
  return 0;
}

}  // namespace
}  // namespace mill::tensor

int main(int count, char** words) {
  return mill::tensor::run(count, words);
}
