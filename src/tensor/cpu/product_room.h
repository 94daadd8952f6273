// What products with quantized weights make of the rows that they share, and where.
#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>

#include "tensor/cpu/kernels.h"
#include "tensor/cpu/row_parts.h"
#include "tensor/cpu/thread_room.h"

namespace mill::tensor {

// What products of parts take of the thread's room, with `floats` more for each row: in it, what
// they want of a part's codes, made when the first of them asks.
class ProductRoom {
 public:
  ProductRoom(const Kernels& kernels, const RowParts& parts, const Activations& x, int64_t floats)
      : kernels_(kernels) {
    const int64_t rows = std::max(parts.answer_rows(), parts.prompt_rows());
    const int64_t coded = x.codes ? parts.answer_rows() : 0;
    Cut cut;
    const int64_t scratch = cut.take(std::max(scratch_bytes(parts.answer_rows()),
                                              parts.prompt_rows() > 0 ? kPromptScratchBytes : 0));
    const int64_t own = cut.take(rows * floats * 4);
    const int64_t terms = cut.take(coded * (x.cols / kGroup) * 4);
    const int64_t words = cut.take(kernels.widens_codes ? coded * x.cols * 2 : 0);
    std::byte* room = thread_room().at_least(cut.bytes);
    scratch_ = room + scratch;
    floats_ = reinterpret_cast<float*>(room + own);
    terms_ = reinterpret_cast<float*>(room + terms);
    words_ = reinterpret_cast<int16_t*>(room + words);
  }
  float* floats() const { return floats_; }
  void lend(PanelCall& call) const {
    call.scratch = scratch_;
    call.terms = terms_;
    call.words = words_;
  }

  // The rows of the calls from here on are others.
  void begin_part() {
    type_ = -1;
    terms_of_ = nullptr;
    has_words_ = false;
  }
  // For a product with that type, of all rows of the part.
  void prepare(int32_t type, const PanelCall& call) {
    if (type != type_) make(type, call);
  }

 private:
  // Places one behind the other, each aligned to a line.
  struct Cut {
    int64_t bytes = 0;
    int64_t take(int64_t count) { return std::exchange(bytes, bytes + (count + 63) / 64 * 64); }
  };
  void make(int32_t type, const PanelCall& call) {
    type_ = type;
    const auto make_terms = kernels_.make_terms[type];
    if (make_terms && std::exchange(terms_of_, make_terms) != make_terms) make_terms(call, terms_);
    const auto widen_codes = kernels_.widen_codes[type];
    if (widen_codes && !std::exchange(has_words_, true)) widen_codes(call, words_);
  }

  const Kernels& kernels_;
  std::byte* scratch_;
  float* floats_;
  float* terms_;
  int16_t* words_;
  // What there is of the part's: all that the type wants, and these terms.
  int32_t type_ = -1;
  void (*terms_of_)(const PanelCall&, float*) = nullptr;
  bool has_words_ = false;
};

}  // namespace mill::tensor
