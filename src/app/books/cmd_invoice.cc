// tokenmill invoice, tokenmill export focus
#include <fmt/format.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

#include "app/books/admin_client.h"
#include "app/books/commands.h"
#include "app/books/find.h"
#include "maas/catalog/civil_time.h"

namespace mill::app {
namespace {

struct InvoiceArguments {
  std::string month, project, out;
  bool csv = false;
};

// To the file that was named, or to standard output.
Status deliver(const std::string& text, const std::string& path) {
  std::FILE* file = path.empty() ? stdout : std::fopen(path.c_str(), "wb");
  const std::string name = path.empty() ? "standard output" : path;
  if (file == nullptr)
    return fail(Code::kIo, fmt::format("cannot write {}: {}", name, std::strerror(errno)));
  bool good = std::fwrite(text.data(), 1, text.size(), file) == text.size();
  good = (path.empty() ? std::fflush(file) : std::fclose(file)) == 0 && good;
  if (!good) return fail(Code::kIo, fmt::format("cannot write {}: {}", name, std::strerror(errno)));
  return {};
}

// "/v1/organization/FOLDER/2026-11/FORM"
Status fetch(const Settings& settings, const InvoiceArguments& given, const char* folder,
             const char* form) {
  if (settings.on("json"))
    return fail(Code::kInvalid, "this is a document, of which there is no JSON", "json");
  MILL_TRY(const maas::Month month, maas::parse_month(given.month, "MONTH"));
  MILL_TRY(const AdminClient client, AdminClient::of(settings));
  MILL_TRY(const std::string org, find_organization(client, settings.text("org")));
  std::string target =
      in_organization(fmt::format("/v1/organization/{}/{}/{}", folder, month.name, form), org);
  if (!given.project.empty()) {
    MILL_TRY(const std::string path, project_path(client, org, given.project));
    target = with(target, "project_id", path.substr(path.rfind('/') + 1));
  }
  MILL_TRY(const std::string text, client.text(target));
  return deliver(text, given.out);
}

Status invoice(const Settings& settings, const InvoiceArguments& given) {
  return fetch(settings, given, "invoices", given.csv ? "csv" : "html");
}

Status focus(const Settings& settings, const InvoiceArguments& given) {
  return fetch(settings, given, "exports", "focus");
}

}  // namespace

void add_invoice_commands(CommandLine& line) {
  const auto bill = std::make_shared<InvoiceArguments>();
  Command& one =
      line.add(nullptr, "invoice", "Make the invoice of a month, as a page to print or a table",
               kDesk, [bill](const Settings& settings) { return invoice(settings, *bill); });
  one.add_option("MONTH", bill->month, "such as 2026-11, in UTC").required();
  one.add_flag("--csv", bill->csv, "a table instead of a page (HTML)");
  one.add_option("--project", bill->project, "of one project alone, by name or id");
  one.add_option("--out", bill->out, "the file to write; standard output unless given");

  Command& group = line.add(nullptr, "export", "Export a month for other programs", 0, {});
  const auto month = std::make_shared<InvoiceArguments>();
  Command& data = line.add(&group, "focus", "The FinOps data set FOCUS 1.2, as CSV", kDesk,
                           [month](const Settings& settings) { return focus(settings, *month); });
  data.add_option("MONTH", month->month, "such as 2026-11, in UTC").required();
  data.add_option("--out", month->out, "the file to write; standard output unless given");
}

}  // namespace mill::app
