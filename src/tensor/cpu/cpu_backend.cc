#include "tensor/cpu/cpu_backend.h"

#include <unistd.h>

#include <algorithm>
#include <new>

#include "base/check.h"
#include "tensor/cpu/attention_split.h"
#include "tensor/cpu/kv_order.h"
#include "tensor/cpu/panel.h"

namespace mill::tensor {
namespace {

// Room that a thread keeps from call to call. Contents are lost when it grows.
class ThreadRoom {
 public:
  std::byte* at_least(int64_t bytes) {
    if (bytes > bytes_) {
      room_.reset(static_cast<std::byte*>(
          ::operator new (static_cast<size_t>(bytes), std::align_val_t{kAlign})));
      bytes_ = bytes;
    }
    return room_.get();
  }

 private:
  static constexpr size_t kAlign = 64;
  struct Free {
    void operator()(std::byte* p) const { ::operator delete (p, std::align_val_t{kAlign}); }
  };
  std::unique_ptr<std::byte, Free> room_;
  int64_t bytes_ = 0;
};

ThreadRoom& thread_room() {
  thread_local ThreadRoom room;
  return room;
}

ActivationRow row_of(const Activations& all, int64_t row, int64_t from_column = 0) {
  const int64_t at = row * all.cols + from_column;
  const int64_t group = row * (all.cols / kGroup) + from_column / kGroup;
  ActivationRow made;
  if (all.values) made.values = all.values + at;
  if (all.codes) {
    made.codes = all.codes + at;
    made.scales = all.scales + group;
    made.sums = all.sums + group;
  }
  return made;
}

// Calls visit(row, first column, last column) for this member's part of [rows, cols], whole groups
// of 32 columns at a time.
template <class Visit>
void share_columns(const Team& team, int64_t rows, int64_t cols, const Visit& visit) {
  const int64_t groups = (cols + kGroup - 1) / kGroup;
  const auto [first, last] = team.share(rows * groups, rows >= team.size() ? groups : 1);
  for (int64_t at = first; at < last;) {
    const int64_t row = at / groups;
    const int64_t end = std::min(last, (row + 1) * groups);
    visit(row, (at - row * groups) * kGroup, std::min((end - row * groups) * kGroup, cols));
    at = end;
  }
}

// Bytes of a part's activations that stay in a core's second-level cache beside a panel.
int64_t cached_bytes() {
  static const int64_t bytes = [] {
    int64_t cache = 0;
#ifdef _SC_LEVEL2_CACHE_SIZE
    cache = ::sysconf(_SC_LEVEL2_CACHE_SIZE);
#endif
    return std::clamp<int64_t>(cache / 8 * 7, 448 << 10, 1 << 20);
  }();
  return bytes;
}

// How many parts the rows of a product set are cut into: a part's activations stay in the cache,
// and there are enough parts of panels for all members.
int64_t row_parts(int64_t rows, int64_t cols, int64_t panels, int members) {
  constexpr int64_t kFewestRows = 12;
  const int64_t most = std::clamp<int64_t>(cached_bytes() / std::max<int64_t>(cols, 1), 48, 256);
  int64_t parts = (rows + most - 1) / most;
  if (panels * parts < 2 * members) parts = (2 * members + panels - 1) / panels;
  return std::clamp<int64_t>(parts, 1, (rows + kFewestRows - 1) / kFewestRows);
}

// The first row of part `index` of `parts`. With tiles, parts of many rows are whole tiles but for
// the last.
int64_t part_begin(int64_t rows, int64_t parts, int64_t index, bool tiles) {
  if (!tiles || rows < parts * kTileRows) return rows * index / parts;
  const int64_t all = tile_count(rows);
  return std::min(all * index / parts * kTileRows, rows);
}

// How many of a part's rows go by tiles: whole tiles, and a rest of so many that a tile more is
// quicker. What is expanded for one tile alone takes as long as its products.
constexpr int64_t kFewestTiled = 2 * kTileRows;
int64_t tiled_rows(int64_t rows) {
  constexpr int64_t kFewestLeft = 7;
  const int64_t left = rows % kTileRows;
  if (rows < kFewestTiled) return 0;
  return left < kFewestLeft ? rows - left : rows;
}

// Rows [first, first + rows) of activations, or of a call.
PanelCall rows_of(const Activations& x, int64_t first, int64_t rows) {
  PanelCall made{.cols = x.cols, .rows = rows};
  if (x.values) made.values = x.values + first * x.cols;
  if (x.codes && x.scales && x.sums) {
    made.codes = x.codes + first * x.cols;
    made.scales = x.scales + first * (x.cols / kGroup);
    made.sums = x.sums + first * (x.cols / kGroup);
  }
  return made;
}
PanelCall rows_of(const PanelCall& call, int64_t first, int64_t rows) {
  PanelCall made = call;
  made.rows = rows;
  if (first == 0) return made;
  if (call.values) made.values += first * call.cols;
  if (call.codes) {
    made.codes += first * call.cols;
    made.scales += first * (call.cols / kGroup);
    made.sums += first * (call.cols / kGroup);
    if (call.code_sums) made.code_sums += first * (call.cols / kGroup);
  }
  made.out += first * call.out_stride;
  return made;
}

// What products of parts of at most `rows` rows take of the thread's room, with `floats` more for
// each row.
class ProductRoom {
 public:
  ProductRoom(int64_t rows, int64_t cols, bool tiles, bool wide_sums, int64_t floats) {
    const int64_t scratch = std::max(scratch_bytes(rows), tiles ? tile_scratch_bytes(rows) : 0);
    const int64_t own = (rows * floats * 4 + 63) / 64 * 64;
    const int64_t count = tiles ? tile_count(rows) * kTileRows * (cols / kGroup) : 0;
    const int64_t wide = wide_sums ? (rows * (cols / kGroup) * 4 + 63) / 64 * 64 : 0;
    scratch_ = thread_room().at_least(scratch + own + wide + 4 * count * 4);
    floats_ = reinterpret_cast<float*>(scratch_ + scratch);
    if (wide_sums) code_sums_ = reinterpret_cast<float*>(scratch_ + scratch + own);
    if (!tiles) return;
    scales_ = reinterpret_cast<float*>(scratch_ + scratch + own + wide);
    sums_ = scales_ + count;
  }
  float* floats() const { return floats_; }
  float* code_sums() const { return code_sums_; }
  void lend(PanelCall& call) const {
    call.scratch = scratch_;
    call.code_sums = code_sums_;
    call.tile_scales = scales_;
    call.tile_sums = sums_;
  }

