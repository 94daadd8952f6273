// Times of what a layer does between its products: attention, the store of keys and values, norm
// and gate.
//
//   mill_attention_bench [--path avx2] [--threads 1] [--kv int8] [--shape 9/3x64]
//                        [--loads 1x512@0,8x1@512,16x1@4096] [--layers 1] [--prompts yes|no]
//                        [--seconds 0.5]
//                        [--clock wall|cpu]
//
// A shape is heads/KV heads x head_dim; a load is sequences x new tokens of each @ tokens in the
// cache before them; of more than one token they are prompts (or, by --prompts no, answers).
// Attention is given in GMAC/s of what its queries see (scores and weighed
// values), the others in ns per row of heads * head_dim numbers (of a gate: of three times as
// many). Each attention is of the next of the layers, whose blocks lie side by side as in an
// engine: with many, keys and values come from as far as they do there. With --clock cpu and one
// thread, only the time on a core counts: on a busy machine that is nearer to the truth.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "tensor/arena.h"
#include "tensor/backend.h"
#include "tensor/bench_support.h"

namespace mill::tensor {
namespace {

struct Load {
  int64_t sequences = 0, tokens = 0, before = 0;
};

struct Options {
  std::string path = "auto";
  int threads = 1;
  std::string kv = "int8";
  HeadShape shape{9, 3, 64};
  std::vector<Load> loads = {{1, 512, 0}, {8, 1, 512}, {16, 1, 4096}};
  int layers = 1;
  bool prompts = true;
  double seconds = 0.5;
  bool cpu_clock = false;
};

std::vector<Load> loads_of(const std::string& text) {
  std::vector<Load> loads;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find(',', at), text.size());
    const std::string one = text.substr(at, end - at);
    loads.push_back({std::stoll(one), std::stoll(one.substr(one.find('x') + 1)),
                     std::stoll(one.substr(one.find('@') + 1))});
    at = end + 1;
  }
  return loads;
}

Options options_of(int count, char** words) {
  std::map<std::string, std::string> given = flags_of(count, words);
  Options made;
  if (given.contains("--path")) made.path = given["--path"];
  if (given.contains("--threads")) made.threads = std::stoi(given["--threads"]);
  if (given.contains("--kv")) made.kv = given["--kv"];
  if (given.contains("--shape")) {
    const std::string& shape = given["--shape"];
    made.shape = {std::stoi(shape), std::stoi(shape.substr(shape.find('/') + 1)),
                  std::stoi(shape.substr(shape.find('x') + 1))};
  }
  if (given.contains("--loads")) made.loads = loads_of(given["--loads"]);
  if (given.contains("--layers")) made.layers = std::stoi(given["--layers"]);
  if (given.contains("--prompts")) made.prompts = given["--prompts"] != "no";
  if (given.contains("--seconds")) made.seconds = std::stod(given["--seconds"]);
  made.cpu_clock = given["--clock"] == "cpu";
  return made;
}

class Numbers {
 public:
  explicit Numbers(size_t count) : numbers_(count) {
    std::mt19937_64 random(7);
    std::normal_distribution<float> normal;
    for (float& number : numbers_) number = normal(random);
  }
  Matrix matrix(int64_t rows, int64_t cols) { return {numbers_.data(), rows, cols, cols}; }

 private:
  std::vector<float> numbers_;
};

class Bench {
 public:
  Bench(const Backend& backend, ThreadPool& pool, const Options& options, KvType kv)
      : backend_(backend), pool_(pool), options_(options), kv_(kv) {}

