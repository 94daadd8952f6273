// Who is computed next. One rule: computed tokens catch up with tokens. There are no prefill and
// decode phases; a sequence that is one token behind is what the field calls decoding.
//
// All sequences stand in one line. Its order never changes: by rank, which is the time of arrival
// less `priority_worth` per level of priority and plus what it yields, then by arrival. So a higher
// priority goes first, one who has had more than its share lets those of the next minutes go first,
// one who has had less has a head start of seconds (a negative yield), equals go first come first
// served, and nobody is overtaken for ever: whoever comes later with a priority that is d levels
// higher goes ahead only within d * priority_worth of one's arrival, and its head start.
// Some run (own blocks), the others wait. What every test holds the planner to:
//   - the first of those who run moves in every step, and the first of all runs as soon as it fits
//     without those behind it: everything ends (no starvation, no deadlock);
//   - when blocks run out, the last of those who run gives its blocks back and waits at its place
//     in the line. It is computed again later, with the same answer; what of it is still in the
//     prefix cache by then isn't. Nobody is aborted.
//
// Prefixes (prefix_index.h). A full block is entered in the index in the step that fills it, and is
// shared from then on by every sequence of the same salt that begins with the same tokens, also
// while both run. Nobody takes from the cache what it wants logits of: the last token of a prompt
// is always computed, and a scored prompt wholly. A sequence whose next block is just being
// computed by one ahead of it waits for that instead of computing it too; as the one ahead runs and
// is not held up by logit rows, the wait ends.
//
// Shares. A rank that lies ahead of now is one whose turn is still to come: its tenant has asked
// for more than its share. While another tenant's answer is due, such a one has what is left of a
// step: all those together may make it `stretch` times as long as it were without them (but one
// token of one of them is in every step), and they take turns. So a flood lengthens its own
// answers, not those of others; and where more in a step costs no time, it loses nothing.
//
// Speculation. draft() says which tokens may follow; the next plan takes as many of them as tokens,
// logit rows, blocks and time are left over by everybody else's needs (drafts preempt nobody and
// take nothing from a prompt). The slice then covers the last token and the drafts and asks for
// logits of all of them. accept() is called with the sampled tokens in order: as long as a token is
// the draft at its place, what was computed for it stands; the first that differs drops the rest.
//
// Windows. Where some layers see the last `window` tokens only, a sequence owns two lists of
// blocks, and what no token to come can see of the second is released when the step is committed
// (it stays in the cache until needed). A prefix is found as far as there are all full blocks of it
// and the windowed ones that the token behind it sees. A prompt takes more windowed blocks than its
// window needs only of those that nobody else who runs has a claim on.
//
// A step is plan, forward, commit, then accept or finish; or plan and abort, which leaves no trace.
// Pure and single-threaded: no clock (time is an argument), no I/O. O(1) per sequence and step
// (O(log n) to enter and leave the line); no allocation of note once the vectors have grown.
#pragma once

#include <chrono>
#include <cstdint>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "scheduler/kv_books.h"
#include "scheduler/sequence.h"
#include "scheduler/step_time.h"

namespace mill::scheduler {

struct PlannerLimits {
  int32_t blocks = 0;         // in the pool; of layers without a window, where some have one
  int32_t window_blocks = 0;  // in the pool of the layers with a window; as much as `window` is
  int64_t window = 0;         // tokens that these see, the last included; 0: no layer has a window
  int32_t block_tokens = 32;  // tokens per block
  int32_t max_running = 64;   // sequences in one step
  int32_t max_waiting = 256;
  int32_t step_tokens = 512;     // of one step; at least max_running
  int32_t prefill_tokens = 256;  // of one step at most, when anyone in it decodes; at least 1
  int32_t logit_rows = 64;       // of one step; at least max_running

