#include "tensor/cpu/cpu_backend.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "base/check.h"
#include "tensor/cpu/attention_split.h"
#include "tensor/cpu/expected_reads.h"
#include "tensor/cpu/kv_order.h"
#include "tensor/cpu/panel.h"
#include "tensor/cpu/product_room.h"
#include "tensor/cpu/row_parts.h"
#include "tensor/cpu/thread_room.h"

namespace mill::tensor {
namespace {

// Calls visit(row, first column, last column, last row) for this member's part of [rows, cols],
// whole groups of 32 columns at a time.
template <class Visit>
void share_columns(const Team& team, int64_t rows, int64_t cols, const Visit& visit) {
  const int64_t groups = (cols + kGroup - 1) / kGroup;
  const auto [first, last] = team.share(rows * groups, rows >= team.size() ? groups : 1);
  for (int64_t at = first; at < last;) {
    const int64_t row = at / groups;
    const int64_t end = std::min(last, (row + 1) * groups);
    visit(row, (at - row * groups) * kGroup, std::min((end - row * groups) * kGroup, cols),
          (last - 1) / groups);
    at = end;
  }
}

class CpuBackend final : public Backend {
 public:
  explicit CpuBackend(const Kernels& kernels) : kernels_(kernels) {}

  std::string_view name() const override { return kernels_.name; }
  bool prompts_apart() const override { return kernels_.enter_tiles && kernels_.attend_prompt; }

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
    norm_rows(team, x, eps, [&](int64_t row, int64_t first, int64_t last, float inverse) {
      kernels_.norm({.x = x.row(row),
                     .first = first,
                     .last = last,
                     .weight = weight,
                     .inverse = inverse,
                     .out = row_of(out, row)});
    });
  }

  void add_rms_norm(Team& team, ConstMatrix x, const float* weight, float eps,
                    Matrix sum) const override {
    norm_rows(team, x, eps, [&](int64_t row, int64_t first, int64_t last, float inverse) {
      kernels_.norm({.x = x.row(row),
                     .first = first,
                     .last = last,
                     .weight = weight,
                     .inverse = inverse,
                     .sum = sum.row(row)});
    });
  }

