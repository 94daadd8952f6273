// A conversation in the terminal: what `tokenmill run` does between two lines of input.
#pragma once

#include <atomic>
#include <boost/json.hpp>
#include <cstdint>
#include <cstdio>
#include <string>

#include "app/mounted_model.h"
#include "base/result.h"
#include "work/order.h"

namespace mill::app {

struct ChatOptions {
  work::Sampling sampling;
  int32_t max_tokens = 0;  // of one answer; 0: as many as the context has room for
  std::string system;      // "" for none
};

struct ChatStats {
  int64_t prompt_tokens = 0;
  int64_t output_tokens = 0;
  double first_token_seconds = 0;
  double tokens_per_second = 0;  // behind the first token
  bool interrupted = false;
};
// "prompt 21, answer 64 tokens, first after 0.08 s, 95.3 tokens/s"
std::string describe(const ChatStats& stats);

class ChatSession {
 public:
  // `interrupted` is set (by a signal handler) to stop the answer under way. Both must outlive the
  // session.
  ChatSession(MountedModel& model, ChatOptions options, const std::atomic<bool>& interrupted);

  // Adds the user's words, writes the answer to `out` as it comes, and keeps both in the
  // conversation. A model without a template continues the text instead. Fails like Worker::submit,
  // or with the answer's own fault; the conversation is then as before.
  Result<ChatStats> say(const std::string& words, std::FILE* out);
  void set_system(std::string text);  // begins a new conversation
  void reset();

 private:
  Result<std::vector<TokenId>> prompt_of(const boost::json::array& messages,
                                         const std::string& words) const;

  MountedModel& model_;
  ChatOptions options_;
  const std::atomic<bool>& interrupted_;
  boost::json::array messages_;
  uint64_t answers_ = 0;  // so that each draws other random numbers
};

}  // namespace mill::app
