#include "gateway/deliver.h"

#include <algorithm>

#include "gateway/http_status.h"
#include "gateway/reply_headers.h"

namespace mill::gateway {
namespace {

constexpr size_t kBatchBytes = 64 << 10;  // of events that go into one write

// One choice, from its order to its end.
struct Track {
  Answer answer;
  bool closed = false;    // its finish_reason has been written
  bool finished = false;  // its Finished has come
  std::string_view finish_reason;
  std::optional<Instant> last_token;
};

// Reads the choices and knows how far each is; the same for streams and whole answers.
class Tracks {
 public:
  Tracks(Delivery at, Choices& choices) : at_(at), choices_(choices) {
    for (size_t i = 0; i < choices.count(); ++i) tracks_.push_back({make_answer(i)});
  }

  size_t count() const { return tracks_.size(); }
  Track& operator[](size_t choice) { return tracks_[choice]; }
  bool all_finished() const { return finished_ == tracks_.size(); }
  const std::optional<Error>& fault() const { return fault_; }

  Delta take(size_t choice, const work::Piece& piece) {
    Track& track = tracks_[choice];
    if (!piece.of_prompt) {
      note_token(track);
      heed(at_.booking.milled(++milled_));
    }
    Delta delta = track.answer.push(piece);
    if (track.answer.stopped() && track.finish_reason.empty()) {
      track.finish_reason = "stop";
      choices_.cancel(choice);
    }
    return delta;
  }

  Delta take(size_t choice, const work::Finished& finished) {
    Track& track = tracks_[choice];
    track.finished = true;
    ++finished_;
    count_usage(choice, finished.usage);
    const bool over = !track.finish_reason.empty();  // by a stop string
    if (over) return {};
    switch (finished.reason) {
      case work::FinishReason::kStop:
        track.finish_reason = "stop";
        break;
      case work::FinishReason::kLength:
        track.finish_reason = "length";
        break;
      case work::FinishReason::kCancelled:
        if (full_) {  // of what could be held; what was milled meanwhile is shown
          track.finish_reason = "length";
          break;
        }
        track.finish_reason = "cancelled";
        if (at_.kept || !at_.http.client_left())
          fail_with({Code::kInternal, "the answer was given up", ""});
        return {};
      case work::FinishReason::kDeadline:
        track.finish_reason = "deadline";
        fail_with({Code::kDeadline, "the answer took longer than this server allows", ""});
        return {};
      case work::FinishReason::kFault:
        track.finish_reason = "fault";
        fail_with(finished.fault.value_or(Error{Code::kInternal, "the model failed", ""}));
        return {};
    }
    Delta rest = track.answer.finish();
    if (track.answer.stopped()) track.finish_reason = "stop";
    return rest;
  }

  // Looks at the key while nothing comes.
  void glance() {
    if (at_.booking.revoked()) heed(Booking::Word::kRevoked);
  }
  int64_t milled() const { return milled_; }

  // Every choice came to its own end.
  bool whole() const {
    return !fault_ && std::none_of(tracks_.begin(), tracks_.end(), [](const Track& track) {
      return track.finish_reason == "cancelled";
    });
  }

  // How it ended, for the books. `sent`: tokens that have left for the client.
  maas::Outcome outcome() const {
    if (!at_.kept && at_.http.client_left()) return maas::Outcome::kClientGone;
    if (!fault_) return maas::Outcome::kDone;
    if (fault_->code == Code::kDeadline) return maas::Outcome::kDeadline;
    if (fault_->code == Code::kPermission) return maas::Outcome::kKeyRevoked;
    return at_.draining ? maas::Outcome::kDrained : maas::Outcome::kFault;
  }
  // What is asked for again is charged again: what came of it before a fault is free.
  maas::Took took(int64_t sent, int64_t bytes) const {
    return {.usage = at_.record.usage,
            .delivered_tokens = at_.kept && fault_ ? 0 : sent,
            .delivered_bytes = bytes,
            .length = at_.record.finish_reason.find("length") != std::string::npos};
  }

  void fail_with(Error error) {
    if (!fault_) fault_ = std::move(error);
    choices_.cancel_all();
  }

  // Into the record: "stop", or "stop,length" where the choices differ.
  void note_reasons() {
    std::string& reasons = at_.record.finish_reason;
    for (const Track& track : tracks_) {
      if (reasons.find(track.finish_reason) != std::string::npos) continue;
      if (!reasons.empty()) reasons += ',';
      reasons += track.finish_reason;
    }
  }

 private:
  Answer make_answer(size_t choice) const {
    const Call& call = at_.call;
    Answer::Shape shape;
    shape.stops = call.stops;
    const auto ends = call.model->tokenizer->ends_of_generation();
    if (!call.ignore_end) shape.end_tokens.assign(ends.begin(), ends.end());
    shape.scored = call.sampling.top_logprobs.has_value();
    if (call.echo) shape.echo = call.prompts[choice / static_cast<size_t>(call.choices)].text;
    shape.echo_scored = call.echo && shape.scored;
    return Answer(*call.model->tokenizer, std::move(shape));
  }

