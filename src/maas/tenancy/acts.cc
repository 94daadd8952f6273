#include "maas/tenancy/acts.h"

#include <fmt/format.h>

#include <array>
#include <utility>

namespace mill::maas {
namespace {

constexpr std::string_view kMagic = "AC";
constexpr uint8_t kFormat = 1;
constexpr size_t kActCount = std::variant_size_v<Act>;

template <size_t I>
Result<Act> read_act(std::string_view fields) {
  std::variant_alternative_t<I, Act> act;
  FieldReader reader(fields);
  reader.field(act);
  if (!reader.whole())
    return fail(Code::kCorrupt, fmt::format("an act of number {} breaks its format", I + 1));
  return Act(std::move(act));
}

template <size_t... I>
constexpr auto readers(std::index_sequence<I...>) {
  return std::array<Result<Act> (*)(std::string_view), sizeof...(I)>{&read_act<I>...};
}

}  // namespace

std::string_view name(Role role) {
  constexpr std::string_view kNames[] = {"reader", "member", "owner"};
  return kNames[static_cast<size_t>(role)];
}
std::string_view name(Period period) {
  return period == Period::kDay ? "day" : "month";
}

std::string encode(const Act& act) {
  std::string out(kMagic);
  FieldWriter writer(out);
  writer.all(kFormat, static_cast<uint8_t>(act.index() + 1));
  std::visit([&](const auto& fields) { writer.field(fields); }, act);
  return out;
}

Result<Act> decode_act(std::string_view bytes) {
  if (bytes.size() < 4 || !bytes.starts_with(kMagic))
    return fail(Code::kCorrupt, "these bytes are no administrative act");
  const auto format = static_cast<uint8_t>(bytes[2]), number = static_cast<uint8_t>(bytes[3]);
  if (format != kFormat) {
    return fail(Code::kUnsupported,
                fmt::format("an act of format {}; this program reads format {}", format, kFormat));
  }
  if (number == 0 || number > kActCount)
    return fail(Code::kUnsupported, fmt::format("an act of the unknown number {}", number));
  static constexpr auto kReaders = readers(std::make_index_sequence<kActCount>());
  return kReaders[number - 1u](bytes.substr(4));
}

}  // namespace mill::maas
