#include "gateway/desk/members.h"

#include <fmt/format.h>

#include "gateway/openai/fields.h"

namespace mill::gateway::desk {
namespace {

constexpr int64_t kSecond = 1'000'000'000;
constexpr int64_t kLastSecond = INT64_MAX / kSecond;

tl::unexpected<Error> wrong(std::string_view name, std::string_view rule) {
  return fail(Code::kInvalid, fmt::format("'{}' {}", name, rule), std::string(name));
}

// The texts of an array; nothing where the member is absent, an empty list where it is null.
Result<std::optional<std::vector<std::string>>> texts_of(const json::object& body,
                                                         std::string_view name) {
  std::optional<std::vector<std::string>> texts;
  if (!has(body, name)) return texts;
  MILL_TRY(const json::array* array, openai::Fields(body).array(name));
  texts.emplace();
  if (array == nullptr) return texts;
  for (const json::value& item : *array) {
    if (!item.is_string()) return wrong(name, "must be an array of strings");
    texts->emplace_back(item.get_string());
  }
  return texts;
}

}  // namespace

bool has(const json::object& body, std::string_view name) {
  return body.contains(json::string_view(name.data(), name.size()));
}

Result<std::string> need_text(const json::object& body, std::string_view name) {
  MILL_TRY(auto text, openai::Fields(body).string(name));
  if (!text) return wrong(name, "is missing");
  return std::move(*text);
}

Result<std::string> text_or(const json::object& body, std::string_view name,
                            std::string otherwise) {
  MILL_TRY(auto text, openai::Fields(body).string(name));
  return std::move(text).value_or(std::move(otherwise));
}

Result<std::optional<ledger::Nano>> amount_of(const json::object& body, std::string_view name) {
  const json::value* value = openai::Fields(body).find(name);
  if (value == nullptr) return std::optional<ledger::Nano>();
  if (!value->is_string()) return wrong(name, "must be decimal text, such as \"12.50\"");
  auto amount = ledger::parse_amount(std::string_view(value->get_string()));
  if (!amount) return fail(amount.error().code, amount.error().message, std::string(name));
  return std::optional<ledger::Nano>(*amount);
}

Result<ledger::Nano> need_amount(const json::object& body, std::string_view name) {
  MILL_TRY(const auto amount, amount_of(body, name));
  if (!amount) return wrong(name, "is missing");
  return *amount;
}

Status read_expiry(const json::object& body, int64_t& expires_ns) {
  if (!has(body, "expires_at")) return {};
  MILL_TRY(const auto at, openai::Fields(body).integer("expires_at", 1, kLastSecond));
  expires_ns = at ? *at * kSecond : 0;
  return {};
}

Status read_restrictions(const json::object& body, maas::Restrictions& only) {
  MILL_TRY(auto models, texts_of(body, "models"));
  if (models) only.models = std::move(*models);
  MILL_TRY(const auto networks, texts_of(body, "ip_allow_list"));
  if (!networks) return {};
  only.networks.clear();
  for (const std::string& network : *networks) {
    MILL_TRY(maas::Cidr cidr, maas::parse_cidr(network));
    only.networks.push_back(cidr);
  }
  return {};
}

}  // namespace mill::gateway::desk
