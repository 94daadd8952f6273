// The bytes of an entry and its hash: docs/formats/journal.md.
#include <openssl/evp.h>

#include <initializer_list>

#include "base/check.h"
#include "ledger/bytes.h"
#include "ledger/entry.h"

namespace mill::ledger {
namespace {

constexpr uint8_t kVersion = 1;

}  // namespace

void encode(const Entry& e, std::string& out) {
  ByteWriter w(out);
  w.byte(kVersion);
  w.byte(static_cast<uint8_t>(e.kind));
  w.count(e.seq);
  w.integer(e.at_ns);
  w.raw(e.hold.data(), e.hold.size());
  w.number(e.payer.org);
  w.number(e.payer.project);
  w.number(e.payer.key);
  w.number(e.currency.packed);
  w.integer(e.amount);
  w.integer(e.held);
  const Buckets& t = e.tokens;
  for (const int64_t n : {t.input_uncached, t.input_cache_read, t.input_cache_write, t.input_image,
                          t.output_text, t.output_reasoning, t.output_image}) {
    w.integer(n);
  }
  w.text(e.model);
  w.integer(e.price_version);
  w.byte(e.tier);
  w.number(e.flags);
  w.byte(static_cast<uint8_t>(e.reason));
  w.integer(e.delivered_bytes);
  w.integer(e.residue);
  w.integer(e.microjoules);
  w.integer(e.energy_cost);
  w.integer(e.co2_micrograms);
  w.text(e.actor);
  w.text(e.body);
}

Result<Entry> decode(std::string_view bytes) {
  ByteReader r(bytes);
  if (r.byte() != kVersion) {
    return fail(Code::kCorrupt, "an entry of another version than 1", "version");
  }
  Entry e;
  e.kind = static_cast<Kind>(r.byte());
  e.seq = r.count();
  e.at_ns = r.integer();
  r.raw(e.hold.data(), e.hold.size());
  e.payer.org = r.number();
  e.payer.project = r.number();
  e.payer.key = r.number();
  e.currency.packed = r.number();
  e.amount = r.integer();
  e.held = r.integer();
  Buckets& t = e.tokens;
  for (int64_t* n : {&t.input_uncached, &t.input_cache_read, &t.input_cache_write, &t.input_image,
                     &t.output_text, &t.output_reasoning, &t.output_image}) {
    *n = r.integer();
  }
  e.model = r.text(kMaxText);
  e.price_version = r.integer();
  e.tier = r.byte();
  const uint64_t flags = r.number();
  e.flags = static_cast<uint32_t>(flags);
  e.reason = static_cast<Reason>(r.byte());
  e.delivered_bytes = r.integer();
  e.residue = r.integer();
  e.microjoules = r.integer();
  e.energy_cost = r.integer();
  e.co2_micrograms = r.integer();
  e.actor = r.text(kMaxText);
  e.body = r.text(kMaxBody);
  if (!r.at_end() || flags > kFlagMask) {
    return fail(Code::kCorrupt, "the bytes are not those of an entry");
  }
  if (Status good = validate(e); !good) {
    return fail(Code::kCorrupt,
                "the bytes are those of an entry that cannot be: " + good.error().message,
                good.error().param);
  }
  return e;
}

// OpenSSL looks an algorithm up by name at each one-shot call, which costs more than the hash of an
// entry does.
struct Chain::Core {
  EVP_MD* algorithm = nullptr;
  EVP_MD_CTX* context = nullptr;
  std::string bytes;

  Hash256 hash(std::string_view first, std::string_view second) {
    Hash256 out;
    unsigned size = 0;
    MILL_CHECK(EVP_DigestInit_ex2(context, algorithm, nullptr) == 1 &&
               EVP_DigestUpdate(context, first.data(), first.size()) == 1 &&
               EVP_DigestUpdate(context, second.data(), second.size()) == 1 &&
               EVP_DigestFinal_ex(context, out.data(), &size) == 1 && size == out.size());
    return out;
  }
};

Chain::Chain() : core_(std::make_unique<Core>()) {
  core_->algorithm = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  core_->context = EVP_MD_CTX_new();
  MILL_CHECK(core_->algorithm != nullptr && core_->context != nullptr);
}

Chain::~Chain() {
  EVP_MD_CTX_free(core_->context);
  EVP_MD_free(core_->algorithm);
}

Hash256 Chain::hash(const Hash256& previous, const Entry& entry) {
  core_->bytes.clear();
  encode(entry, core_->bytes);
  return core_->hash({reinterpret_cast<const char*>(previous.data()), previous.size()},
                     core_->bytes);
}

Hash256 sha256(std::string_view bytes) {
  thread_local const Chain chain;
  return chain.core_->hash(bytes, {});
}

}  // namespace mill::ledger
