#include "gateway/desk/price_json.h"

#include <fmt/format.h>

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/desk/query.h"
#include "gateway/openai/fields.h"

namespace mill::gateway::desk {
namespace {

namespace json = boost::json;
using maas::BandDraft;
using maas::BandPriceDraft;
using maas::BookDraft;
using maas::ModelDraft;
using maas::PriceDraft;
using maas::RatesDraft;
using maas::SpanDraft;
using maas::TierPriceDraft;

// Each draft names its members once; Reader and Shower walk them.
template <class V, class D>
requires std::same_as<std::remove_const_t<D>, RatesDraft>
void visit(V& v, D& d) {
  v("input", d.input);
  v("cache_read", d.cache_read);
  v("cache_write", d.cache_write);
  v("input_image", d.input_image);
  v("output", d.output);
  v("reasoning", d.reasoning);
  v("output_image", d.output_image);
  v("request", d.request);
}
template <class V, class D>
requires std::same_as<std::remove_const_t<D>, SpanDraft>
void visit(V& v, D& d) {
  v("from", d.from);
  v("to", d.to);
}
template <class V, class D>
requires std::same_as<std::remove_const_t<D>, BandDraft>
void visit(V& v, D& d) {
  v("name", d.name);
  v("zone", d.zone);
  v("days", d.days);
  v("hours", d.hours);
  v("except", d.except);
}
template <class V, class D>
requires std::same_as<std::remove_const_t<D>, BandPriceDraft>
void visit(V& v, D& d) {
  v("band", d.band);
  v("factor", d.factor);
  v("rates", d.rates);
}
template <class V, class D>
requires std::same_as<std::remove_const_t<D>, TierPriceDraft>
void visit(V& v, D& d) {
  v("tier", d.tier);
  v("factor", d.factor);
  v("rates", d.rates);
  v("bands", d.bands);
}
template <class V, class D>
requires std::same_as<std::remove_const_t<D>, PriceDraft>
void visit(V& v, D& d) {
  v("currency", d.currency);
  v("rates", d.rates);
  v("bands", d.bands);
  v("tiers", d.tiers);
  v("batch_factor", d.batch_factor);
}
template <class V, class D>
requires std::same_as<std::remove_const_t<D>, ModelDraft>
void visit(V& v, D& d) {
  v("id", d.id);
  v("description", d.description);
  v("aliases", d.aliases);
  v("fallbacks", d.fallbacks);
  v("deprecated_at", d.deprecated_at);
  v("retires_at", d.retires_at);
  v("replacement", d.replacement);
  v("context_tokens", d.context_tokens);
  v("max_output_tokens", d.max_output_tokens);
  v("prices", d.prices);
}
template <class V, class D>
requires std::same_as<std::remove_const_t<D>, BookDraft>
void visit(V& v, D& d) {
  v("effective_from", d.effective_from);
  v("note", d.note);
  v("bands", d.bands);
  v("models", d.models);
}

// Fills a draft from an object; keeps the first error.
class Reader {
 public:
  Reader(const json::object& object, std::string path, std::string_view also = {})
      : object_(object), path_(std::move(path)), fields_(object, path_), also_(also) {}

  Status status() {
    if (!status_) return status_;
    for (const auto& [key, value] : object_) {
      const std::string_view name(key);
      if (is_among(known_, name) || is_among(also_, name)) continue;
      return fail(Code::kInvalid,
                  fmt::format("'{}' is not understood here; there are {}",
                              path_of(name.substr(0, 64)), known_),
                  path_of(name.substr(0, 64)));
    }
    return status_;
  }

  void operator()(std::string_view name, std::string& text) {
    known(name);
    take(fields_.string(name), text);
  }
  void operator()(std::string_view name, int64_t& number) {
    known(name);
    take(fields_.integer(name, std::numeric_limits<int64_t>::min(),
                         std::numeric_limits<int64_t>::max()),
         number);
  }
  template <class T>
  void operator()(std::string_view name, std::vector<T>& list) {
    known(name);
    if (!status_) return;
    const auto array = fields_.array(name);
    if (!array) return keep(array.error());
    if (*array == nullptr) return;
    for (const json::value& item : **array) {
      const std::string path = fmt::format("{}[{}]", path_of(name), list.size());
      read(item, path, list.emplace_back());
      if (!status_) return;
    }
  }
  template <class Draft>
  void operator()(std::string_view name, Draft& draft) {
    known(name);
    if (!status_) return;
    if (const json::value* value = fields_.find(name)) read(*value, path_of(name), draft);
  }

 private:
  std::string path_of(std::string_view name) const { return fields_.path_of(name); }
  void known(std::string_view name) {
    if (!known_.empty()) known_ += ' ';
    known_ += name;
  }
  void keep(const Error& error) {
    if (status_) status_ = fail(error);
  }
  template <class T>
  void take(const Result<std::optional<T>>& from, T& into) {
    if (!from)
      keep(from.error());
    else if (*from)
      into = **from;
  }
  void read(const json::value& value, const std::string& path, std::string& text) {
    if (!value.is_string())
      return keep({Code::kInvalid, fmt::format("'{}' must be a string", path), path});
    text = std::string(value.get_string());
  }
  template <class Draft>
  void read(const json::value& value, const std::string& path, Draft& draft) {
    if (!value.is_object())
      return keep({Code::kInvalid, fmt::format("'{}' must be an object", path), path});
    Reader reader(value.get_object(), path + ".");
    visit(reader, draft);
    if (const Status status = reader.status(); !status) keep(status.error());
  }

  const json::object& object_;
  std::string path_;
  openai::Fields fields_;
  std::string_view also_;
  std::string known_;
  Status status_;
};

// What is not given is left out.
class Shower {
 public:
  json::object out;

  void operator()(std::string_view name, const std::string& text) {
    if (!text.empty()) out[name] = text;
  }
  void operator()(std::string_view name, const int64_t& number) {
    if (number != 0) out[name] = number;
  }
  template <class T>
  void operator()(std::string_view name, const std::vector<T>& list) {
    if (list.empty()) return;
    json::array array;
    for (const T& item : list) array.push_back(shown(item));
    out[name] = std::move(array);
  }
  template <class Draft>
  void operator()(std::string_view name, const Draft& draft) {
    json::value value = shown(draft);
    if (!value.get_object().empty()) out[name] = std::move(value);
  }

 private:
  static json::value shown(const std::string& text) { return json::value(text); }
  template <class Draft>
  static json::value shown(const Draft& draft) {
    Shower shower;
    visit(shower, draft);
    return std::move(shower.out);
  }
};

}  // namespace

Result<BookDraft> read_book(const json::object& body) {
  BookDraft book;
  Reader reader(body, "", "dry_run");
  visit(reader, book);
  MILL_TRY_DO(reader.status());
  return book;
}

json::object show_book(const BookDraft& book) {
  Shower shower;
  visit(shower, book);
  return std::move(shower.out);
}

}  // namespace mill::gateway::desk
