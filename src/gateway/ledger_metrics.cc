#include "gateway/ledger_metrics.h"

#include <fmt/format.h>

#include <iterator>
#include <string_view>
#include <utility>

namespace mill::gateway {
namespace {

using State = ledger::BookHealth::State;

constexpr std::pair<State, std::string_view> kStates[] = {
    {State::kOk, "ok"}, {State::kRetrying, "retrying"}, {State::kStopped, "stopped"}};

void describe(std::string& out, std::string_view name, std::string_view type,
              std::string_view help) {
  fmt::format_to(std::back_inserter(out), "# HELP {} {}\n# TYPE {} {}\n", name, help, name, type);
}

void family(std::string& out, std::string_view name, std::string_view type, std::string_view help,
            int64_t value) {
  describe(out, name, type, help);
  fmt::format_to(std::back_inserter(out), "{} {}\n", name, value);
}

}  // namespace

void append_ledger_metrics(std::string& out, const ledger::Book& book) {
  const ledger::BookHealth health = book.health();
  family(out, "tokenmill_ledger_booked_seq", "gauge", "The last entry that is booked in memory",
         health.booked_seq);
  family(out, "tokenmill_ledger_durable_seq", "gauge", "The last entry that is on the disk",
         health.durable_seq);
  family(out, "tokenmill_ledger_commits_total", "counter", "Transactions of the journal",
         health.commits);
  family(out, "tokenmill_ledger_failed_commits_total", "counter", "Of them, those that failed",
         health.failed_commits);
  family(out, "tokenmill_ledger_queued", "gauge", "Entries that wait for the disk",
         static_cast<int64_t>(health.queued));
  family(out, "tokenmill_ledger_open_holds", "gauge", "Requests that something is held for",
         static_cast<int64_t>(book.open_holds().size()));
  describe(out, "tokenmill_ledger_state", "gauge", "1 for the state that the books are in, else 0");
  for (const auto& [state, name] : kStates) {
    fmt::format_to(std::back_inserter(out), "tokenmill_ledger_state{{state=\"{}\"}} {}\n", name,
                   state == health.state ? 1 : 0);
  }
}

void append_energy_metrics(std::string& out, const maas::EnergyMeter& meter) {
  const maas::EnergyMeter::Totals totals = meter.totals();
  const auto both = [&](std::string_view name, std::string_view help, int64_t requests,
                        int64_t overhead) {
    describe(out, name, "counter", help);
    for (const auto& [part, micro] : {std::pair{"requests", requests}, {"overhead", overhead}}) {
      fmt::format_to(std::back_inserter(out), "{}{{source=\"{}\",part=\"{}\"}} {}\n", name,
                     maas::name(meter.source()), part, static_cast<double>(micro) / 1e6);
    }
  };
  both("tokenmill_energy_joules_total", "Energy that was booked, since the start",
       totals.requests_microjoules, totals.overhead_microjoules);
  both("tokenmill_co2_grams_total", "The CO2 that it stands for, by the tariff's factor",
       totals.requests_co2_micrograms, totals.overhead_co2_micrograms);
}

}  // namespace mill::gateway