  void note_token(Track& track) {
    const Instant time = now();
    if (!at_.record.first_token) {
      at_.record.first_token = time;
      at_.metrics.time_to_first_token.record(time - at_.http.received());
    }
    if (track.last_token) at_.metrics.inter_token.record(time - *track.last_token);
    track.last_token = time;
    at_.record.last_token = time;
  }

  // The choices of one prompt share it: it counts once.
  void count_usage(size_t choice, const work::Usage& usage) {
    work::Usage& total = at_.record.usage;
    total.completion_tokens += usage.completion_tokens;
    total.accepted_drafts += usage.accepted_drafts;
    total.rejected_drafts += usage.rejected_drafts;
    total.busy += usage.busy;
    if (choice % static_cast<size_t>(at_.call.choices) != 0) return;
    total.prompt_tokens += usage.prompt_tokens;
    total.cached_tokens += usage.cached_tokens;
  }

  void heed(Booking::Word word) {
    if (word == Booking::Word::kRevoked && !fault_)
      fail_with({Code::kPermission, "the key of this request was revoked", "key"});
    if (word == Booking::Word::kLength && !full_) {
      full_ = true;
      choices_.cancel_all();
    }
  }

  Delivery at_;
  Choices& choices_;
  std::vector<Track> tracks_;
  size_t finished_ = 0;
  int64_t milled_ = 0;  // tokens of all answers
  bool full_ = false;   // ended by the books: no more could be held
  std::optional<Error> fault_;
};

// The next event. Nothing: `deadline` has passed. Looks at the key meanwhile.
Task<std::optional<ChoiceEvent>> next_event(const Booking& booking, Tracks& tracks,
                                            Choices& choices, Instant deadline) {
  for (;;) {
    const Instant until = booking.glance(deadline);
    std::optional<ChoiceEvent> next = co_await choices.next(until);
    if (next || until == deadline) co_return next;
    tracks.glance();
  }
}

// Books the end, and where somebody waits for it, waits for the disk.
Task<Status> close_books(Delivery at, const Tracks& tracks, int64_t sent, int64_t bytes) {
  if (!at.booking.booked()) co_return Status();
  maas::Took took = tracks.took(sent, bytes);
  const bool kept = at.kept && tracks.whole();
  if (kept) took.keepsake = at.kept->seal(at.booking.id());
  Status status = at.booking.settle(took, tracks.outcome());
  at.record.charge = at.booking.charge();
  if (status && kept) at.kept->keep(at.booking.seq(), now());
  if (status && !at.http.client_left()) status = co_await at.booking.settled();
  co_return status;
}

// What is sent may be asked for again.
void note_sent(Delivery at, const std::string& events) {
  if (at.kept) at.kept->append(events);
}

net::HttpReply head_of(Delivery at, std::string content_type) {
  if (at.kept) at.kept->is_of_type(content_type);
  net::HttpReply reply;
  reply.content_type = std::move(content_type);
  reply.headers = api_headers(at.http, at.options.cors_origin);
  constexpr size_t kMore = 2;  // of a stream
  reply.headers.reserve(reply.headers.size() + at.headers.size() + kMore);
  std::move(at.headers.begin(), at.headers.end(), std::back_inserter(reply.headers));
  return reply;
}

Task<Status> deliver_whole(Delivery at, Choices& choices) {
  Tracks tracks(at, choices);
  std::vector<WholeChoice> answers(tracks.count());
  const auto add = [&](size_t choice, Delta delta) {
    Delta& content = answers[choice].content;
    content.text += delta.text;
    std::move(delta.tokens.begin(), delta.tokens.end(), std::back_inserter(content.tokens));
  };
  for (size_t i = 0; i < tracks.count(); ++i) add(i, tracks[i].answer.begin());
  while (!tracks.all_finished()) {
    std::optional<ChoiceEvent> next = choices.ready();
    if (!next) next = co_await next_event(at.booking, tracks, choices, kNever);
    std::visit([&](const auto& event) { add(next->choice, tracks.take(next->choice, event)); },
               next->event);
  }
  tracks.note_reasons();
  for (size_t i = 0; i < answers.size(); ++i) answers[i].finish_reason = tracks[i].finish_reason;
  net::HttpReply reply = head_of(at, "application/json");
  if (!tracks.fault()) reply.body = at.format.whole(answers, at.record.usage);
  note_sent(at, reply.body);
  // A fault lets nothing of a whole answer out; else all of it is about to leave.
  const Status booked = co_await close_books(at, tracks, tracks.fault() ? 0 : tracks.milled(), 0);
  if (at.http.client_left()) co_return fail(Code::kCancelled, "the client left");
  if (tracks.fault()) co_return fail(*tracks.fault());
  if (!booked) co_return booked;
  Status sent = co_await at.http.reply(std::move(reply));
  co_return sent;
}

// Writes the events of a stream in the order in which they become known.
class EventWriter {
 public:
  EventWriter(Delivery at, Choices& choices) : at_(at), tracks_(at, choices) {}