 private:
  std::byte* scratch_;
  float* floats_;
  float* code_sums_ = nullptr;
  float* scales_ = nullptr;
  float* sums_ = nullptr;
};

class CpuBackend final : public Backend {
 public:
  explicit CpuBackend(const Kernels& kernels) : kernels_(kernels) {}

  std::string_view name() const override { return kernels_.name; }
  bool prompts_apart() const override { return kernels_.attend_prompt != nullptr; }

  size_t packed_bytes(const Weight& weight) const override {
    return static_cast<size_t>(panel_count(weight.rows) * panel_bytes(weight.dtype, weight.cols));
  }

  PackedMatrix pack(Team& team, const Weight& weight, std::span<std::byte> room) const override {
    const size_t bytes = packed_bytes(weight);
    MILL_CHECK(room.size() >= bytes && weight.cols % block_elements(weight.dtype) == 0);
    const int64_t size = panel_bytes(weight.dtype, weight.cols);
    const auto [first, last] = team.share(panel_count(weight.rows));
    for (int64_t i = first; i < last; ++i) {
      pack_panel(weight.dtype, weight.data, weight.rows, weight.cols, i, room.data() + i * size);
    }
    return packed(weight, room.first(bytes));
  }

  std::string_view layout() const override { return kPanelLayout; }

  PackedMatrix packed(const Weight& weight, std::span<const std::byte> bytes) const override {
    MILL_CHECK(bytes.size() == packed_bytes(weight));
    return {weight.rows, weight.cols, static_cast<int32_t>(weight.dtype), bytes.data(),
            bytes.size()};
  }

  uint32_t form_read_by(const PackedMatrix& weight) const override {
    return is_float(dtype_of_packed(weight)) ? kValues : kCodes;
  }

  void rms_norm(Team& team, ConstMatrix x, const float* weight, float eps,
                const Activations& out) const override {
    share_columns(team, x.rows, x.cols, [&](int64_t row, int64_t first, int64_t last) {
      kernels_.norm({.x = x.row(row),
                     .cols = x.cols,
                     .first = first,
                     .last = last,
                     .weight = weight,
                     .eps = eps,
                     .out = row_of(out, row)});
    });
  }

