// What the books cost: pairs of hold and settle a second, how long a pair waits for the disk, how
// long a restart takes after a kill -9, when the last checkpoint is as far back as it can be.
//
//   mill_book_bench FOLDER|postgres://… [--pairs 200000] [--rate 4000] [--entries 1000000]
#include <fmt/format.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/check.h"
#include "ledger/book.h"
#include "ledger/open_journal.h"

namespace mill::ledger {
namespace {

constexpr Currency kUsd = "USD"_currency;

template <class T>
T must(Result<T> result) {
  if (!result) fmt::print(stderr, "{}\n", result.error().message);
  MILL_CHECK(result.has_value());
  return std::move(*result);
}

std::unique_ptr<Book> open(const std::string& address) {
  return must(Book::open(must(open_journal(address)), {}));
}

Entry entry(Kind kind, const HoldId& id, Nano amount) {
  Entry made;
  made.kind = kind;
  made.hold = id;
  made.payer = {.org = 1, .project = 2, .key = 3};
  made.currency = kUsd;
  made.amount = amount;
  made.model = "sim:instant";
  made.price_version = 1;
  if (kind == Kind::kSettle)
    made.tokens = {.input_uncached = 12, .output_text = 16}, made.reason = Reason::kStop;
  return made;
}

Ticket pair(Book& book) {
  for (;;) {
    const HoldId id = book.new_id();
    const auto held = book.post(entry(Kind::kHold, id, 1000));
    if (!held) {
      MILL_CHECK(held.error().code == Code::kOverloaded);
      std::this_thread::sleep_for(std::chrono::microseconds(200));
      continue;
    }
    for (;;) {
      const auto settled = book.post(entry(Kind::kSettle, id, 400));
      if (settled) return *settled;
      MILL_CHECK(settled.error().code == Code::kOverloaded);
      std::this_thread::sleep_for(std::chrono::microseconds(200));
    }
  }
}

void run(const std::string& address, int64_t pairs, double rate, int64_t entries) {
  auto book = open(address);
  Entry credit;
  credit.kind = Kind::kCredit;
  credit.payer.org = 1;
  credit.currency = kUsd;
  credit.amount = int64_t{1} << 60;
  MILL_CHECK(book->post(credit).has_value());

  Instant start = now();
  Ticket last;
  for (int64_t i = 0; i < pairs; ++i) last = pair(*book);
  MILL_CHECK(book->durable_blocking(last).has_value());
  const double seconds = to_seconds(now() - start);
  fmt::print("{:.0f} pairs of hold and settle a second, durable ({} commits)\n",
             static_cast<double>(pairs) / seconds, book->health().commits);

  std::vector<double> waits;
  start = now();
  const auto count = static_cast<int64_t>(rate * 3);
  std::vector<std::jthread> waiters;
  std::mutex mutex;
  for (int t = 0; t < 4; ++t) {
    waiters.emplace_back([&, t] {
      for (int64_t i = t; i < count; i += 4) {
        std::this_thread::sleep_until(
            start + std::chrono::duration_cast<Duration>(
                        std::chrono::duration<double>(static_cast<double>(i) / rate)));
        const Instant asked = now();
        MILL_CHECK(book->durable_blocking(pair(*book)).has_value());
        const std::lock_guard lock(mutex);
        waits.push_back(to_seconds(now() - asked) * 1e3);
      }
    });
  }
  waiters.clear();
  std::sort(waits.begin(), waits.end());
  fmt::print(
      "at {:.0f} pairs a second asked for, {:.0f} done: a pair is durable after {:.2f} ms (p50), "
      "{:.2f} ms (p99)\n",
      rate, static_cast<double>(count) / to_seconds(now() - start), waits[waits.size() / 2],
      waits[waits.size() * 99 / 100]);

  // One short of the next checkpoint, so that a restart has all there can be to replay.
  const int64_t every = BookOptions{}.checkpoint_every;
  const int64_t last_seq = (std::max(entries, book->health().booked_seq) / every + 1) * every - 2;
  while (book->health().booked_seq < last_seq) last = pair(*book);
  MILL_CHECK(book->durable_blocking(last).has_value());
  std::fflush(stdout);
  kill(getpid(), SIGKILL);
}

void run_and_restart(const std::string& address, int64_t pairs, double rate, int64_t entries) {
  const pid_t child = fork();
  if (child == 0) {
    run(address, pairs, rate, entries);
    _exit(1);
  }
  int status = 0;
  MILL_CHECK(waitpid(child, &status, 0) == child && WIFSIGNALED(status));
  const Instant start = now();
  const auto book = open(address);
  fmt::print("ready {:.3f} s after a kill -9, with {} entries\n", to_seconds(now() - start),
             book->health().booked_seq);
}

}  // namespace
}  // namespace mill::ledger

int main(int argc, char** argv) {
  int64_t pairs = 200'000, entries = 1'000'000;
  double rate = 4000;
  if (argc < 2) {
    fmt::print(stderr,
               "usage: {} FOLDER|postgres://… [--pairs N] [--rate PER_SECOND] [--entries N]\n",
               argv[0]);
    return 2;
  }
  for (int i = 2; i + 1 < argc; i += 2) {
    const std::string flag = argv[i];
    if (flag == "--pairs") pairs = std::atoll(argv[i + 1]);
    if (flag == "--rate") rate = std::atof(argv[i + 1]);
    if (flag == "--entries") entries = std::atoll(argv[i + 1]);
  }
  std::string address = argv[1];
  if (address.find("://") == std::string::npos) {
    address = (std::filesystem::path(address) / "bench.journal").string();
  }
  mill::ledger::run_and_restart(address, pairs, rate, entries);
  return 0;
}
