#include "model/decoder.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include "base/check.h"
#include "model/decoder_weights.h"
#include "model/rope.h"
#include "tensor/arena.h"
#include "tensor/reference/dequantize.h"

namespace mill::model {

using tensor::Activations;
using tensor::ConstMatrix;
using tensor::Matrix;
using tensor::Product;
using tensor::Team;

namespace {

// Room for activations of at most `rows` rows, in the forms their readers need; `prompts` of them
// may be apart.
Activations make_activations(tensor::Arena& arena, int64_t rows, int64_t prompts, int64_t cols,
                             uint32_t forms) {
  Activations made{.rows = rows, .cols = cols};
  const auto count = static_cast<size_t>(rows * cols);
  const auto groups = static_cast<size_t>(rows * (cols / tensor::kGroup));
  if (forms & tensor::kValues) made.values = arena.take_array<float>(count);
  if (forms & tensor::kCodes) {
    made.codes = arena.take_array<int8_t>(count);
    made.scales = arena.take_array<float>(groups);
    made.sums = arena.take_array<int32_t>(groups);
    if (prompts > 0) {
      made.bfloats =
          arena.take_array<uint16_t>(static_cast<size_t>(tensor::bfloat_count(prompts, cols)));
    }
  }
  return made;
}

size_t activation_bytes(int64_t rows, int64_t prompts, int64_t cols) {
  const auto count = static_cast<size_t>(rows * cols);
  return 5 * 64 + count * (sizeof(float) + 1) + count / tensor::kGroup * 8 +
         static_cast<size_t>(tensor::bfloat_count(prompts, cols)) * sizeof(uint16_t);
}

Matrix make_matrix(tensor::Arena& arena, int64_t rows, int64_t cols) {
  return {arena.take_array<float>(static_cast<size_t>(rows * cols)), rows, cols, cols};
}

template <class Rows>
Rows first_rows(Rows all, int64_t rows) {
  all.rows = rows;
  return all;
}
// The last `prompts` of them apart.
Activations first_rows(Activations all, int64_t rows, int64_t prompts) {
  all.rows = rows;
  all.prompt_rows = all.bfloats ? prompts : 0;
  return all;
}

const float* or_null(const std::vector<float>& values) {
  return values.empty() ? nullptr : values.data();
}

}  // namespace

// The buffers of one forward, for the most rows a forward may have.
struct Workspace {
  tensor::Arena arena;
  Matrix hidden;            // [batch, dim] the residual stream
  Activations normed;       // [batch, dim]
  Matrix q, k, v;           // [batch, heads * head_dim], [batch, kv_heads * head_dim]
  Activations attended;     // [batch, heads * head_dim]
  Activations gated;        // [batch, ffn_dim]
  Matrix sublayer;          // [batch, dim], only with sandwich norms
  Matrix cos[2], sin[2];    // [batch, dims / 2] of the global and the local rope
  Matrix last_hidden;       // [logit rows, dim]
  Activations last_normed;  // [logit rows, dim]
  Matrix logits;            // [logit rows, vocabulary]