  void run(const Load& load) {
    const HeadShape& shape = options_.shape;
    const int64_t rows = load.sequences * load.tokens;
    const int64_t blocks = (load.before + load.tokens + kBlockTokens - 1) / kBlockTokens;
    const size_t plane = static_cast<size_t>(shape.kv_heads) * kv_head_bytes(kv_, shape.head_dim);
    const size_t block_bytes = 2 * plane * static_cast<size_t>(options_.layers);
    const Result<Arena> room =
        Arena::reserve(block_bytes * static_cast<size_t>(blocks * load.sequences));
    if (!room) return fmt::print("{}\n", room.error().message);
    std::vector<KvLayer> kv;
    for (size_t at = 0; at < block_bytes; at += 2 * plane) {
      kv.push_back({room->data(), block_bytes, at, at + plane, kv_});
    }
    std::vector<int32_t> ids(static_cast<size_t>(blocks * load.sequences));
    for (size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<int32_t>(i);
    std::shuffle(ids.begin(), ids.end(), std::mt19937_64(7));
    std::vector<Slice> slices, whole;
    for (int64_t i = 0; i < load.sequences; ++i) {
      const std::span<const int32_t> of{ids.data() + i * blocks, static_cast<size_t>(blocks)};
      slices.push_back(
          {i * load.tokens, load.tokens, load.before, of, options_.prompts && load.tokens > 1});
      whole.push_back({0, load.before + load.tokens, 0, of, false});
    }
    for (const KvLayer& layer : kv) {
      for (const Slice& slice : whole) store({&slice, 1}, layer, slice.rows)();
    }
    const int64_t cols = int64_t{shape.heads} * shape.head_dim;
    fmt::print(
        "{}x{}@{}:  attention {:6.1f} GMAC/s  store {:5.0f}  norm {:5.0f}  gate {:5.0f}\n",
        load.sequences, load.tokens, load.before,
        seen(load) * static_cast<double>(2 * cols) * 1e-9 / measure(attend(slices, kv, rows)),
        measure(store(slices, kv[0], rows)) / static_cast<double>(rows) * 1e9,
        measure(norm(rows)) / static_cast<double>(rows) * 1e9,
        measure(gate(rows)) / static_cast<double>(rows) * 1e9);
    std::fflush(stdout);
  }

 private:
  using Work = std::function<void()>;

  double now() const { return bench_seconds(options_.cpu_clock); }

  // Pairs of a query row and a token that it sees.
  static double seen(const Load& load) {
    const auto tokens = static_cast<double>(load.tokens);
    return static_cast<double>(load.sequences) * tokens *
           (static_cast<double>(load.before) + (tokens + 1) / 2);
  }

  // Seconds of one call: of the quickest, as whatever else goes on only adds to it.
  double measure(const Work& work) const {
    double least = 1e9;
    work();
    for (const double end = now() + options_.seconds; now() < end;) {
      int calls = 0;
      const double start = now();
      do work(), ++calls;
      while (now() - start < 0.01);
      least = std::min(least, (now() - start) / calls);
    }
    return least;
  }

  // As many rows of heads as the batch has; numbers that stay of one size under repeated norms.
  Work store(std::span<const Slice> slices, const KvLayer& kv, int64_t rows) {
    const HeadShape& shape = options_.shape;
    const int64_t cols = int64_t{shape.heads} * shape.head_dim;
    const int64_t kv_cols = int64_t{shape.kv_heads} * shape.head_dim;
    const int64_t half = shape.head_dim / 2;
    auto q = std::make_shared<Numbers>(static_cast<size_t>(rows * cols));
    auto k = std::make_shared<Numbers>(static_cast<size_t>(rows * kv_cols));
    auto angles = std::make_shared<std::vector<float>>(static_cast<size_t>(rows * half), 0.6F);
    auto sines = std::make_shared<std::vector<float>>(angles->size(), 0.8F);
    return [=, this] {
      const Rotation rotation{{angles->data(), rows, half, half},
                              {sines->data(), rows, half, half},
                              shape.head_dim,
                              true};
      StoreCall call;
      call.shape = shape;
      call.slices = slices;
      call.q = q->matrix(rows, cols);
      call.k = k->matrix(rows, kv_cols);
      call.v = k->matrix(rows, kv_cols);
      call.rotation = &rotation;
      call.kv = kv;
      pool_.run([&](Team& team) { backend_.store_kv(team, call); });
    };
  }

  Work attend(std::span<const Slice> slices, std::span<const KvLayer> layers, int64_t rows) {
    const int64_t cols = int64_t{options_.shape.heads} * options_.shape.head_dim;
    auto q = std::make_shared<Numbers>(static_cast<size_t>(rows * cols));
    auto out = std::make_shared<Coded>(rows, cols);
    return [=, this, next = size_t{0}]() mutable {
      AttentionCall call;
      call.shape = options_.shape;
      call.slices = slices;
      call.q = q->matrix(rows, cols);
      call.scale = 1 / std::sqrt(static_cast<float>(options_.shape.head_dim));
      call.kv = layers[next++ % layers.size()];
      call.out = out->all;
      pool_.run([&](Team& team) { backend_.attention(team, call); });
    };
  }

  Work norm(int64_t rows) {
    const int64_t cols = int64_t{options_.shape.heads} * options_.shape.head_dim;
    auto x = std::make_shared<Numbers>(static_cast<size_t>(rows * cols));
    auto out = std::make_shared<Coded>(rows, cols);
    auto weight = std::make_shared<std::vector<float>>(static_cast<size_t>(cols), 1.0F);
    return [=, this] {
      pool_.run([&](Team& team) {
        backend_.rms_norm(team, x->matrix(rows, cols), weight->data(), 1e-5F, out->all);
      });
    };
  }

  Work gate(int64_t rows) {
    const int64_t cols = int64_t{3} * options_.shape.heads * options_.shape.head_dim;
    auto x = std::make_shared<Numbers>(static_cast<size_t>(rows * cols));
    auto out = std::make_shared<Coded>(rows, cols);
    return [=, this] {
      pool_.run([&](Team& team) {
        const Matrix all = x->matrix(rows, cols);
        backend_.gated(team, Gate::kSilu, all, all, out->all);
      });
    };
  }

  struct Coded {
    Coded(int64_t rows, int64_t cols)
        : codes(static_cast<size_t>(rows * cols)),
          scales(codes.size() / kGroup),
          sums(codes.size() / kGroup),
          all{rows, cols, nullptr, codes.data(), scales.data(), sums.data()} {}
    std::vector<int8_t> codes;
    std::vector<float> scales;
    std::vector<int32_t> sums;
    Activations all;
  };

  const Backend& backend_;
  ThreadPool& pool_;
  const Options& options_;
  const KvType kv_;
};

int run(int count, char** words) {
  const Options options = options_of(count, words);
  const std::unique_ptr<Backend> backend = backend_to_bench(options.path);
  if (!backend) return 1;
  const std::optional<KvType> kv = kv_type_named(options.kv);
  if (!kv) {
    fmt::print(stderr, "there is no cache of type {}\n", options.kv);
    return 1;
  }
  if (int64_t{options.shape.heads} * options.shape.head_dim % kGroup != 0) {
    fmt::print(stderr, "heads * head_dim must be a multiple of {}\n", kGroup);
    return 1;
  }
  ThreadPool pool(options.threads);
  fmt::print("{}, {} threads, {} cache, {}/{} heads of {}; ns per row\n", backend->name(),
             options.threads, name(*kv), options.shape.heads, options.shape.kv_heads,
             options.shape.head_dim);
  Bench bench(*backend, pool, options, *kv);
  for (const Load& load : options.loads) bench.run(load);
  return 0;
}

}  // namespace
}  // namespace mill::tensor

int main(int count, char** words) {
  return mill::tensor::run(count, words);
}