  Tracks& tracks() { return tracks_; }
  std::string& out() { return out_; }

  // Each choice begins with its role, before any text.
  void open() {
    for (size_t i = 0; i < tracks_.count(); ++i) {
      at_.format.open(out_, i);
      write(i, tracks_[i].answer.begin());
    }
  }

  void take(const ChoiceEvent& next) {
    std::visit([&](const auto& event) { write(next.choice, tracks_.take(next.choice, event)); },
               next.event);
    Track& track = tracks_[next.choice];
    if (track.closed || track.finish_reason.empty() || tracks_.fault()) return;
    track.closed = true;
    at_.format.close(out_, next.choice, track.finish_reason);
  }

  // The last events. After a fault there is no [DONE]: the answer isn't whole.
  void close() {
    if (tracks_.fault()) {
      out_ += "data: " + error_body(*tracks_.fault()) + "\n\n";
      return;
    }
    if (at_.call.include_usage) at_.format.usage(out_, at_.record.usage);
    out_ += "data: [DONE]\n\n";
  }

 private:
  void write(size_t choice, const Delta& delta) {
    if (!delta.empty()) at_.format.delta(out_, choice, delta);
  }

  Delivery at_;
  Tracks tracks_;
  std::string out_;
};

// Takes what has come and is not yet taken, up to one write's worth.
void take_ready(EventWriter& writer, Choices& choices) {
  while (!writer.tracks().all_finished() && writer.out().size() < kBatchBytes) {
    const std::optional<ChoiceEvent> next = choices.ready();
    if (!next) return;
    writer.take(*next);
  }
}

Task<void> read_to_end(EventWriter& writer, Choices& choices) {
  while (!writer.tracks().all_finished()) {
    const std::optional<ChoiceEvent> next = co_await choices.next(kNever);
    writer.take(*next);
  }
}

Task<Status> deliver_streamed(Delivery at, Choices& choices) {
  EventWriter writer(at, choices);
  Tracks& tracks = writer.tracks();
  // The head waits for the first event, so that a fault before it still gets its own status.
  std::optional<ChoiceEvent> next =
      co_await next_event(at.booking, tracks, choices, now() + at.options.keepalive);
  bool begun = false;
  int64_t sent_tokens = 0, sent_bytes = 0;
  for (;;) {
    if (!begun) writer.open();
    if (next) {
      writer.take(*next);
      take_ready(writer, choices);
    } else {
      writer.out() += ": keepalive\n\n";
    }
    if (!begun && !tracks.fault()) {
      if (Status held = co_await at.booking.held(); !held) tracks.fail_with(held.error());
    }
    if (!begun && tracks.fault()) {
      co_await read_to_end(writer, choices);
      break;
    }
    if (!begun) {
      net::HttpReply head = head_of(at, "text/event-stream");
      head.headers.push_back({"Cache-Control", "no-cache"});
      head.headers.push_back({"X-Accel-Buffering", "no"});  // a proxy is to pass each token on
      at.http.begin_stream(std::move(head));
      begun = true;
    }
    if (tracks.all_finished()) break;
    std::string events = std::exchange(writer.out(), {});
    const auto bytes = static_cast<int64_t>(events.size());
    const int64_t tokens = tracks.milled();
    note_sent(at, events);
    // A failed send has cancelled the choices: they are read to their end for the usage.
    if (const Status sent = co_await at.http.send(std::move(events))) {
      sent_tokens = tokens;
      sent_bytes += bytes;
      // A crash settles there; but who asks again is not to pay for what was lost.
      if (!at.kept) at.booking.sent(sent_tokens, sent_bytes);
    }
    next = co_await next_event(at.booking, tracks, choices, now() + at.options.keepalive);
  }
  tracks.note_reasons();
  // What ends well is whole with the bytes that follow.
  if (!tracks.fault()) sent_tokens = tracks.milled();
  const size_t rest = writer.out().size();
  if (!tracks.fault()) {
    writer.close();
    note_sent(at, writer.out());
  }
  const Status booked = co_await close_books(at, tracks, sent_tokens, sent_bytes);
  if (at.http.client_left()) co_return fail(Code::kCancelled, "the client left");
  if (!booked && !tracks.fault()) {
    tracks.fail_with(booked.error());
    writer.out().resize(rest);  // it does not end well after all
  }
  if (!begun) co_return fail(*tracks.fault());
  const std::optional<Error> fault = tracks.fault();
  if (fault) writer.close();
  std::string events = std::exchange(writer.out(), {});
  MILL_CO_TRY_DO(co_await at.http.send(std::move(events)));
  Status ended = co_await at.http.end_stream();
  if (fault) co_return fail(*fault);
  co_return ended;
}

}  // namespace

Task<Status> deliver(Delivery at, Choices choices) {
  if (!at.kept) at.http.when_client_leaves(choices.canceller());
  if (at.call.stream) {
    Status streamed = co_await deliver_streamed(at, choices);
    co_return streamed;
  }
  Status sent = co_await deliver_whole(at, choices);
  co_return sent;
}

}  // namespace mill::gateway
