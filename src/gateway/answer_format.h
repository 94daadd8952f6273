// How an answer is written for the client, whole or as events of a stream: one class per wire.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "gateway/answer.h"
#include "work/event.h"

namespace mill::gateway {

struct WholeChoice {
  Delta content;
  std::string_view finish_reason;
};

class AnswerFormat {
 public:
  virtual ~AnswerFormat() = default;

  // Each appends events ("data: …\n\n") to `out`.
  virtual void open(std::string& out,
                    size_t choice) const = 0;  // before the first delta of a choice
  virtual void delta(std::string& out, size_t choice, const Delta& delta) const = 0;
  virtual void close(std::string& out, size_t choice, std::string_view finish_reason) const = 0;
  virtual void usage(std::string& out, const work::Usage& usage) const = 0;

  // The body of an answer that isn't streamed.
  virtual std::string whole(std::span<const WholeChoice> choices,
                            const work::Usage& usage) const = 0;
};

}  // namespace mill::gateway
