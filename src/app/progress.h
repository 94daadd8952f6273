// A line on standard error that shows how far a long work has come: a bar that is drawn over on a
// terminal, a plain line now and then elsewhere.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"

namespace mill::app {

class Progress {
 public:
  enum class Unit { kBytes, kTokens };

  // `title` begins the line. Draws nothing yet.
  Progress(std::string title, Unit unit);
  // Takes the line off the terminal.
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void show(uint64_t done, std::optional<uint64_t> total);
  // A sentence of its own line; the bar goes on below it.
  void say(std::string_view sentence);
  void clear();

  // What show() draws, for a given state; `width` columns at most.
  static std::string line(std::string_view title, Unit unit, uint64_t done,
                          std::optional<uint64_t> total, double per_second, int width);

 private:
  bool due(Instant time, uint64_t done, std::optional<uint64_t> total) const;

  const std::string title_;
  const Unit unit_;
  const bool terminal_;
  Instant begun_;  // the first show()
  bool started_ = false;  // show() was called
  int lines_ = 0;  // plain lines written
  bool drawn_ = false;
  Instant drawn_at_;
  uint64_t drawn_done_ = 0;
  Instant mark_at_;  // where the present speed is measured from
  uint64_t mark_done_ = 0;
  double per_second_ = 0;
};

// "98.4 MB", "5.03 GB": decimal, as disks and hubs count.
std::string bytes_text(uint64_t bytes);

// Whether standard error is a terminal.
bool on_terminal();

}  // namespace mill::app