  // How long a step in which somebody decodes may take; prompts get what is left (measured()
  // teaches the planner what that is, until then prefill_tokens is the only limit). 0: no target;
  // then p prompts beside d that decode make a step at most `stretch` + p / d times as long as it
  // were without them: one prompt hardly disturbs a crowd, and a crowd of prompts is not held up by
  // one. Where a step takes long for any of a prompt (StepTime), twice that time is for its tokens,
  // as long as the step is at most 1 + `stretch` times as long. In either case a step has room for
  // least_prefill tokens of prompts, so that these go on, and for no more than twice as many as the
  // last such step (or kFirstPrefill), should the time have been learned wrongly. Drafts beside
  // others may stretch a step, too.
  Duration itl_target{};
  double stretch = 1.6;
  int32_t least_prefill = 4;
  static constexpr int32_t kFirstPrefill = 32;
  // How long a prompt may take from its arrival to its first token; 0: no target. The second half
  // of that time raises the limit above, up to twice.
  Duration ttft_target{};

  Duration priority_worth = std::chrono::seconds(10);  // see above; levels count up to a million

  bool prefix_cache = true;
  // Tokens of an answer have other keys and values than they would have as a prompt's: a block with
  // such tokens is found again by its own sequence alone, or by one with the same prompt.
  bool answers_apart = false;
  HashKey cache_key;  // random, secret: see prefix_index.h
  std::string model;  // whose tokens these are
};

// Tokens that a sequence may have for the pools to hold it alone.
int64_t capacity_tokens(const PlannerLimits& limits);

struct NewSequence {
  std::vector<TokenId> prompt;  // not empty
  int64_t max_tokens = 0;       // that will be generated
  bool score_prompt = false;    // logits are wanted for every token of the prompt
  Instant deadline = kNever;
  int32_t priority = 0;
  Duration yield{};  // -work::kLongestHeadStart … kLongestYield; what is beyond counts as its end
  uint64_t tenant = 0;
  work::CacheSalt salt;
};

// Consecutive tokens of one sequence to compute, from position `first`; see StepPlanner::tokens().
struct Slice {
  SequenceId sequence = 0;
  int64_t first = 0;
  int64_t count = 0;
  int64_t logit_rows = 0;  // logits are wanted for the last so many of them
  int64_t drafts = 0;      // so many of the last are guesses
};

struct StepPlan {
  std::vector<Slice> slices;
  int64_t tokens = 0;      // sum of counts
  int64_t logit_rows = 0;  // sum of logit_rows
  // Blocks to be zeroed before the forward: their last owner left what is not a number in them.
  std::vector<BlockId> scrub;
  std::vector<BlockId> scrub_windowed;  // likewise, of the layers with a window
  bool empty() const { return slices.empty(); }
};

class StepPlanner {
 public:
  // Since the start; aborted steps don't count.
  struct Totals {
    int64_t preemptions = 0;
    int64_t prompt_tokens = 0;  // computed; what is computed again after a preemption doesn't count
    int64_t cached_tokens = 0;  // of prompts, found in the prefix cache instead
    friend bool operator==(const Totals&, const Totals&) = default;
  };

  // Requires: limits as their comments say.
  explicit StepPlanner(const PlannerLimits& limits);

  // Puts a sequence into the line; what the cache has of its prompt counts as used just now.
  // Requires: there is something to compute, that is more than one prompt token or max_tokens > 0;
  // no plan waits for its commit. Fails: kTooLarge when even the whole pool can't hold it,
  // kOverloaded when max_running + max_waiting are in the line.
  Result<SequenceId> add(NewSequence call, Instant now);

  // Those whose deadline is at or before `now`, the earliest first; valid until the next call. The
  // caller finishes them.
  std::span<const SequenceId> expired(Instant now);

  // Whether drafts for this sequence may be given: it runs, generates and is one token behind.
  // Requires: `id` is in the line.
  bool may_draft(SequenceId id) const;
  // Tokens that may follow the last one, instead of any given before. They hold until the sequence
  // has another token.  Requires: may_draft(id); no plan waits for its commit.
  void draft(SequenceId id, std::span<const TokenId> tokens);

  // The next step; valid until the next plan(). Empty only when there is no sequence. Takes blocks;
  // may preempt.  Requires: no plan waits for its commit; everybody's drafts are settled (accept).
  const StepPlan& plan(Instant now);