  void add_rms_norm(Team& team, ConstMatrix x, const float* weight, float eps,
                    Matrix sum) const override {
    share_columns(team, x.rows, x.cols, [&](int64_t row, int64_t first, int64_t last) {
      kernels_.norm({.x = x.row(row),
                     .cols = x.cols,
                     .first = first,
                     .last = last,
                     .weight = weight,
                     .eps = eps,
                     .sum = sum.row(row)});
    });
  }

  void gated(Team& team, Gate gate, ConstMatrix g, ConstMatrix u,
             const Activations& out) const override {
    share_columns(team, g.rows, g.cols, [&](int64_t row, int64_t first, int64_t last) {
      kernels_.gated({.gate = gate,
                      .g = g.row(row),
                      .u = u.row(row),
                      .first = first,
                      .last = last,
                      .out = row_of(out, row)});
    });
  }

  void products(Team& team, const Activations& x,
                std::span<const Product> products) const override {
    int64_t panels = 0;
    for (const Product& product : products) panels += panel_count(product.weight->rows);
    each_panel(team, x, panels, 0, [&](int64_t panel, int64_t first_row, const PartRows& part) {
      for (const Product& product : products) {
        const int64_t count = panel_count(product.weight->rows);
        if (panel < count) return multiply(product, panel, first_row, part);
        panel -= count;
      }
    });
  }

  void gated_products(Team& team, const Activations& x, Gate gate, const PackedMatrix& gate_weight,
                      const PackedMatrix& up_weight, const Activations& out) const override {
    MILL_CHECK(gate_weight.rows == up_weight.rows && out.cols == up_weight.rows);
    each_panel(team, x, panel_count(out.cols), 2 * kPanel,
               [&](int64_t panel, int64_t first_row, const PartRows& part) {
                 const int64_t rows = part.call.rows;
                 float* g = part.room;
                 float* u = part.room + rows * kPanel;
                 multiply(gate_weight, panel, {g, rows, kPanel, kPanel}, part);
                 multiply(up_weight, panel, {u, rows, kPanel, kPanel}, part);
                 const int64_t column = panel * kPanel;
                 kernels_.gated({.gate = gate,
                                 .g = g,
                                 .u = u,
                                 .rows = rows,
                                 .stride = kPanel,
                                 .last = std::min(kPanel, out.cols - column),
                                 .out = row_of(out, first_row, column),
                                 .out_stride = out.cols});
               });
  }

  void store_kv(Team& team, const StoreCall& call) const override {
    const int64_t heads = call.shape.heads + call.shape.kv_heads;
    int64_t at = 0;
    int64_t rows = 0;
    for (const Slice& slice : call.slices) rows += slice.rows;
    const auto [first, last] = team.share(rows * heads);
    for (const Slice& slice : call.slices) {
      for (int64_t i = 0; i < slice.rows; ++i, at += heads) {
        for (int64_t h = std::max<int64_t>(first - at, 0); h < std::min(last - at, heads); ++h) {
          if (h < call.shape.heads) {
            const int64_t ratio = call.shape.heads / call.shape.kv_heads;
            prepare(call, call.q, slice.first_row + i, h,
                    {.norm = call.q_norm, .factors = of_head(call, call.q_factors, h / ratio)});
          } else {
            store(call, slice, i, h - call.shape.heads);
          }
        }
      }
    }
  }

  void attention(Team& team, const AttentionCall& call) const override {
    const bool prompts_apart = attends_prompts_apart(call);
    const AttentionSplit split(call, team.size(), prompts_apart);
    const int64_t floats = std::max(tile_attend_scratch(call.shape.head_dim),
                                    prompts_apart ? prompt_attend_scratch(call.shape.head_dim) : 0);
    const int64_t rows_bytes = split.rows() * call.out.cols * static_cast<int64_t>(sizeof(float));
    std::byte* room =
        thread_room().at_least(floats * static_cast<int64_t>(sizeof(float)) + rows_bytes);
    auto* scratch = reinterpret_cast<float*>(room);
    split.visit(team,
                [&](const AttentionItem& item) { attend(call, item, scratch, scratch + floats); });
  }