  static Result<Workspace> make(const DecoderConfig& config, const DecoderWeights& weights,
                                const DecoderLimits& limits, bool prompts_apart);
};

Result<Workspace> Workspace::make(const DecoderConfig& config, const DecoderWeights& weights,
                                  const DecoderLimits& limits, bool prompts_apart) {
  const int64_t prompts = prompts_apart ? limits.batch_tokens : 0;
  const int64_t rows = limits.batch_tokens, last = limits.logit_rows;
  const int64_t q_dim = int64_t{config.heads.heads} * config.heads.head_dim;
  const int64_t kv_dim = int64_t{config.heads.kv_heads} * config.heads.head_dim;
  const int64_t matrices =
      rows * (2 * config.dim + q_dim + 2 * kv_dim + config.rope.dims + config.local_rope.dims) +
      last * (config.dim + config.vocabulary);
  const size_t bytes =
      static_cast<size_t>(matrices) * sizeof(float) + activation_bytes(rows, prompts, config.dim) +
      activation_bytes(rows, prompts, q_dim) + activation_bytes(rows, prompts, config.ffn_dim) +
      activation_bytes(last, 0, config.dim) + 16 * 64;
  Workspace made;
  MILL_TRY(made.arena, tensor::Arena::reserve(bytes));
  tensor::Arena& arena = made.arena;
  made.hidden = make_matrix(arena, rows, config.dim);
  made.normed = make_activations(arena, rows, prompts, config.dim, weights.dim_forms);
  made.q = make_matrix(arena, rows, q_dim);
  made.k = make_matrix(arena, rows, kv_dim);
  made.v = make_matrix(arena, rows, kv_dim);
  made.attended = make_activations(arena, rows, prompts, q_dim, weights.attention_forms);
  made.gated = make_activations(arena, rows, prompts, config.ffn_dim, weights.ffn_forms);
  made.sublayer = make_matrix(arena, rows, config.dim);
  const int32_t dims[2] = {config.rope.dims, config.local_rope.dims};
  for (int i = 0; i < 2; ++i) {
    made.cos[i] = make_matrix(arena, rows, dims[i] / 2);
    made.sin[i] = make_matrix(arena, rows, dims[i] / 2);
  }
  made.last_hidden = make_matrix(arena, last, config.dim);
  made.last_normed = make_activations(arena, last, 0, config.dim, weights.dim_forms);
  made.logits = make_matrix(arena, last, config.vocabulary);
  return made;
}

struct Decoder::Impl {
  Impl(std::shared_ptr<const Gguf> f, DecoderConfig c, DecoderWeights w, DecoderLimits l,
       Workspace s, const tensor::Backend& b, tensor::ThreadPool& p)
      : file(std::move(f)),
        config(std::move(c)),
        weights(std::move(w)),
        limits(l),
        space(std::move(s)),
        backend(b),
        pool(p),
        rope{Rope(config.rope, weights.rope_factors),
             Rope(config.local_rope, weights.rope_factors)} {
    for (const bool windowed : config.windowed) {
      int32_t& count = windowed ? layout.windowed_layers : layout.layers;
      place_in_block.push_back(count++);
    }
    layout.type = limits.kv_type;
    layout.kv_heads = config.heads.kv_heads;
    layout.head_dim = config.heads.head_dim;
    if (layout.windowed_layers > 0) layout.window = config.window;
  }

  std::shared_ptr<const Gguf> file;
  DecoderConfig config;
  DecoderWeights weights;
  DecoderLimits limits;
  Workspace space;
  const tensor::Backend& backend;
  tensor::ThreadPool& pool;
  Rope rope[2];  // of layers without a window, and with one
  KvLayout layout;
  std::vector<int32_t> place_in_block;  // [layers] among those of its kind

  // Where the tokens of a SequenceSlice lie among the rows: its first `prompts` tokens in one
  // place, the others in another.
  struct Place {
    int64_t prompts = 0;
    int64_t prompt_row = 0, answer_row = 0;
    int64_t row_of(int64_t token) const {
      return token < prompts ? prompt_row + token : answer_row + token - prompts;
    }
  };

  // Of the forward under way. Rows of prompts are behind all others where they are apart.
  int64_t rows = 0;
  int64_t prompt_rows = 0;  // that are apart
  int64_t logit_rows = 0;
  std::vector<Place> places;             // of each SequenceSlice
  std::vector<tensor::Slice> slices[2];  // with the blocks of layers without a window, and with one
  StepProfile* profile = nullptr;        // thread 0's; null: nobody asks

  void arrange(std::span<const SequenceSlice> sequences);
  void run(Team& team, std::span<const SequenceSlice> sequences, const KvMemory& kv);
  void embed(Team& team, std::span<const SequenceSlice> sequences);
  void attention_sublayer(Team& team, int32_t index, const KvMemory& kv);
  void ffn_sublayer(Team& team, int32_t index, const KvMemory& kv);
  void add_sublayer(Team& team, const Activations& x, const tensor::PackedMatrix& weight,
                    const std::vector<float>& post_norm, Station station);
  void head(Team& team, std::span<const SequenceSlice> sequences);
  tensor::KvLayer kv_layer(int32_t index, const KvMemory& kv) const;
  tensor::AttentionCall attention_call(int32_t index, const KvMemory& kv) const;

