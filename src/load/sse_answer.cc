#include "load/sse_answer.h"

#include <boost/json.hpp>
#include <string>
#include <utility>
#include <vector>

namespace mill::load {
namespace {

namespace json = boost::json;

// Null: absent, null, or of another kind.
const json::object* object_in(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains(name);
  return value == nullptr ? nullptr : value->if_object();
}

int64_t count_in(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains(name);
  const int64_t* count = value == nullptr ? nullptr : value->if_int64();
  return count == nullptr || *count < 0 ? 0 : *count;
}

std::string_view text_in(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains(name);
  const json::string* text = value == nullptr ? nullptr : value->if_string();
  return text == nullptr ? std::string_view() : std::string_view(*text);
}

// The text that a choice brings, and whether it brings part of an answer at all: a chat's first
// chunk has only the role, the last one only the reason of the end.
bool take_choice(const json::object& choice, Reply& reply) {
  const std::string_view reason = text_in(choice, "finish_reason");
  if (!reason.empty()) reply.finish_reason = reason;
  if (const json::object* delta = object_in(choice, "delta")) {
    const std::string_view content = text_in(*delta, "content");
    const std::string_view thought = text_in(*delta, "reasoning_content");
    reply.text += thought;
    reply.text += content;
    return !content.empty() || !thought.empty();
  }
  const std::string_view text = text_in(choice, "text");
  reply.text += text;
  return !text.empty() || (reason.empty() && choice.contains("text"));
}

void take_usage(const json::object& usage, Reply& reply) {
  reply.prompt_tokens = count_in(usage, "prompt_tokens");
  reply.completion_tokens = count_in(usage, "completion_tokens");
  if (const json::object* details = object_in(usage, "prompt_tokens_details")) {
    reply.cached_tokens = count_in(*details, "cached_tokens");
  }
  if (const json::object* details = object_in(usage, "completion_tokens_details")) {
    reply.accepted_drafts = count_in(*details, "accepted_prediction_tokens");
  }
}

std::string error_words(const json::value& error) {
  if (const json::object* object = error.if_object()) {
    const std::string_view message = text_in(*object, "message");
    if (!message.empty()) return std::string(message);
  }
  if (const json::string* text = error.if_string()) return std::string(*text);
  return "of no known form";
}

}  // namespace

Status SseAnswer::take(const std::string& event, Instant when) {
  if (event == "[DONE]") {
    done_ = true;
    return {};
  }
  boost::system::error_code error;
  const json::value value = json::parse(event, error);
  const json::object* object = error ? nullptr : value.if_object();
  if (object == nullptr) return fail(Code::kCorrupt, "an event of the stream is no JSON object");
  if (const json::value* fault = object->if_contains("error"); fault && !fault->is_null()) {
    return fail(Code::kInternal, "an error in the stream: " + error_words(*fault));
  }
  if (const json::object* usage = object_in(*object, "usage")) {
    usage_ = true;
    take_usage(*usage, reply_);
  }
  const json::value* choices = object->if_contains("choices");
  const json::array* array = choices == nullptr ? nullptr : choices->if_array();
  if (array == nullptr) return fail(Code::kCorrupt, "an event of the stream has no choices");
  if (array->empty()) return {};
  const json::object* choice = array->front().if_object();
  if (choice == nullptr) return fail(Code::kCorrupt, "a choice of the stream is no JSON object");
  if (take_choice(*choice, reply_)) reply_.pieces.push_back(when);
  return {};
}

Status SseAnswer::feed(std::string_view bytes, Instant when) {
  std::vector<std::string> events;
  MILL_TRY_DO(reader_.feed(bytes, events));
  for (const std::string& event : events) MILL_TRY_DO(take(event, when));
  return {};
}

Result<Reply> SseAnswer::finish(Instant when) {
  if (!done_ && reply_.finish_reason.empty()) {
    return fail(Code::kIo, "the stream ended before the answer did");
  }
  reply_.ended = when;
  if (!usage_) {
    reply_.counted = false;
    reply_.completion_tokens = static_cast<int64_t>(reply_.pieces.size());
  }
  return std::move(reply_);
}

}  // namespace mill::load