 private:
  static DType dtype_of_packed(const PackedMatrix& weight) {
    return static_cast<DType>(weight.format);
  }

  // Some rows of the inputs, on their way through panels.
  struct PartRows {
    PanelCall call;         // without a panel and its outputs
    int64_t tiled = 0;      // so many go by tiles, where the type of the weights has them
    float* room = nullptr;  // as many floats for each row as were asked for
  };

  // Calls visit(panel, first row, PartRows) for this member's share of so many panels with all rows
  // of x, in parts. `floats`: of room for each row.
  template <class Visit>
  void each_panel(Team& team, const Activations& x, int64_t panels, int64_t floats,
                  const Visit& visit) const {
    if (panels == 0 || x.rows == 0) return;
    const int64_t parts = row_parts(x.rows, x.cols, panels, team.size());
    const bool tiles = kernels_.gather_tiles && x.codes && x.rows >= kFewestTiled;
    const bool wide_sums = kernels_.widen_sums && x.codes;
    const ProductRoom room((x.rows + parts - 1) / parts + kTileRows, x.cols, tiles, wide_sums,
                           floats);
    // All panels for the first part of the rows, then for the next: one line of work.
    Team::Claims claims = team.claims(parts * panels);
    int64_t prepared = -1;  // the part whose rows are in the room
    for (;;) {
      const auto [first, last] = claims.next();
      if (first == last) break;
      for (int64_t index = first / panels; index * panels < last; ++index) {
        const int64_t first_row = part_begin(x.rows, parts, index, tiles);
        const int64_t rows = part_begin(x.rows, parts, index + 1, tiles) - first_row;
        PartRows part{.call = rows_of(x, first_row, rows), .room = room.floats()};
        room.lend(part.call);
        if (tiles) part.tiled = tiled_rows(rows);
        if (index != prepared) {
          if (wide_sums) kernels_.widen_sums(part.call, room.code_sums());
          if (part.tiled > 0) kernels_.gather_tiles(rows_of(part.call, 0, part.tiled));
          prepared = index;
        }
        const int64_t begin = std::max<int64_t>(first - index * panels, 0);
        const int64_t end = std::min(last - index * panels, panels);
        for (int64_t panel = begin; panel < end; ++panel) visit(panel, first_row, part);
      }
    }
    if (tiles) kernels_.leave_tiles();
  }

  void multiply(const Product& product, int64_t panel, int64_t first_row,
                const PartRows& part) const {
    const int64_t column = panel * kPanel;
    PanelCall call = part.call;
    call.out = product.out.row(first_row) + column;
    call.out_stride = product.out.stride;
    call.bias = product.bias ? product.bias + column : nullptr;
    call.accumulate = product.accumulate;
    multiply(*product.weight, panel, call, part.tiled);
  }
  // To `out`, which begins with the panel's outputs.
  void multiply(const PackedMatrix& weight, int64_t panel, Matrix out, const PartRows& part) const {
    PanelCall call = part.call;
    call.out = out.data;
    call.out_stride = out.stride;
    multiply(weight, panel, call, part.tiled);
  }
  void multiply(const PackedMatrix& weight, int64_t panel, PanelCall& call, int64_t tiled) const {
    MILL_CHECK(weight.cols == call.cols);
    const DType dtype = dtype_of_packed(weight);
    MILL_CHECK(is_float(dtype) ? call.values != nullptr : call.codes != nullptr);
    const int64_t size = panel_bytes(dtype, weight.cols);
    call.panel = weight.data + panel * size;
    call.panel_bytes = size;
    call.columns = std::min(kPanel, weight.rows - panel * kPanel);
    if (kernels_.tiled_product[weight.format] == nullptr) tiled = 0;
    if (tiled > 0) kernels_.tiled_product[weight.format](rows_of(call, 0, tiled));
    if (tiled < call.rows) {
      kernels_.product[weight.format](rows_of(call, tiled, call.rows - tiled));
    }
  }

  static const float* of_head(const StoreCall& call, const float* values, int64_t kv_head) {
    return values ? values + kv_head * call.shape.head_dim : nullptr;
  }

