// The books' side of one answer: its hold is on the disk before the first byte leaves, its charge
// before the last.
//
// A default one books nothing: the server is open, and answers are free (`serve --open`). Belongs
// to one request, on its thread. Dropped unsettled, it lets go of the hold.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "base/task.h"
#include "maas/office/office.h"
#include "net/http.h"
#include "work/worker.h"

namespace mill::gateway {

class Booking {
 public:
  struct Terms {
    maas::Office* office = nullptr;
    maas::Caller caller;
    int64_t prompt_tokens = 0;  // of all prompts
    int64_t most_output = 0;    // of all answers
    bool revoked_ends = true;
  };
  // What of a long answer is held at first; the hold doubles as the answer grows.
  static constexpr int64_t kFirstHold = 4096;
  static constexpr Duration kPatience = std::chrono::seconds(10);      // for the disk
  static constexpr Duration kGlance = std::chrono::milliseconds(500);  // at the key, while silent

  Booking();
  Booking(Terms terms, maas::Permit permit, int64_t output_held);
  Booking(Booking&&) noexcept;
  Booking& operator=(Booking&&) noexcept;
  ~Booking();

  bool booked() const { return state_ != nullptr; }
  // How long the answer is to yield to those who have had less of the mill; negative: how far it
  // goes ahead of its time, having had less than its share.
  Duration yield() const;
  uint64_t tenant() const;      // among whom the mill is shared; 0 when nothing is booked
  maas::Tier tier() const;      // that it is served and sold in; kDefault when nothing is booked
  int32_t level() const;        // of its tier: work::Order::priority
  std::string id() const;       // the request's ULID in the books; "" when nothing is booked
  ledger::Nano charge() const;  // after settle()
  int64_t seq() const;          // of the charge in the journal, after settle()
  // x-ratelimit-* and the request's id in the books.
  std::vector<net::Header> headers() const;
  // When to look at the key again, if nothing comes before `deadline`.
  Instant glance(Instant deadline) const;

  enum class Word { kGoOn, kLength, kRevoked };
  // The answers have so many tokens in all: whether they may go on. kLength: neither credit nor
  // budget has room for more. Cheap, for every token.
  Word milled(int64_t output_tokens);
  bool revoked();  // looks only when some key was changed
  // So much of it has left for the client: where a crash would settle.
  void sent(int64_t output_tokens, int64_t bytes);

  // Before the first byte. kOverloaded: the books do not take it.
  Task<Status> held();
  // Books the end. Requires: booked() and not settled.
  Status settle(const maas::Took& took, maas::Outcome outcome);
  // Before the last byte: the charge is on the disk.
  Task<Status> settled();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Asks the till. Fails with its Denial.
tl::expected<Booking, maas::Denial> book(Booking::Terms terms, const std::string& model,
                                         bool stream, const work::Load& line);

// 429 with what ran out and when again, 503, or the error's own status.
net::HttpReply denial_reply(const maas::Denial& denial, double drain_seconds);
// x-ratelimit-limit-requests, … as OpenAI's.
void append_rate_headers(std::vector<net::Header>& headers, const maas::RateViews& rates);

}  // namespace mill::gateway
