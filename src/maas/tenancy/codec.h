// Records as bytes: each names its fields once, in `visit`, and FieldWriter and FieldReader walk
// them. Over ledger/bytes.h, so that equal records have equal bytes and the other way round.
#pragma once

#include <array>
#include <concepts>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "ledger/bytes.h"
#include "ledger/entry.h"
#include "ledger/money.h"
#include "maas/catalog/rates.h"
#include "maas/tenancy/cidr.h"
#include "maas/tenancy/external_id.h"
#include "maas/tenancy/key.h"

namespace mill::maas {

// How many values an enum has: 0 … count - 1.
template <class E>
inline constexpr uint8_t kEnumCount = 0;
template <>
inline constexpr uint8_t kEnumCount<Tier> = kTierCount;

class FieldWriter {
 public:
  explicit FieldWriter(std::string& out) : out_(out) {}
  template <class... T>
  void all(const T&... fields) {
    (field(fields), ...);
  }
  void field(const std::string& text) { out_.text(text); }
  void field(bool value) { out_.byte(value ? 1 : 0); }
  void field(uint8_t value) { out_.byte(value); }
  void field(uint32_t value) { out_.number(value); }
  void field(uint64_t value) { out_.number(value); }
  void field(int64_t value) { out_.integer(value); }
  void field(const ledger::Currency& currency) { out_.number(currency.packed); }
  void field(const ExternalId& id) { out_.raw(id.digits.data(), id.digits.size()); }
  void field(const ledger::Hash256& hash) { out_.raw(hash.data(), hash.size()); }
  void field(const KeyTail& tail) { out_.raw(tail.data(), tail.size()); }
  void field(const Cidr& cidr) {
    field(cidr.network.v4);
    out_.raw(cidr.network.bytes.data(), 16);
    out_.byte(cidr.bits);
  }
  template <class E>
  requires std::is_enum_v<E>
  void field(E value) { out_.byte(static_cast<uint8_t>(value)); }
  template <class T>
  void field(const std::optional<T>& value) {
    field(value.has_value());
    if (value) field(*value);
  }
  template <class T>
  void field(const std::vector<T>& list) {
    out_.number(list.size());
    for (const T& item : list) field(item);
  }
  template <class T>
  requires requires(FieldWriter& w, const T& t) { T::visit(w, t); }
  void field(const T& record) { T::visit(*this, record); }

 private:
  ledger::ByteWriter out_;
};

// After the first field that is none, `good()` is false.
class FieldReader {
 public:
  explicit FieldReader(std::string_view bytes) : in_(bytes) {}
  bool good() const { return good_ && in_.good(); }
  bool whole() const { return good_ && in_.at_end(); }
  template <class... T>
  void all(T&... fields) {
    (field(fields), ...);
  }
  void field(std::string& text) { text = in_.text(ledger::kMaxBody); }
  void field(bool& value) {
    const uint8_t byte = in_.byte();
    expect(byte <= 1);
    value = byte == 1;
  }
  void field(uint8_t& value) { value = in_.byte(); }
  void field(uint32_t& value) {
    const uint64_t number = in_.number();
    expect(number <= UINT32_MAX);
    value = static_cast<uint32_t>(number);
  }
  void field(uint64_t& value) { value = in_.number(); }
  void field(int64_t& value) { value = in_.integer(); }
  void field(ledger::Currency& currency) {
    currency.packed = in_.number();
    expect(currency.empty() || ledger::is_valid(currency));
  }
  void field(ExternalId& id) {
    in_.raw(id.digits.data(), id.digits.size());
    expect(is_valid(id));
  }
  void field(ledger::Hash256& hash) { in_.raw(hash.data(), hash.size()); }
  void field(KeyTail& tail) {
    in_.raw(tail.data(), tail.size());
    expect(is_base62({tail.data(), tail.size()}));
  }
  void field(Cidr& cidr) {
    field(cidr.network.v4);
    in_.raw(cidr.network.bytes.data(), 16);
    cidr.bits = in_.byte();
    expect(is_valid(cidr));
  }
  template <class E>
  requires std::is_enum_v<E>
  void field(E& value) {
    static_assert(kEnumCount<E> > 0);
    const uint8_t byte = in_.byte();
    expect(byte < kEnumCount<E>);
    value = good_ ? static_cast<E>(byte) : E{};
  }
  template <class T>
  void field(std::optional<T>& value) {
    bool there = false;
    field(there);
    value.reset();
    if (there && good()) field(value.emplace());
  }
  template <class T>
  void field(std::vector<T>& list) {
    list.clear();
    // Grows only as far as there are bytes: a length alone takes no memory.
    for (uint64_t left = in_.number(); left > 0 && good(); --left) field(list.emplace_back());
  }
  template <class T>
  requires requires(FieldReader& r, T& t) { T::visit(r, t); }
  void field(T& record) { T::visit(*this, record); }

 private:
  void expect(bool condition) { good_ = good_ && condition; }
  ledger::ByteReader in_;
  bool good_ = true;
};

}  // namespace mill::maas