  // The tokens of a slice, drafts included. Valid until commit().
  std::span<const TokenId> tokens(const Slice& slice) const;

  // What was planned is now in the cache.  Requires: a plan that is not empty waits for it.
  void commit();
  // What was planned has not happened: all books are as before plan(), to the order of the free
  // blocks.  Requires: as commit().
  void abort();
  // How long the last committed step took, from its plan to the next.
  void measured(Duration took);

  // Whether the token is the draft at the place that accept() would put it at.
  // Requires: as accept().
  bool drafted(SequenceId id, TokenId token) const;

  // Appends a sampled token. True: it was the draft at its place, so the next row of logits of this
  // step tells what follows it. False: rows behind it say nothing.
  // Requires: the sequence runs, generates and is computed up to its goal.
  bool accept(SequenceId id, TokenId token);

  // Instead of accept(), when the row of logits is no good because of drafts behind it: the last
  // token is computed again, without drafts.  Requires: as accept().
  void retract(SequenceId id);

  // Nobody shall build on what this sequence has computed: its blocks leave the prefix index, and
  // are zeroed (StepPlan::scrub) before somebody else gets them.
  // Requires: `id` is in the line; no plan waits for its commit.
  void taint(SequenceId id);

  // Takes a sequence out of the line, for whatever reason, and frees its blocks; those that hold a
  // prefix stay in the cache until they are needed.
  // Requires: `id` is in the line; no plan waits for its commit.
  void finish(SequenceId id);

  // A place in the line.
  struct Place {
    Instant rank;
    uint64_t arrival;
    SequenceId id;
    friend bool operator<(const Place& a, const Place& b) {
      return std::pair(a.rank, a.arrival) < std::pair(b.rank, b.arrival);
    }
  };

  // Requires: `id` is in the line.
  const Sequence& sequence(SequenceId id) const;
  std::span<const SequenceId> running() const { return running_; }  // in order of the line
  const std::set<Place>& waiting() const { return waiting_; }       // likewise
  int64_t size() const { return static_cast<int64_t>(running_.size() + waiting_.size()); }
  const BlockPool& pool() const { return full_.pool(); }
  const PrefixIndex& index() const { return full_.index(); }
  const BlockPool& window_pool() const { return windowed_.pool(); }  // empty without windows
  const PrefixIndex& window_index() const { return windowed_.index(); }
  const PlannerLimits& limits() const { return limits_; }
  const Totals& totals() const { return totals_; }
  const StepTime& step_time() const { return time_; }

  int64_t capacity_tokens() const { return scheduler::capacity_tokens(limits_); }

  // Goes through all the books: every block is free or owned, by as many as its count says; what is
  // shared is the same beginning of all its owners; sequences own as many blocks as they need, and
  // none behind their windows; the index, the pool and the names agree; the line is in order. Fails
  // with kInternal and what is wrong. O(blocks + sequences).
  Status audit() const;

 private:
  // What plan() changes of a sequence, as it was before.
  struct Saved {
    SequenceId id;
    Sequence::State state;
    int64_t computed, published, cached_tokens, prompt_seen;
    int64_t slid, lent;
    size_t held;                                         // blocks
    std::vector<BlockId> given_back, window_given_back;  // by a preemption
  };
  // Blocks of both kinds.
  struct Blocks {
    int64_t full = 0, windowed = 0;
  };
  // What prompts may use of a step.
  struct Room {
    int64_t tokens = 0;
    int64_t least = 0;  // tokens that they get whatever the time
    bool timed = false;
    double seconds = 0;
    int64_t behind = 0;  // so many of those who run and are not looked at yet have prompts left
    int64_t given = 0;   // tokens of prompts
  };
  // The tenants of those who decode and whose turn has come.
  struct DueTenants {
    bool any = false, several = false;
    uint64_t first = 0;
  };

