#include "model/decoder_weights.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>

#include "base/check.h"
#include "model/key_balance.h"
#include "model/packed_cache.h"
#include "tensor/reference/dequantize.h"

namespace mill::model {
namespace {

tensor::Weight stored(const Gguf& file, const std::string& name) {
  const GgufTensor* tensor = file.find(name);
  MILL_CHECK(tensor != nullptr);
  return {tensor->dtype, tensor->rows(), tensor->cols(), tensor->data.data()};
}

std::vector<float> vector_of(const Gguf& file, const std::string& name) {
  const tensor::Weight weight = stored(file, name);
  std::vector<float> values(static_cast<size_t>(weight.rows * weight.cols));
  tensor::dequantize_row(weight.dtype, weight.data, values);
  return values;
}

// A matrix to pack, and where the packed one is noted.
struct Job {
  std::string name;  // the file's
  tensor::Weight from;
  tensor::PackedMatrix* to;
};

void read_vectors(const Gguf& file, const DecoderConfig& config, DecoderWeights& weights) {
  weights.output_norm = vector_of(file, "output_norm.weight");
  if (file.find("rope_freqs.weight")) weights.rope_factors = vector_of(file, "rope_freqs.weight");
  for (int32_t i = 0; i < config.layers; ++i) {
    LayerWeights& layer = weights.layers[static_cast<size_t>(i)];
    const auto read = [&](const char* part) {
      return vector_of(file, fmt::format("blk.{}.{}", i, part));
    };
    layer.attention_norm = read("attn_norm.weight");
    layer.ffn_norm = read("ffn_norm.weight");
    if (config.sandwich_norms) {
      layer.attention_post_norm = read("post_attention_norm.weight");
      layer.ffn_post_norm = read("post_ffw_norm.weight");
    }
    if (config.qk_norm) {
      layer.q_norm = read("attn_q_norm.weight");
      layer.k_norm = read("attn_k_norm.weight");
    }
    if (config.qkv_bias) {
      layer.q_bias = read("attn_q.bias");
      layer.k_bias = read("attn_k.bias");
      layer.v_bias = read("attn_v.bias");
    }
  }
}

std::vector<Job> jobs_of(const Gguf& file, const DecoderConfig& config, DecoderWeights& weights) {
  std::vector<Job> jobs;
  const auto add = [&](const std::string& name, tensor::PackedMatrix* to) {
    jobs.push_back({name, stored(file, name), to});
  };
  add(config.tied_head ? "token_embd.weight" : "output.weight", &weights.head);
  for (int32_t i = 0; i < config.layers; ++i) {
    LayerWeights& layer = weights.layers[static_cast<size_t>(i)];
    const std::pair<const char*, tensor::PackedMatrix*> parts[] = {
        {"attn_q", &layer.q},      {"attn_k", &layer.k},      {"attn_v", &layer.v},
        {"attn_output", &layer.o}, {"ffn_gate", &layer.gate}, {"ffn_up", &layer.up},
        {"ffn_down", &layer.down}};
    for (const auto& [part, to] : parts) {
      add(fmt::format("blk.{}.{}.weight", i, part), to);
    }
  }
  return jobs;
}

void note_forms(const tensor::Backend& backend, DecoderWeights& weights) {
  weights.dim_forms = backend.form_read_by(weights.head);
  for (const LayerWeights& layer : weights.layers) {
    for (const auto* matrix : {&layer.q, &layer.k, &layer.v, &layer.gate, &layer.up}) {
      weights.dim_forms |= backend.form_read_by(*matrix);
    }
    weights.attention_forms |= backend.form_read_by(layer.o);
    weights.ffn_forms |= backend.form_read_by(layer.down);
  }
}

// A matrix is packed in pieces of about this size. After each the file's pages of it are let go of,
// and whoever shares the threads may have a turn.
constexpr size_t kPieceBytes = size_t{2} << 20;
// Every backend lays out a matrix in panels of rows, one panel after the other, and this is a
// multiple of all their sizes: pieces that begin at one come out as in the whole (see the test).
constexpr int64_t kPieceRows = 256;

// What a cache is asked for: the matrices in the order of the arena. Nothing for a file without an
// identity.
std::optional<PackedHead> head_of(const Gguf& file, const std::vector<Job>& jobs,
                                  const tensor::Backend& backend) {
  const std::optional<ModelIdentity> identity = identity_of(file);
  if (!identity) return std::nullopt;
  PackedHead head{.identity = *identity, .layout = std::string(backend.layout())};
  for (const Job& job : jobs) {
    head.tensors.push_back({.name = job.name,
                            .dtype = job.from.dtype,
                            .rows = job.from.rows,
                            .cols = job.from.cols,
                            .bytes = backend.packed_bytes(job.from)});
  }
  return head;
}

Result<tensor::Arena> arena_for(const std::vector<Job>& jobs, const tensor::Backend& backend) {
  size_t total = 0;
  for (const Job& job : jobs) total += tensor::Arena::rounded(backend.packed_bytes(job.from));
  return tensor::Arena::reserve(total);
}

// Takes the matrices from the cache, and says so in `weights`, if they are there.
Status read_matrices(const std::filesystem::path& kept, const PackedHead& head,
                     const tensor::Backend& backend, const std::vector<Job>& jobs,
                     tensor::ThreadPool& pool, const LoadOptions& options,
                     DecoderWeights& weights) {
  MILL_TRY(tensor::Arena arena, arena_for(jobs, backend));
  const std::vector<uint64_t> offsets = head.offsets();
  const std::span<std::byte> room = arena.take(offsets.back());
  MILL_TRY(weights.from_cache, options.cache->read(kept, head, room, pool, options.progress));
  if (!weights.from_cache) return {};
  for (size_t i = 0; i < jobs.size(); ++i) {
    *jobs[i].to = backend.packed(jobs[i].from, room.subspan(offsets[i], head.tensors[i].bytes));
  }
  weights.arena = std::move(arena);
  return {};
}

Status pack_matrices(const Gguf& file, const tensor::Backend& backend, const std::vector<Job>& jobs,
                     tensor::ThreadPool& pool, const LoadOptions& options,
                     DecoderWeights& weights) {
  MILL_TRY(weights.arena, arena_for(jobs, backend));
  size_t total = 0;
  for (const Job& job : jobs) total += tensor::Arena::rounded(backend.packed_bytes(job.from));
  for (const Job& job : jobs) {
    const size_t before = weights.arena.used();
    const std::span<std::byte> room = weights.arena.take(backend.packed_bytes(job.from));
    size_t made = 0;
    for (int64_t row = 0; row < job.from.rows;) {
      const tensor::Weight piece = piece_of(job.from, row);
      pool.run([&](tensor::Team& team) {
        const tensor::PackedMatrix packed = backend.pack(team, piece, room.subspan(made));
        if (team.index() == 0) *job.to = packed;
      });
      row += piece.rows;
      made += job.to->bytes;
      const size_t bytes =
          static_cast<size_t>(piece.rows) * tensor::row_bytes(piece.dtype, piece.cols);
      file.drop_pages(std::span(piece.data, bytes));
      const size_t done = row < job.from.rows ? before + made : weights.arena.used();
      const double share = static_cast<double>(done) / static_cast<double>(total);
      if (!options.progress(share)) return fail(Code::kCancelled, "the load was given up");
    }
    MILL_CHECK(made == room.size());
    *job.to = backend.packed(job.from, room);
  }
  return {};
}

}  // namespace

tensor::Weight piece_of(const tensor::Weight& whole, int64_t first_row) {
  const size_t row = tensor::row_bytes(whole.dtype, whole.cols);
  const auto fit = static_cast<int64_t>(kPieceBytes / row) / kPieceRows * kPieceRows;
  tensor::Weight piece = whole;
  piece.rows = std::min(std::max(fit, kPieceRows), whole.rows - first_row);
  piece.data += static_cast<size_t>(first_row) * row;
  return piece;
}

void balance_keys(const Gguf& file, const DecoderConfig& config, tensor::ThreadPool& pool,
                  DecoderWeights& weights) {
  const Rope ropes[] = {Rope(config.rope, weights.rope_factors),
                        Rope(config.local_rope, weights.rope_factors)};
  pool.run([&](tensor::Team& team) {
    const auto [first, last] = team.share(config.layers);
    for (int64_t i = first; i < last; ++i) {
      LayerWeights& layer = weights.layers[static_cast<size_t>(i)];
      const tensor::Weight queries = stored(file, fmt::format("blk.{}.attn_q.weight", i));
      const tensor::Weight keys = stored(file, fmt::format("blk.{}.attn_k.weight", i));
      KeyBalance made = key_balance({queries, layer.q_bias, layer.q_norm},
                                    {keys, layer.k_bias, layer.k_norm}, layer.attention_norm,
                                    config.heads, ropes[config.windowed[static_cast<size_t>(i)]],
                                    config.attention_softcap == 0);
      layer.query_factors = std::move(made.query_factors);
      layer.key_factors = std::move(made.key_factors);
      layer.key_center = std::move(made.key_center);
      for (const tensor::Weight& matrix : {queries, keys}) {
        const size_t row = tensor::row_bytes(matrix.dtype, matrix.cols);
        file.drop_pages(std::span(matrix.data, static_cast<size_t>(matrix.rows) * row));
      }
    }
  });
}

Result<DecoderWeights> pack_weights(const Gguf& file, const DecoderConfig& config,
                                    const tensor::Backend& backend, tensor::ThreadPool& pool,
                                    const LoadOptions& options) {
  DecoderWeights weights;
  weights.layers.resize(static_cast<size_t>(config.layers));
  weights.embedding = stored(file, "token_embd.weight");
  read_vectors(file, config, weights);
  const std::vector<Job> jobs = jobs_of(file, config, weights);
  const std::optional<PackedHead> head =
      options.cache ? head_of(file, jobs, backend) : std::nullopt;
  file.drop_pages();  // each vector lies alone between matrices, and brought 64 KiB of them

  // A cache that proves wrong halfway does not bring the progress back.
  double furthest = 0;
  LoadOptions told = options;
  told.progress = [&](double share) {
    furthest = std::max(furthest, share);
    return !options.progress || options.progress(furthest);
  };
  std::filesystem::path kept;
  if (head) {
    kept = options.cache->path_of(options.name, *head);
    MILL_TRY_DO(read_matrices(kept, *head, backend, jobs, pool, told, weights));
  }
  if (!weights.from_cache) MILL_TRY_DO(pack_matrices(file, backend, jobs, pool, told, weights));
  // A file that was changed meanwhile may have been packed half before, half after.
  if (head && !weights.from_cache && file.unchanged()) {
    const std::span<const std::byte> packed(weights.arena.data(), weights.arena.used());
    MILL_TRY_DO(options.cache->keep(kept, *head, packed, pool, told.progress));
  }
  note_forms(backend, weights);
  return weights;
}

}  // namespace mill::model
