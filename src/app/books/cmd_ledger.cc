// tokenmill ledger …: reads a journal itself, with or without a server that owns it.
#include <fmt/format.h>

#include <boost/json.hpp>
#include <cstdio>
#include <memory>

#include "app/books/commands.h"
#include "app/books/journal_lines.h"
#include "app/books/table.h"
#include "app/progress.h"
#include "ledger/open_journal.h"
#include "ledger/verify.h"

namespace mill::app {
namespace {

namespace json = boost::json;

struct LedgerArguments {
  std::string format = "jsonl";
};

Result<std::unique_ptr<ledger::Journal>> open_journal(const Settings& settings) {
  const std::string file = settings.path("ledger").string();
  auto journal = ledger::open_journal(file, true);
  if (journal || file.find("://") != std::string::npos) return journal;  // a URL has secrets
  Error error = std::move(journal).error();
  if (error.message.find(file) == std::string::npos) error.message = file + ": " + error.message;
  return fail(std::move(error));
}

json::object verification_json(const ledger::Verification& found, const std::string& where) {
  json::array balances, trial;
  for (const ledger::OrgBalance& one : found.balances) {
    balances.push_back(json::object{{"organization", one.org},
                                    {"currency", ledger::to_string(one.currency)},
                                    {"credit", ledger::format_amount(one.balance.credit)},
                                    {"held", ledger::format_amount(one.balance.held)},
                                    {"charged", ledger::format_amount(one.balance.charged)},
                                    {"limit", ledger::format_amount(one.balance.limit)}});
  }
  for (const ledger::TrialLine& line : found.trial_balance) {
    trial.push_back(json::object{{"account", std::string(name(line.account))},
                                 {"organization", line.org},
                                 {"currency", ledger::to_string(line.currency)},
                                 {"amount", ledger::format_amount(line.amount)}});
  }
  json::object out{{"journal", where},
                   {"ok", found.ok()},
                   {"entries", found.entries},
                   {"head", ledger::to_hex(found.head.hash)},
                   {"checkpoint", nullptr},
                   {"open_holds", found.open_holds},
                   {"balances", std::move(balances)},
                   {"trial_balance", std::move(trial)}};
  if (found.checkpoint_seq > 0) out["checkpoint"] = found.checkpoint_seq;
  if (!found.ok()) out["wrong"] = json::object{{"entry", found.wrong_seq}, {"what", found.wrong}};
  return out;
}

std::string verification_text(const json::object& found) {
  const Column checkpoint{"checkpoint", "checkpoint"};
  return lines(found, {{"journal", "journal"},
                       {"entries", "entries"},
                       {"hash of the last", "head"},
                       checkpoint,
                       {"open holds", "open_holds"}}) +
         "\nTrial balance, which sums to zero in every currency:\n" +
         table(found.at("trial_balance").as_array(), {{"ACCOUNT", "account"},
                                                      {"ORG", "organization", true},
                                                      {"CURRENCY", "currency"},
                                                      {"AMOUNT", "amount", true}});
}

Status verify(const Settings& settings) {
  MILL_TRY(const std::unique_ptr<ledger::Journal> journal, open_journal(settings));
  MILL_TRY(const ledger::Verification found, ledger::verify(*journal));
  const json::object answer = verification_json(found, journal->where());
  print_answer(settings, answer,
               verification_text(answer) + (found.ok() ? "\nEverything is right.\n" : "\n"));
  if (found.ok()) return {};
  return fail(Code::kCorrupt,
              fmt::format("entry {} of the journal is wrong: {}", found.wrong_seq, found.wrong));
}

Status export_entries(const Settings& settings, const LedgerArguments& given) {
  const bool csv = given.format == "csv" && !settings.on("json");
  MILL_TRY(const std::unique_ptr<ledger::Journal> journal, open_journal(settings));
  JournalLines lines;
  const auto write = [](const std::string& text) -> Status {
    if (std::fwrite(text.data(), 1, text.size(), stdout) == text.size()) return {};
    return fail(Code::kIo, "cannot write to standard output");
  };
  if (csv) MILL_TRY_DO(write(JournalLines::csv_head()));
  return journal->scan({}, [&](const ledger::Entry& entry) {
    const json::object line = lines.next(entry);
    return write(csv ? JournalLines::csv(line) : json::serialize(line) + "\n");
  });
}

}  // namespace

void add_ledger_command(CommandLine& line) {
  Command& group = line.add(nullptr, "ledger", "Verify and export the journal (--ledger)", 0, {});
  line.add(&group, "verify", "Read every entry and rebuild the books from them", kLedger, verify);
  const auto given = std::make_shared<LedgerArguments>();
  line.add(&group, "export", "Print every entry, one a line", kLedger,
           [given](const Settings& settings) { return export_entries(settings, *given); })
      .add_option("--format", given->format, "jsonl or csv")
      .one_of({"jsonl", "csv"});
}

}  // namespace mill::app
