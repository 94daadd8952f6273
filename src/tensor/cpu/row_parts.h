// Where the rows of activations lie, those of answers and those of prompts, and the parts they are
// cut into on their way through panels.
#pragma once

#include <unistd.h>

#include <algorithm>

#include "tensor/cpu/kernels.h"

namespace mill::tensor {

// The first row that is of a prompt and apart.
inline int64_t first_prompt_row(const Activations& all) {
  return all.rows - all.prompt_rows;
}

// Where row `row` of all has its bfloats of columns from `column` on.
inline uint16_t* bfloats_of(const Activations& all, int64_t row, int64_t column) {
  const int64_t at = row - first_prompt_row(all);
  return all.bfloats + at / kTileRows * kTileRows * all.cols + column / kGroup * kTileGroup +
         at % kTileRows * kGroup;
}

inline ActivationRow row_of(const Activations& all, int64_t row, int64_t from_column = 0) {
  const int64_t at = row * all.cols + from_column;
  const int64_t group = row * (all.cols / kGroup) + from_column / kGroup;
  ActivationRow made;
  if (all.values) made.values = all.values + at;
  if (all.bfloats && row >= first_prompt_row(all)) {
    made.bfloats = bfloats_of(all, row, from_column);
  } else if (all.codes) {
    made.codes = all.codes + at;
    made.scales = all.scales + group;
    made.sums = all.sums + group;
  }
  return made;
}

// Bytes of the activations of a part of prompts.
inline constexpr int64_t kPromptPartBytes = 1 << 20;

// Bytes of a part's activations that stay in a core's second-level cache beside a panel.
inline int64_t cached_bytes() {
  static const int64_t bytes = [] {
    int64_t cache = 0;
#ifdef _SC_LEVEL2_CACHE_SIZE
    cache = ::sysconf(_SC_LEVEL2_CACHE_SIZE);
#endif
    return std::clamp<int64_t>(cache / 8 * 7, 448 << 10, 1 << 20);
  }();
  return bytes;
}

// How many parts the rows of answers of a product set, of so many bytes each, are cut into: a
// part's activations stay in the cache, and there are enough parts of panels for all members.
inline int64_t answer_parts(int64_t rows, int64_t bytes, int64_t panels, int members) {
  constexpr int64_t kFewestRows = 12;
  if (rows == 0) return 0;
  const int64_t most = std::clamp<int64_t>(cached_bytes() / std::max<int64_t>(bytes, 1), 48, 256);
  int64_t parts = (rows + most - 1) / most;
  if (panels * parts < 2 * members) parts = (2 * members + panels - 1) / panels;
  return std::clamp<int64_t>(parts, 1, (rows + kFewestRows - 1) / kFewestRows);
}

// Tiles of rows for which it pays to expand weights once more, for a member of their own.
inline constexpr int64_t kFewestPartTiles = 4;

// Likewise the parts of prompts, in whole tiles; `groups` of a part's inputs are to stay in the
// cache.
inline int64_t prompt_parts(int64_t rows, int64_t groups, int64_t panels, int members) {
  if (rows == 0) return 0;
  const int64_t tiles = tile_count(rows);
  const int64_t most = std::clamp<int64_t>(kPromptPartBytes / (groups * kTileGroup * 2), 8, 64);
  // As many parts as members, so that each has rows of its own, or as many times as that.
  int64_t parts = (tiles + most - 1) / most;
  if (tiles >= kFewestPartTiles * members) parts = (parts + members - 1) / members * members;
  if (panels * parts < 2 * members) parts = (2 * members + panels - 1) / panels;
  return std::min(parts, tiles);
}

// The rows of a product set in parts: those of answers, then those of prompts.
class RowParts {
 public:
  // `row_bytes` of a row of answers, and `groups` of the inputs of a prompt, are read again and
  // again.
  RowParts(const Activations& x, int64_t row_bytes, int64_t groups, int64_t panels, int members)
      : answers_(first_prompt_row(x)),
        prompts_(x.prompt_rows),
        answer_parts_(answer_parts(answers_, row_bytes, panels, members)),
        prompt_parts_(prompt_parts(prompts_, groups, panels, members)) {}

  int64_t count() const { return answer_parts_ + prompt_parts_; }
  int64_t begin(int64_t part) const {
    if (part < answer_parts_) return answers_ * part / answer_parts_;
    if (prompt_parts_ == 0) return answers_;
    const int64_t tiles = tile_count(prompts_) * (part - answer_parts_) / prompt_parts_;
    return answers_ + std::min(tiles * kTileRows, prompts_);
  }
  // The most rows of a part.
  int64_t answer_rows() const {
    return answer_parts_ > 0 ? (answers_ + answer_parts_ - 1) / answer_parts_ : 0;
  }
  int64_t prompt_rows() const {
    if (prompt_parts_ == 0) return 0;
    return (tile_count(prompts_) + prompt_parts_ - 1) / prompt_parts_ * kTileRows;
  }

 private:
  int64_t answers_, prompts_, answer_parts_, prompt_parts_;
};

// Rows [first, first + rows) of activations: of answers, or of prompts from a whole tile on.
inline PanelCall rows_of(const Activations& x, int64_t first, int64_t rows) {
  PanelCall made{.cols = x.cols, .rows = rows};
  if (x.values) made.values = x.values + first * x.cols;
  if (x.bfloats && first >= first_prompt_row(x)) {
    made.bfloats = bfloats_of(x, first, 0);
  } else if (x.codes && x.scales && x.sums) {
    made.codes = x.codes + first * x.cols;
    made.scales = x.scales + first * (x.cols / kGroup);
    made.sums = x.sums + first * (x.cols / kGroup);
  }
  return made;
}

}  // namespace mill::tensor
