// Cuts a long text where a tokenizer reads both sides as if the other were not there, at places
// that its own bytes choose: a text that another one begins with, or that only a few bytes of were
// changed, has most of its units in common with it. Pure.
#pragma once

#include <array>
#include <cstddef>
#include <string_view>

namespace mill::text {

struct TokenizerParts;

class TextUnits {
 public:
  // A text of fewer bytes is not worth a look into a cache.
  static constexpr size_t kWorthIt = 256;
  static constexpr size_t kLeast = 2048;  // bytes of a unit, but for the last one of a text

  TextUnits() = default;  // every text is one unit
  explicit TextUnits(const TokenizerParts& parts);

  // The ids of a text are those of its units, wherever it stands.
  bool divides() const { return divides_; }
  // The bytes of the unit that `text` begins with; all, where !divides(). The same for any text
  // that goes on behind it in another way, but for the last unit. About 3,500 in prose. Requires:
  // text is not empty.
  size_t first_unit(std::string_view text) const;

 private:
  bool divides_ = false;
  std::array<bool, 256> letters_{};  // those behind which a space may be cut off
};

}  // namespace mill::text
