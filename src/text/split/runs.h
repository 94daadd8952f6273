// The simpler stages of pre-tokenizers: runs of one class of code points, white space at the end, a
// pattern by PCRE2.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "text/split/stage.h"

namespace mill::text {

struct CodeRange {
  uint32_t first, last;  // both included
};

// A class as in a pattern's brackets: kinds and ranges, or all that is in neither.
class CodeClass {
 public:
  // `ranges` rise and don't overlap.
  CodeClass(Kinds kinds, std::vector<CodeRange> ranges, bool negated = false);
  bool has(uint32_t code) const { return code < ascii_.size() ? ascii_[code] : look_up(code); }

 private:
  bool look_up(uint32_t code) const;

  Kinds kinds_;
  std::vector<CodeRange> ranges_;
  bool negated_;
  const UnicodeTable& table_;
  std::array<bool, 128> ascii_{};
};

// lead?class{least,most}
class Runs final : public Stage {
 public:
  enum class Lead { kNone, kBlank, kAnySpace };  // nothing, " ?", "\s?"
  struct Count {
    uint32_t least = 1, most = UINT32_MAX;
  };
  Runs(CodeClass members, Lead lead = Lead::kNone) : Runs(std::move(members), lead, Count{}) {}
  Runs(CodeClass members, Lead lead, Count count)
      : members_(std::move(members)), lead_(lead), count_(count), kinds_(UnicodeTable::get()) {}
  // A class without the space ends its match in front of it, as at the end of a text; one with all
  // letters has a match there.
  AtSpace at_space() const override;
  void cut(std::string_view text, Pieces& pieces) const override;
  const char* match(const char* at, const char* end) const;
  // Past ASCII that no match begins with.
  const char* skip(const char* at, const char* end) const;

 private:
  CodeClass members_;
  Lead lead_;
  Count count_;
  const UnicodeTable& kinds_;
};

// \s+$
class EndSpace final : public Stage {
 public:
  AtSpace at_space() const override { return AtSpace::kMayJoin; }
  void cut(std::string_view text, Pieces& pieces) const override;
};

// Any pattern, by PCRE2 with Unicode properties; for tokenizer.json files that bring their own.
class PatternStage final : public Stage {
 public:
  // What becomes of a match: a piece of its own, dropped, the end of the piece before, the
  // beginning of the piece after, or one piece with the matches next to it.
  enum class Behaviour { kIsolated, kRemoved, kMergedWithPrevious, kMergedWithNext, kContiguous };
  struct Options {
    Behaviour behaviour = Behaviour::kIsolated;
    bool inverted = false;  // what does not match counts as the match
  };

  // Fails with kUnsupported (the pattern, and what PCRE2 says of it).
  static Result<std::unique_ptr<const Stage>> make(const std::string& pattern, Options options);
  ~PatternStage() override;
  // Where the engine can't decide within its budget of steps, the rest of the text counts as not
  // matching.
  void cut(std::string_view text, Pieces& pieces) const override;

 private:
  struct Compiled;
  PatternStage(std::unique_ptr<const Compiled> compiled, Options options);

  std::unique_ptr<const Compiled> compiled_;
  Options options_;
};

}  // namespace mill::text
