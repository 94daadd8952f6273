// One request and the way to answer it: handed to the handler, gone when the handler returns.
//
// Lives on the io thread of its connection, as the handler does. Exactly one of reply() and
// begin_stream() is to be called. A handler that returns without an answer leaves a 500; one that
// began a stream and didn't end it leaves a connection that is cut, so that the client sees that
// the answer is not whole.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <utility>

#include "base/clock.h"
#include "base/ids.h"
#include "base/result.h"
#include "base/task.h"
#include "net/http.h"

namespace mill::net {

class HttpConnection;

class HttpExchange {
 public:
  HttpExchange(HttpConnection& connection, HttpRequest request, RequestId id, Instant received);
  HttpExchange(const HttpExchange&) = delete;
  HttpExchange& operator=(const HttpExchange&) = delete;

  const HttpRequest& request() const { return request_; }
  // The body, given away: request().body is empty afterwards.
  std::string take_body() { return std::exchange(request_.body, {}); }
  // Frees the body and its share of HttpLimits::body_bytes_total, which otherwise end with the
  // handler. For answers that take long.
  void drop_body();
  const RequestId& id() const { return id_; }
  Instant received() const { return received_; }  // when the last byte of the request was in

  // Sends a whole answer. The body of a reply to HEAD is counted and not sent. All sends fail with
  // kCancelled when the client has left and with kDeadline when it takes no bytes for
  // Limits::write_stall; then nothing more can be sent.
  Task<Status> reply(HttpReply reply);

  // Begins an answer whose length isn't known: chunked, or up to the close for HTTP/1.0. The head
  // goes out with the first send.
  void begin_stream(HttpReply head);
  Task<Status> send(std::string bytes);
  Task<Status> end_stream();

  // `action` runs once, on this thread, when the client has closed or reset the connection (a
  // half-close counts as leaving), or when the server stops waiting for the answer. It may run at
  // once. Watching begins with this call and ends with the handler.
  void when_client_leaves(std::function<void()> action);
  bool client_left() const;
  // Whether the connection came over the loopback: from a program, perhaps a proxy, on this
  // machine.
  bool from_this_machine() const;
  // Of the other end of the connection, as text: the client, or the last proxy before us. "" when
  // it is gone.
  std::string peer_address() const;

  bool answered() const { return state_ != State::kUnanswered; }
  int status() const { return status_; }  // of the answer; 0 while there is none

 private:
  friend class HttpConnection;
  enum class State { kUnanswered, kStreaming, kDone };

  // With room for so many more bytes, so that head and body are one block of the heap.
  std::string head_of(const HttpReply& reply, std::string_view framing, size_t room) const;

  HttpConnection& connection_;
  HttpRequest request_;
  RequestId id_;
  Instant received_;
  State state_ = State::kUnanswered;
  int status_ = 0;
  std::string unsent_head_;
};

}  // namespace mill::net