  Sequence& at(SequenceId id) { return table_[static_cast<size_t>(id)]; }
  const Sequence& at(SequenceId id) const { return table_[static_cast<size_t>(id)]; }
  Place place_of(SequenceId id) const { return {at(id).rank, at(id).arrival, id}; }
  int64_t blocks_for(int64_t tokens) const;
  bool has_windows() const { return limits_.window > 0; }
  int64_t window_span() const;
  int64_t behind_window(int64_t computed) const;
  int64_t free_blocks() const;
  std::span<const TokenId> block_of(const Sequence& sequence, int64_t k) const;
  void name_next(Sequence& sequence) const;

  // step_plan.cc: the parts of plan()
  void open_books();
  void save(SequenceId id);
  void give_decodes();
  void give_prefills(Room& room, bool patient);
  void give_drafts();
  Room room_for_prefills(Instant now) const;
  int64_t tokens_of(const Room& room, const Sequence& sequence) const;
  void spend(Room& room, const Slice& slice) const;
  void spend_time(Room& room, const Slice& slice) const;
  StepShape shape_of_plan() const;
  double urgency(Instant now) const;
  double seconds_for_drafts() const;
  int64_t drafts_for(const Slice& slice) const;
  int64_t give(SequenceId id, int64_t tokens, int64_t rows);
  bool make_room(SequenceId id);
  void acquire(Sequence& sequence, int64_t upto_tokens);
  void adopt(SequenceId id);
  bool adoptable(const Sequence& sequence, int64_t k) const;
  int64_t cached_upto(const Sequence& sequence, int64_t from) const;
  bool awaits_another(const Sequence& sequence) const;
  void claim(const Sequence& sequence);

  // shares.cc: who makes room for other tenants
  void find_due();
  bool yields(const Sequence& sequence) const;
  size_t prompts_due() const;
  void give_patient(Room& room);

  // admission.cc: who runs
  void admit(SequenceId id);
  void admit_ahead();
  bool admit_next();
  void preempt_last();
  Blocks needs(const Sequence& sequence) const;
  Blocks slack() const;
  Blocks& known_slack();
  int64_t window_claim(const Sequence& sequence) const;
  int64_t window_own(const Sequence& sequence) const;
  int64_t window_within_claims(const Sequence& sequence);

  void publish(Sequence& sequence);
  void slide(Sequence& sequence);
  void drop_drafts(Sequence& sequence);
  void leave_line(SequenceId id);
  Status audit_line() const;
  Status audit_sequence(const Sequence& sequence) const;
  Status audit_windows(const Sequence& sequence) const;
  Status audit_blocks(const KvBooks& books, std::vector<BlockId> Sequence::*list) const;

  const PlannerLimits limits_;
  KvBooks full_;      // of layers that see everything, or of all where none has a window
  KvBooks windowed_;  // of the others
  StepTime time_;
  std::vector<Sequence> table_;      // grows to max_running + max_waiting at most
  std::vector<SequenceId> vacant_;   // places of the table, a stack
  std::vector<SequenceId> running_;  // in order of the line
  std::set<Place> waiting_;
  std::set<std::pair<Instant, SequenceId>> deadlines_;
  std::vector<SequenceId> expired_;
  Totals totals_;
  uint64_t arrivals_ = 0;

  // The step in the making.
  StepPlan plan_;
  Instant now_{};
  StepShape shape_;  // of the due decodes, then of the whole plan
  DueTenants due_;
  std::vector<SequenceId> patient_;  // those who decode and yield
  bool planned_ = false;             // a plan waits for its commit
  bool preempted_ = false;           // by this plan
  int64_t last_prefill_ = 0;  // tokens of prompts in the last step that had a time limit for them
  size_t decodes_ = 0;        // so many leading slices are of sequences one token behind
  Blocks slack_;              // blocks that nobody has a claim on; see admission.cc
  bool slack_known_ = false;
  std::vector<Hash128> claims_;  // names of the blocks that prompts of this step are filling

  // To undo it.
  uint64_t plans_ = 0;
  uint64_t turns_ = 0;  // slices that were committed
  std::vector<Saved> saved_;
  std::vector<SequenceId> running_before_;
  std::vector<SequenceId> adopted_;  // those who took something over from the cache
  Totals totals_before_;
};

}  // namespace mill::scheduler