  // `made`: the norm, factors and center that are wanted.
  void prepare(const StoreCall& call, Matrix rows, int64_t row, int64_t head, HeadCall made) const {
    made.head_dim = call.shape.head_dim;
    made.head = rows.row(row) + head * made.head_dim;
    made.eps = call.eps;
    if (call.rotation) {
      made.cos = call.rotation->cos.row(row);
      made.sin = call.rotation->sin.row(row);
      made.dims = call.rotation->dims;
      made.half_split = call.rotation->half_split;
    }
    kernels_.prepare_head(made);
  }

  // Key and value of one head of row i of a slice, in the order of kv_order.h.
  void store(const StoreCall& call, const Slice& slice, int64_t i, int64_t head) const {
    const int64_t head_dim = call.shape.head_dim;
    const int64_t row = slice.first_row + i;
    prepare(call, call.k, row, head,
            {.norm = call.k_norm,
             .factors = of_head(call, call.k_factors, head),
             .center = of_head(call, call.k_center, head)});
    const int64_t position = slice.position + i;
    const auto block =
        static_cast<size_t>(slice.blocks[static_cast<size_t>(position / kBlockTokens)]);
    std::byte* base = call.kv.base + block * call.kv.block_bytes;
    const int64_t token = position % kBlockTokens;
    const size_t at = static_cast<size_t>(head) * kv_head_bytes(call.kv.type, head_dim);
    put_key(kernels_, call.kv.type, call.k.row(row) + head * head_dim, head_dim, token,
            base + call.kv.key_offset + at);
    put_value(kernels_, call.kv.type, call.v.row(row) + head * head_dim, head_dim, token,
              base + call.kv.value_offset + at);
  }

  static constexpr int64_t kFewestTileQueries = 10;  // fewer are quicker by vectors

  bool attends_prompts_apart(const AttentionCall& call) const {
    return kernels_.attend_prompt && call.kv.type == KvType::kI8 &&
           has_whole_tiles(call.shape.head_dim);
  }

  // `rows`: room for the item's rows of all heads, where values are not wanted.
  void attend(const AttentionCall& call, const AttentionItem& item, float* scratch,
              float* rows) const {
    const HeadShape& shape = call.shape;
    const Slice& slice = *item.slice;
    const int64_t first_row = slice.first_row + item.first;
    const int64_t ratio = shape.heads / shape.kv_heads;
    const auto kv_head_size = static_cast<int64_t>(kv_head_bytes(call.kv.type, shape.head_dim));
    float* out = call.out.values ? call.out.values + first_row * call.out.cols : rows;
    const bool has_tiles =
        kernels_.attend_by_tiles && call.kv.type == KvType::kI8 && has_whole_tiles(shape.head_dim);
    const bool of_prompt = slice.of_prompt && attends_prompts_apart(call);
    for (int64_t head = item.first_head; head < item.last_head;) {
      const int64_t kv_head = head / ratio;
      const int64_t end = std::min({item.last_head, (kv_head + 1) * ratio, head + kMostQueries});
      const int64_t heads = end - head;
      const bool tiles = has_tiles && item.rows * heads >= kFewestTileQueries;
      const auto attend = of_prompt ? kernels_.attend_prompt  // however few: the same bits
                          : tiles   ? kernels_.attend_by_tiles
                                    : kernels_.attend;
      attend({.kv = &call.kv,
              .blocks = slice.blocks.data(),
              .kv_offset = kv_head * kv_head_size,
              .head_dim = shape.head_dim,
              .position = slice.position + item.first,
              .rows = item.rows,
              .heads = heads,
              .q = call.q.row(first_row) + head * shape.head_dim,
              .q_stride = call.q.stride,
              .scale = call.scale,
              .softcap = call.softcap,
              .window = call.window,
              .out = out + head * shape.head_dim,
              .out_stride = call.out.cols,
              .scratch = scratch});
      head = end;
    }
    if (!call.out.codes) return;
    const int64_t from = item.first_head * shape.head_dim;
    const int64_t to = item.last_head * shape.head_dim;
    ActivationRow to_row = row_of(call.out, first_row, from);
    to_row.values = nullptr;
    kernels_.encode(out + from, call.out.cols, item.rows, to - from, to_row, call.out.cols);
  }

  const Kernels& kernels_;
};

}  // namespace

std::unique_ptr<Backend> make_cpu_backend(const Kernels& kernels) {
  return std::make_unique<CpuBackend>(kernels);
}

}  // namespace mill::tensor