  // This thread's share of a station is done.
  void mark(const Team& team, Station station) const {
    if (profile && team.index() == 0) profile->end_of(station);
  }
  // And so are the others'.
  void meet(Team& team, Station station) const {
    mark(team, station);
    team.wait();
    mark(team, Station::kWaiting);
  }
};

// Rows of the embedding, and the angles of their positions.
void Decoder::Impl::embed(Team& team, std::span<const SequenceSlice> sequences) {
  const auto [first, last] = team.share(rows);
  const auto dim = static_cast<size_t>(config.dim);
  const auto row_size = static_cast<size_t>(tensor::row_bytes(weights.embedding.dtype, config.dim));
  const bool has_layers[2] = {layout.layers > 0, layout.windowed_layers > 0};
  for (size_t s = 0; s < sequences.size(); ++s) {
    const SequenceSlice& sequence = sequences[s];
    for (size_t i = 0; i < sequence.tokens.size(); ++i) {
      const int64_t row = places[s].row_of(static_cast<int64_t>(i));
      if (row < first || row >= last) continue;
      const auto token = static_cast<size_t>(sequence.tokens[i]);
      const std::span<float> to(space.hidden.row(row), dim);
      tensor::dequantize_row(weights.embedding.dtype, weights.embedding.data + token * row_size,
                             to);
      if (config.embedding_scale != 1.0F) {
        for (float& value : to) value *= config.embedding_scale;
      }
      for (int kind = 0; kind < 2; ++kind) {
        if (!has_layers[kind]) continue;
        rope[kind].angles(sequence.position + static_cast<int64_t>(i), space.cos[kind].row(row),
                          space.sin[kind].row(row));
      }
    }
  }
}

tensor::KvLayer Decoder::Impl::kv_layer(int32_t index, const KvMemory& kv) const {
  const auto layer = static_cast<size_t>(index);
  const size_t offset = layout.plane_bytes() * 2 * static_cast<size_t>(place_in_block[layer]);
  const bool windowed = config.windowed[layer];
  return {windowed ? kv.windowed : kv.full,
          windowed ? layout.window_block_bytes() : layout.block_bytes(), offset,
          offset + layout.plane_bytes(), layout.type};
}

tensor::AttentionCall Decoder::Impl::attention_call(int32_t index, const KvMemory& kv) const {
  const bool local = config.windowed[static_cast<size_t>(index)];
  return {.shape = config.heads,
          .slices = slices[local ? 1 : 0],
          .q = first_rows(space.q, rows),
          .scale = config.attention_scale,
          .softcap = config.attention_softcap,
          .window = local ? config.window : 0,
          .kv = kv_layer(index, kv),
          .out = first_rows(space.attended, rows, prompt_rows)};
}

// hidden += weight · x, through the sublayer's own norm where there is one.
void Decoder::Impl::add_sublayer(Team& team, const Activations& x,
                                 const tensor::PackedMatrix& weight,
                                 const std::vector<float>& post_norm, Station station) {
  const Matrix hidden = first_rows(space.hidden, rows);
  if (post_norm.empty()) {
    const Product product{.weight = &weight, .out = hidden, .accumulate = true};
    backend.products(team, x, {&product, 1});
    meet(team, station);
    return;
  }
  const Matrix out = first_rows(space.sublayer, rows);
  const Product product{.weight = &weight, .out = out};
  backend.products(team, x, {&product, 1});
  meet(team, station);
  backend.add_rms_norm(team, out, post_norm.data(), config.norm_eps, hidden);
  meet(team, Station::kNorms);
}

void Decoder::Impl::attention_sublayer(Team& team, int32_t index, const KvMemory& kv) {
  const LayerWeights& layer = weights.layers[static_cast<size_t>(index)];
  const bool local = config.windowed[static_cast<size_t>(index)];
  const int kind = local ? 1 : 0;
  const Matrix q = first_rows(space.q, rows), k = first_rows(space.k, rows),
               v = first_rows(space.v, rows);
  const Activations normed = first_rows(space.normed, rows, prompt_rows);

  backend.rms_norm(team, first_rows(space.hidden, rows), layer.attention_norm.data(),
                   config.norm_eps, normed);
  meet(team, Station::kNorms);
  const Product products[] = {{.weight = &layer.q, .bias = or_null(layer.q_bias), .out = q},
                              {.weight = &layer.k, .bias = or_null(layer.k_bias), .out = k},
                              {.weight = &layer.v, .bias = or_null(layer.v_bias), .out = v}};
  backend.products(team, normed, products);
  meet(team, Station::kQkv);
  const tensor::Rotation rotation{.cos = first_rows(space.cos[kind], rows),
                                  .sin = first_rows(space.sin[kind], rows),
                                  .dims = rope[kind].dims(),
                                  .half_split = rope[kind].half_split()};
  backend.store_kv(team, {.shape = config.heads,
                          .slices = slices[kind],
                          .q = q,
                          .k = k,
                          .v = v,
                          .q_norm = or_null(layer.q_norm),
                          .k_norm = or_null(layer.k_norm),
                          .q_factors = or_null(layer.query_factors),
                          .k_factors = or_null(layer.key_factors),
                          .k_center = or_null(layer.key_center),
                          .eps = config.norm_eps,
                          .rotation = &rotation,
                          .kv = kv_layer(index, kv)});
  meet(team, Station::kKvStore);
  backend.attention(team, attention_call(index, kv));
  meet(team, Station::kAttention);
  add_sublayer(team, first_rows(space.attended, rows, prompt_rows), layer.o,
               layer.attention_post_norm, Station::kAttentionOut);
}

void Decoder::Impl::ffn_sublayer(Team& team, int32_t index, const KvMemory& kv) {
  const LayerWeights& layer = weights.layers[static_cast<size_t>(index)];
  const Activations normed = first_rows(space.normed, rows, prompt_rows),
                    gated = first_rows(space.gated, rows, prompt_rows);
  backend.rms_norm(team, first_rows(space.hidden, rows), layer.ffn_norm.data(), config.norm_eps,
                   normed);
  meet(team, Station::kNorms);
  if (index + 1 < config.layers) backend.expect(team, attention_call(index + 1, kv));
  backend.gated_products(team, normed, config.gate, layer.gate, layer.up, gated);
  meet(team, Station::kGateUp);
  add_sublayer(team, gated, layer.down, layer.ffn_post_norm, Station::kDown);
}

// Logits of the wanted rows.
void Decoder::Impl::head(Team& team, std::span<const SequenceSlice> sequences) {
  if (logit_rows == 0) return;
  const auto [first, last] = team.share(logit_rows);
  int64_t to = 0;
  for (size_t i = 0; i < sequences.size(); ++i) {
    const auto count = static_cast<int64_t>(sequences[i].tokens.size());
    for (int64_t from = sequences[i].logits_from; from < count; ++from, ++to) {
      if (to < first || to >= last) continue;
      std::copy_n(space.hidden.row(places[i].row_of(from)), config.dim, space.last_hidden.row(to));
    }
  }
  meet(team, Station::kNorms);
  const Activations normed = first_rows(space.last_normed, logit_rows);
  backend.rms_norm(team, first_rows(space.last_hidden, logit_rows), weights.output_norm.data(),
                   config.norm_eps, normed);
  meet(team, Station::kNorms);
  const Matrix logits = first_rows(space.logits, logit_rows);
  const Product product{.weight = &weights.head, .out = logits};
  backend.products(team, normed, {&product, 1});
  if (config.final_softcap <= 0) return mark(team, Station::kHead);
  meet(team, Station::kHead);
  for (int64_t row = first; row < last; ++row) {
    const std::span<float> values(logits.row(row), static_cast<size_t>(logits.cols));
    for (float& x : values) x = config.final_softcap * std::tanh(x / config.final_softcap);
  }
  mark(team, Station::kHead);
}

void Decoder::Impl::run(Team& team, std::span<const SequenceSlice> sequences, const KvMemory& kv) {
  embed(team, sequences);
  meet(team, Station::kEmbedding);
  backend.expect(team, attention_call(0, kv));
  for (int32_t index = 0; index < config.layers; ++index) {
    attention_sublayer(team, index, kv);
    ffn_sublayer(team, index, kv);
  }
  head(team, sequences);
}

Result<KvRoom> KvRoom::reserve(const KvLayout& layout, size_t blocks) {
  KvRoom room;
  MILL_TRY(room.full, tensor::Arena::reserve(layout.block_bytes() * blocks));
  MILL_TRY(room.windowed, tensor::Arena::reserve(layout.window_block_bytes() * blocks));
  return room;
}

Decoder::Decoder(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Decoder::~Decoder() = default;

Result<std::unique_ptr<Decoder>> Decoder::load(std::shared_ptr<const Gguf> file,
                                               const tensor::Backend& backend,
                                               tensor::ThreadPool& pool, DecoderLimits limits,
                                               const LoadOptions& options) {
  MILL_TRY(DecoderConfig config, decoder_config_of(*file));
  MILL_TRY_DO(check_tensors(*file, config));
  MILL_TRY(DecoderWeights weights, pack_weights(*file, config, backend, pool, options));
  if (limits.kv_type == tensor::KvType::kI8) balance_keys(*file, config, pool, weights);
  MILL_TRY(Workspace space, Workspace::make(config, weights, limits, backend.prompts_apart()));
  file->drop_pages();
  return std::unique_ptr<Decoder>(
      new Decoder(std::make_unique<Impl>(std::move(file), std::move(config), std::move(weights),
                                         limits, std::move(space), backend, pool)));
}

const DecoderConfig& Decoder::config() const {
  return impl_->config;
}
const DecoderLimits& Decoder::limits() const {
  return impl_->limits;
}
KvLayout Decoder::kv_layout() const {
  return impl_->layout;
}
size_t Decoder::weight_bytes() const {
  return impl_->weights.arena.used();
}
bool Decoder::from_cache() const {
  return impl_->weights.from_cache;
}

bool Decoder::prompts_apart() const {
  return impl_->backend.prompts_apart();
}

// Gives each token its row: those of answers first, then those of prompts, if they are apart.
void Decoder::Impl::arrange(std::span<const SequenceSlice> sequences) {
  rows = prompt_rows = logit_rows = 0;
  places.clear();
  for (std::vector<tensor::Slice>& made : slices) made.clear();
  for (const SequenceSlice& sequence : sequences) {
    const auto count = static_cast<int64_t>(sequence.tokens.size());
    MILL_CHECK(count > 0 && sequence.logits_from >= 0 && sequence.logits_from <= count);
    Place place;
    if (backend.prompts_apart()) {
      place.prompts = std::clamp<int64_t>(sequence.prompt_tokens - sequence.position, 0, count);
    }
    place.prompt_row = prompt_rows, place.answer_row = rows;
    prompt_rows += place.prompts;
    rows += count - place.prompts;
    logit_rows += count - sequence.logits_from;
    places.push_back(place);
  }
  for (Place& place : places) place.prompt_row += rows;
  rows += prompt_rows;

  const auto add = [&](const SequenceSlice& sequence, int64_t row, int64_t first, int64_t count,
                       bool of_prompt) {
    if (count == 0) return;
    for (const bool windowed : {false, true}) {
      slices[windowed ? 1 : 0].push_back(
          {.first_row = row,
           .rows = count,
           .position = sequence.position + first,
           .blocks = windowed ? sequence.window_blocks : sequence.blocks,
           .of_prompt = of_prompt});
    }
  };
  for (size_t i = 0; i < sequences.size(); ++i) {
    const auto count = static_cast<int64_t>(sequences[i].tokens.size());
    add(sequences[i], places[i].answer_row, places[i].prompts, count - places[i].prompts, false);
  }
  for (size_t i = 0; i < sequences.size(); ++i) {
    add(sequences[i], places[i].prompt_row, 0, places[i].prompts, true);
  }
}

ConstMatrix Decoder::forward(std::span<const SequenceSlice> sequences, const KvMemory& kv,
                             StepProfile* profile) {
  Impl& impl = *impl_;
  impl.profile = profile;
  if (profile) profile->start();
  impl.arrange(sequences);
  MILL_CHECK(impl.rows <= impl.limits.batch_tokens && impl.logit_rows <= impl.limits.logit_rows);
  impl.pool.run([&](Team& team) { impl.run(team, sequences, kv); });
  if (profile) profile->end_of(Station::kWaiting);
  return first_rows(impl.space.logits, impl.logit_rows);
}

}  // namespace mill::model
