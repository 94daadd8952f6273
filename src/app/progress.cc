#include "app/progress.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <utility>

namespace mill::app {
namespace {

constexpr Duration kRedraw = std::chrono::milliseconds(100);
constexpr Duration kPlainLine = std::chrono::seconds(10);
constexpr Duration kPlainFirst = std::chrono::seconds(2);  // shorter works need no lines
constexpr Duration kSpeedWindow = std::chrono::seconds(1);

int terminal_width() {
  winsize size{};
  if (::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col < 40) return 80;
  return std::min<int>(size.ws_col, 120);
}

std::string amount(Progress::Unit unit, uint64_t done) {
  return unit == Progress::Unit::kBytes ? bytes_text(done) : fmt::format("{} tokens", done);
}

std::string time_text(double seconds) {
  const auto whole = std::llround(seconds);
  if (whole < 60) return fmt::format("{} s", whole);
  return whole < 3600 ? fmt::format("{} min {:02} s", whole / 60, whole % 60)
                      : fmt::format("{} h {:02} min", whole / 3600, whole / 60 % 60);
}

}  // namespace

std::string bytes_text(uint64_t bytes) {
  const auto value = static_cast<double>(bytes);
  if (bytes >= 1'000'000'000) return fmt::format("{:.2f} GB", value / 1e9);
  if (bytes >= 1'000'000) return fmt::format("{:.1f} MB", value / 1e6);
  return bytes >= 1000 ? fmt::format("{:.1f} kB", value / 1e3) : fmt::format("{} bytes", bytes);
}

bool on_terminal() {
  return ::isatty(STDERR_FILENO) == 1;
}

Progress::Progress(std::string title, Unit unit)
    : title_(std::move(title)), unit_(unit), terminal_(on_terminal()), begun_(now()) {}

Progress::~Progress() {
  clear();
}

std::string Progress::line(std::string_view title, Unit unit, uint64_t done,
                           std::optional<uint64_t> total, double per_second, int width) {
  std::string text(title);
  std::string tail = amount(unit, done);
  if (total && *total > 0) tail = fmt::format("{} of {}", tail, amount(unit, *total));
  if (per_second > 0) {
    tail += fmt::format(", {}/s", amount(unit, static_cast<uint64_t>(per_second)));
    if (total && *total > done)
      tail += fmt::format(", {} left", time_text(static_cast<double>(*total - done) / per_second));
  }
  if (!total || *total == 0) return text + "  " + tail;
  const double share = std::min(1.0, static_cast<double>(done) / static_cast<double>(*total));
  const int percent = static_cast<int>(share * 100);
  const int room = width - static_cast<int>(text.size() + tail.size()) - 12;
  std::string bar;
  if (room >= 10) {
    const int cells = std::min(room, 40);
    const int full = static_cast<int>(share * cells);
    bar = fmt::format("[{}{}] ", std::string(full, '#'), std::string(cells - full, '.'));
  }
  return fmt::format("{} {}{:3}%  {}", text, bar, percent, tail);
}

bool Progress::due(Instant time, uint64_t done, std::optional<uint64_t> total) const {
  const bool end = total && done == *total;
  if (terminal_) return time - drawn_at_ >= kRedraw || end;
  if (lines_ == 0) return time - begun_ >= kPlainFirst;
  const bool tenth = total && *total > 0 && done * 10 / *total > drawn_done_ * 10 / *total;
  return end || time - drawn_at_ >= kPlainLine || (tenth && time - drawn_at_ >= kSpeedWindow);
}

void Progress::show(uint64_t done, std::optional<uint64_t> total) {
  const Instant time = now();
  const bool first = !started_;
  started_ = true;
  if (first) begun_ = time;
  if (first || done < mark_done_) {  // a start, fresh or from where an earlier run stopped
    mark_done_ = done;
    mark_at_ = time;
  }
  if (time - mark_at_ >= kSpeedWindow) {
    per_second_ = static_cast<double>(done - mark_done_) / to_seconds(time - mark_at_);
    mark_done_ = done;
    mark_at_ = time;
  }
  if (!due(time, done, total)) return;
  drawn_at_ = time;
  drawn_done_ = done;
  const std::string text =
      line(title_, unit_, done, total, per_second_, terminal_ ? terminal_width() : 0);
  if (terminal_) {
    std::fprintf(stderr, "\r%s\x1b[K", text.c_str());
    drawn_ = true;
  } else {
    ++lines_;
    std::fprintf(stderr, "%s\n", text.c_str());
  }
  std::fflush(stderr);
}

void Progress::say(std::string_view sentence) {
  clear();
  std::fprintf(stderr, "%s: %.*s\n", title_.c_str(), static_cast<int>(sentence.size()),
               sentence.data());
}

void Progress::clear() {
  if (drawn_) std::fputs("\r\x1b[K", stderr);
  drawn_ = false;
  std::fflush(stderr);
}

}  // namespace mill::app