  void gated(Team& team, Gate gate, ConstMatrix g, ConstMatrix u,
             const Activations& out) const override {
    share_columns(team, g.rows, g.cols, [&](int64_t row, int64_t first, int64_t last, int64_t) {
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
    const int64_t groups = x.cols / kGroup;
    const int64_t runs = std::max<int64_t>(prompt_runs(groups), 1);
    const auto visit = [&](int64_t begin, int64_t end, int64_t first_row, const PartRows& part) {
      const auto each = [&](const PartRows& of) {
        for (int64_t panel = begin; panel < end; ++panel) multiply(products, panel, first_row, of);
      };
      if (!part.call.bfloats) return each(part);
      // All panels by a run of the inputs, then by the next, so that its rows stay in the cache.
      PartRows of = part;
      for (int64_t run = 0; run < runs; ++run) {
        of.call.first_group = groups * run / runs;
        of.call.last_group = groups * (run + 1) / runs;
        each(of);
      }
    };
    each_panel(team, x, panels, {.groups = std::min(groups, kPromptRunGroups)}, visit);
  }

  void gated_products(Team& team, const Activations& x, Gate gate, const PackedMatrix& gate_weight,
                      const PackedMatrix& up_weight, const Activations& out) const override {
    MILL_CHECK(gate_weight.rows == up_weight.rows && out.cols == up_weight.rows);
    const auto visit = [&](int64_t begin, int64_t end, int64_t first_row, const PartRows& part) {
      const int64_t rows = part.call.rows;
      float* g = part.room->floats();
      float* u = g + rows * kPanel;
      for (int64_t panel = begin; panel < end; ++panel) {
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
      }
    };
    each_panel(team, x, panel_count(out.cols), {.floats = 2 * kPanel, .groups = x.cols / kGroup},
               visit);
  }

  void store_kv(Team& team, const StoreCall& call) const override {
    const HeadShape& shape = call.shape;
    int64_t rows = 0;
    for (const Slice& slice : call.slices) rows += slice.rows;
    const CodeRoom room(thread_room().at_least(CodeRoom::bytes(shape.kv_heads, shape.head_dim)),
                        shape.kv_heads, shape.head_dim);
    HeadsCall q{.head_dim = shape.head_dim,
                .norm = call.q_norm,
                .eps = call.eps,
                .ratio = shape.heads / shape.kv_heads,
                .factors = call.q_factors};
    HeadsCall k{.head_dim = shape.head_dim,
                .norm = call.k_norm,
                .eps = call.eps,
                .factors = call.k_factors,
                .center = call.k_center};
    if (call.rotation) {
      q.dims = k.dims = call.rotation->dims;
      q.half_split = k.half_split = call.rotation->half_split;
    }
    // What a row takes, with the rotation of a head as the measure: first its queries.
    const int64_t cost = shape.heads + kStoredCost * shape.kv_heads;
    const auto [first, last] = team.share(rows * cost);
    int64_t at = 0;
    for (size_t n = 0; n < call.slices.size(); ++n) {
      const Slice& slice = call.slices[n];
      // Where the next sequence's first token goes was last touched a step ago.
      const int64_t next = at + slice.rows * cost;
      if (n + 1 < call.slices.size() && next < last && next + cost > first) {
        fetch_places(call, call.slices[n + 1]);
      }
      for (int64_t i = 0; i < slice.rows; ++i, at += cost) {
        const int64_t from = std::max<int64_t>(first - at, 0), to = std::min(last - at, cost);
        if (from >= to) continue;
        const int64_t row = slice.first_row + i;
        if (i + 1 < slice.rows) fetch_rows(call, row + 1);
        if (call.rotation) {
          q.cos = k.cos = call.rotation->cos.row(row);
          q.sin = k.sin = call.rotation->sin.row(row);
        }
        if (to > shape.heads) {
          k.heads = call.k.row(row);
          k.first = std::max<int64_t>(from - shape.heads, 0) / kStoredCost;
          k.last = (to - shape.heads) / kStoredCost;
          kernels_.prepare_heads(k);
          store(call, slice, i, k.first, k.last, room);
        }
        if (from < shape.heads) {
          q.heads = call.q.row(row);
          q.first = from;
          q.last = std::min<int64_t>(to, shape.heads);
          kernels_.prepare_heads(q);
        }
      }
    }
  }

  void expect(Team& team, const AttentionCall& call) const override {
    ExpectedReads& reads = expected_reads();
    reads.clear();
    // Of prompts, which share what they read among many rows, it is the smaller part.
    const AttentionSplit split(call, team.size(), attends_prompts_apart(call));
    const int64_t ratio = call.shape.heads / call.shape.kv_heads;
    const auto head_bytes = static_cast<int64_t>(kv_head_bytes(call.kv.type, call.shape.head_dim));
    split.visit_likely(team, [&](const AttentionItem& item) {
      if (item.rows != 1) return;
      const int64_t first = item.first_head / ratio * head_bytes;
      const int64_t last = ((item.last_head - 1) / ratio + 1) * head_bytes;
      for (const int32_t block : seen_blocks(call, item)) {
        const std::byte* base = call.kv.base + static_cast<size_t>(block) * call.kv.block_bytes;
        for (const size_t offset : {call.kv.key_offset, call.kv.value_offset}) {
          if (!reads.add(base + offset + first, base + offset + last)) return;
        }
      }
    });
    reads.begin();
  }

  void attention(Team& team, const AttentionCall& call) const override {
    expected_reads().clear();
    const bool prompts_apart = attends_prompts_apart(call);
    const AttentionSplit split(call, team.size(), prompts_apart);
    const int64_t floats = std::max(tile_attend_scratch(call.shape.head_dim),
                                    prompts_apart ? prompt_attend_scratch(call.shape.head_dim) : 0);
    const int64_t rows_bytes = split.rows() * call.out.cols * static_cast<int64_t>(sizeof(float));
    std::byte* room =
        thread_room().at_least(floats * static_cast<int64_t>(sizeof(float)) + rows_bytes);
    auto* scratch = reinterpret_cast<float*>(room);
    bool fetched = false;
    split.visit(team, [&](const AttentionItem& item, const AttentionItem* next) {
      attend(call, item, next, fetched, scratch, scratch + floats);
      fetched = true;
    });
  }

 private:
  static DType dtype_of_packed(const PackedMatrix& weight) {
    return static_cast<DType>(weight.format);
  }

  // Some rows of the inputs, on their way through panels.
  struct PartRows {
    PanelCall call;  // without a panel and its outputs
    ProductRoom* room = nullptr;
  };

  // What visits want: so many floats of room for each row; and to read so many groups of a prompt's
  // inputs again and again.
  struct Wants {
    int64_t floats = 0;
    int64_t groups = 0;
  };
  // Calls visit(first panel, last panel, first row, PartRows) for this member's share of so many
  // panels with all rows of x, in parts.
  template <class Visit>
  void each_panel(Team& team, const Activations& x, int64_t panels, const Wants& wants,
                  const Visit& visit) const {
    if (panels == 0 || x.rows == 0) return;
    const int64_t row_bytes = kernels_.widens_codes ? x.cols * 2 : x.cols;
    const RowParts parts(x, row_bytes, wants.groups, panels, team.size());
    const bool tiles = x.prompt_rows > 0;
    MILL_CHECK(!tiles || prompts_apart());
    ProductRoom room(kernels_, parts, x, wants.floats);
    if (tiles) kernels_.enter_tiles();
    // All panels for the first part of the rows, then for the next: one line of work.
    Team::Claims claims = team.claims(parts.count() * panels);
    int64_t begun = -1;  // the part whose rows are in the room
    for (;;) {
      const auto [first, last] = claims.next();
      if (first == last) break;
      for (int64_t index = first / panels; index * panels < last; ++index) {
        const int64_t first_row = parts.begin(index);
        PartRows part{.call = rows_of(x, first_row, parts.begin(index + 1) - first_row),
                      .room = &room};
        part.call.last_group = x.cols / kGroup;
        room.lend(part.call);
        if (part.call.codes) part.call.ahead = expected_reads().ahead();
        if (std::exchange(begun, index) != index) room.begin_part();
        const int64_t begin = std::max<int64_t>(first - index * panels, 0);
        const int64_t end = std::min(last - index * panels, panels);
        visit(begin, end, first_row, part);
      }
    }
    if (tiles) kernels_.leave_tiles();
  }

  // Panel `panel` of all of a set's.
  void multiply(std::span<const Product> products, int64_t panel, int64_t first_row,
                const PartRows& part) const {
    for (const Product& product : products) {
      const int64_t count = panel_count(product.weight->rows);
      if (panel < count) return multiply(product, panel, first_row, part);
      panel -= count;
    }
  }
  void multiply(const Product& product, int64_t panel, int64_t first_row,
                const PartRows& part) const {
    const int64_t column = panel * kPanel;
    PanelCall call = part.call;
    call.out = product.out.row(first_row) + column;
    call.out_stride = product.out.stride;
    call.bias = product.bias ? product.bias + column : nullptr;
    call.accumulate = product.accumulate;
    multiply(*product.weight, panel, call, *part.room);
  }
  // To `out`, which begins with the panel's outputs.
  void multiply(const PackedMatrix& weight, int64_t panel, Matrix out, const PartRows& part) const {
    PanelCall call = part.call;
    call.out = out.data;
    call.out_stride = out.stride;
    multiply(weight, panel, call, *part.room);
  }
  void multiply(const PackedMatrix& weight, int64_t panel, PanelCall& call,
                ProductRoom& room) const {
    MILL_CHECK(weight.cols == call.cols);
    const DType dtype = dtype_of_packed(weight);
    const bool by_tiles = call.bfloats != nullptr && !is_float(dtype);
    MILL_CHECK(by_tiles || (is_float(dtype) ? call.values != nullptr : call.codes != nullptr));
    const int64_t size = panel_bytes(dtype, weight.cols);
    call.panel = weight.data + panel * size;
    call.panel_bytes = size;
    call.columns = std::min(kPanel, weight.rows - panel * kPanel);
    if (!by_tiles && call.first_group > 0) return;  // all groups were counted in the first run
    if (!by_tiles && call.codes) room.prepare(weight.format, call);
    const auto product = by_tiles ? kernels_.prompt_product : kernels_.product;
    product[weight.format](call);
  }

  // Calls visit(row, first column, last column, inverse_rms of the row) for this member's part. The
  // next row's is taken before a row is worked on, which hides its waiting.
  template <class Visit>
  void norm_rows(const Team& team, ConstMatrix x, float eps, const Visit& visit) const {
    int64_t known = -1;
    float inverse = 0;
    share_columns(team, x.rows, x.cols,
                  [&](int64_t row, int64_t first, int64_t last, int64_t last_row) {
                    float of_row = inverse;
                    if (known != row) of_row = kernels_.inverse_rms(x.row(row), x.cols, eps);
                    if (row < last_row) {
                      known = row + 1;
                      inverse = kernels_.inverse_rms(x.row(known), x.cols, eps);
                    }
                    visit(row, first, last, of_row);
                  });
  }

  // What it takes to store a KV head, with the rotation of a head as the measure.
  static constexpr int64_t kStoredCost = 4;

  // Half of a row was written by other cores.
  static void fetch_rows(const StoreCall& call, int64_t row) {
    const auto fetch = [row](const ConstMatrix& of) {
      constexpr int64_t kLine = 64 / sizeof(float);
      for (int64_t i = 0; i < of.cols; i += kLine) __builtin_prefetch(of.row(row) + i, 1);
    };
    fetch(call.q);
    fetch(call.k);
    fetch(call.v);
  }

  // The places of the keys and values of the first row of a slice.
  static void fetch_places(const StoreCall& call, const Slice& slice) {
    const int64_t token = slice.position % kBlockTokens;
    HeadPlaces of = places(call, slice, slice.position, 0, call.shape.kv_heads);
    std::byte* const base = of.first;
    of.first = base + call.kv.key_offset;
    fetch_keys(of, token);
    of.first = base + call.kv.value_offset;
    fetch_values(of, token);
  }

  // Of KV heads [first, last), without key_offset or value_offset.
  static HeadPlaces places(const StoreCall& call, const Slice& slice, int64_t position,
                           int64_t first, int64_t last) {
    const auto block =
        static_cast<size_t>(slice.blocks[static_cast<size_t>(position / kBlockTokens)]);
    HeadPlaces made{.type = call.kv.type, .head_dim = call.shape.head_dim, .count = last - first};
    made.first = call.kv.base + block * call.kv.block_bytes + first * made.bytes();
    return made;
  }

  // Keys and values of KV heads [first, last) of row i of a slice, in the order of kv_order.h.
  void store(const StoreCall& call, const Slice& slice, int64_t i, int64_t first, int64_t last,
             const CodeRoom& room) const {
    if (first >= last) return;
    const int64_t row = slice.first_row + i;
    const int64_t position = slice.position + i, token = position % kBlockTokens;
    HeadPlaces to = places(call, slice, position, first, last);
    std::byte* const base = to.first;
    const int64_t number = first * to.head_dim;
    to.first = base + call.kv.value_offset;
    put_values(kernels_, call.v.row(row) + number, to, token, room);
    to.first = base + call.kv.key_offset;
    put_keys(kernels_, call.k.row(row) + number, to, token, room);
  }

  static std::span<const int32_t> seen_blocks(const AttentionCall& call,
                                              const AttentionItem& item) {
    const int64_t begin = item.slice->position + item.first;
    const int64_t first = call.window > 0 ? std::max<int64_t>(begin - call.window + 1, 0) : 0;
    const int64_t last = (begin + item.rows - 1) / kBlockTokens;
    const int64_t first_block = first / kBlockTokens;
    return item.slice->blocks.subspan(static_cast<size_t>(first_block),
                                      static_cast<size_t>(last + 1 - first_block));
  }

  // How many whole KV heads of a row are taken together from `head` on, if its queries are few: as
  // many as lie together in the cache, in calls of about the same size.
  static int64_t joined_kv_heads(const AttentionCall& call, const AttentionItem& item,
                                 int64_t head) {
    // Runs of so many bytes of keys (values) come from memory almost as fast as longer ones.
    constexpr auto kBytes = static_cast<int64_t>(20 * 1024);
    const int64_t ratio = call.shape.heads / call.shape.kv_heads;
    const int64_t left = item.last_head / ratio - head / ratio;
    if (item.rows != 1 || head % ratio != 0 || left < 1) return 0;
    const auto size = static_cast<int64_t>(kv_head_bytes(call.kv.type, call.shape.head_dim));
    const int64_t most = std::max<int64_t>(std::min(kMostJoinedQueries / ratio, kBytes / size), 1);
    const int64_t calls = (left + most - 1) / most;
    return (left + calls - 1) / calls;
  }
  static constexpr int64_t kWidestFew = 128;  // a block of wider heads is enough work by itself
  static constexpr int64_t kFewestTileQueries = 10;  // fewer are quicker by vectors

  bool attends_prompts_apart(const AttentionCall& call) const {
    return kernels_.attend_prompt && call.kv.type == KvType::kI8 &&
           has_whole_tiles(call.shape.head_dim);
  }

  // `next`: what the member attends then, or null; `fetched`: whether this was it. `rows`: room for
  // the item's rows of all heads, where values are not wanted.
  void attend(const AttentionCall& call, const AttentionItem& item, const AttentionItem* next,
              bool fetched, float* scratch, float* rows) const {
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
      int64_t end = std::min({item.last_head, (kv_head + 1) * ratio, head + kMostQueries});
      const int64_t queries = item.rows * (end - head);
      const bool tiles = has_tiles && queries >= kFewestTileQueries;
      const bool few = kernels_.attend_heads && call.kv.type == KvType::kI8 && !tiles &&
                       !of_prompt && queries <= kMostFewQueries && shape.head_dim <= kWidestFew;
      if (few) end = std::max(end, head + joined_kv_heads(call, item, head) * ratio);
      const int64_t heads = end - head;
      const auto attend = of_prompt ? kernels_.attend_prompt  // however few: the same bits
                          : few     ? kernels_.attend_heads
                          : tiles   ? kernels_.attend_by_tiles
                                    : kernels_.attend;
      std::span<const int32_t> next_blocks;
      const AttentionItem* then = end < item.last_head ? &item : next;
      const int64_t then_head = then == &item ? end : then ? then->first_head : 0;
      if (then) next_blocks = seen_blocks(call, *then);
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
              .scratch = scratch,
              .kv_heads = std::max<int64_t>(heads / ratio, 1),
              .fetched = fetched || head > item.first_head,
              .next_blocks = next_blocks.data(),
              .next_count = static_cast<int64_t>(next_blocks.size()),
              .next_offset = then_head / ratio * kv_head_size,
              .next_kv_heads =
                  then ? std::max<int64_t>(joined_kv_heads(call, *then, then_head), 1) : 1});
      head = end;
    }
    if (!call.out.codes) return;  // values are all that is wanted
    const int64_t from = item.first_head * shape.head_dim;
    const int64_t to = item.last_head * shape.head_dim;
    // Rows of answers all at once, of prompts those of a tile.
    const bool apart = call.out.bfloats && first_row >= first_prompt_row(call.out);
    for (int64_t i = 0; i < item.rows;) {
      int64_t rows_here = item.rows - i;
      if (apart) {
        const int64_t in_tile = (first_row + i - first_prompt_row(call.out)) % kTileRows;
        rows_here = std::min(rows_here, kTileRows - in_tile);
      }
      ActivationRow to_row = row_of(call.out, first_row + i, from);
      to_row.values = nullptr;
      kernels_.encode(out + i * call.out.cols + from, call.out.cols, rows_here, to - from, to_row,
                      call.out.cols);
      i += rows_here;
    }
  }

  const Kernels& kernels_;
};

}  // namespace

std::unique_ptr<Backend> make_cpu_backend(const Kernels& kernels) {
  return std::make_unique<CpuBackend>(kernels);
}

}  // namespace mill::tensor
