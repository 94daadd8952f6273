#include <algorithm>
#include <set>

#include "text/jinja/arguments.h"
#include "text/jinja/attributes.h"
#include "text/jinja/compare.h"
#include "text/jinja/cursor.h"
#include "text/jinja/filters.h"
#include "text/jinja/text_ops.h"

namespace mill::text::jinja {
namespace {

Result<Value> without_case(Runtime& runtime, const Value& value) {
  if (!value.is_text()) return value;
  return change_letters(runtime, value.text(), Letters::kLower);
}

Result<Value> key_of(Runtime& runtime, const AttributePath& path, const Value& item,
                     bool case_sensitive, const Value& standard = Value()) {
  MILL_TRY(const Value key, path.of(runtime, item, standard));
  return case_sensitive ? Result<Value>(key) : without_case(runtime, key);
}

using Keyed = std::pair<Value, Value>;  // key, item

Status sort_by_key(Runtime& runtime, std::vector<Keyed>& items, bool reverse) {
  Status status;
  std::stable_sort(items.begin(), items.end(), [&](const Keyed& a, const Keyed& b) {
    if (!status) return false;
    const Result<bool> before =
        reverse ? less(runtime, b.first, a.first) : less(runtime, a.first, b.first);
    if (!before) status = fail(before.error());
    return before && *before;
  });
  return status;
}

Items items_of(std::vector<Keyed> keyed) {
  Items items;
  items.reserve(keyed.size());
  for (Keyed& pair : keyed) items.push_back(std::move(pair.second));
  return items;
}

Result<Value> sort_filter(Runtime& runtime, const Value& input, Arguments& arguments) {
  MILL_TRY(const Bound bound,
           Bound::bind("sort", arguments, {"reverse", "case_sensitive", "attribute"}));
  std::vector<AttributePath> paths;
  if (bound.has(2) && bound[2].is_text()) {
    std::string_view rest = bound[2].text().bytes();
    for (;;) {
      const size_t comma = rest.find(',');
      MILL_TRY(AttributePath path, AttributePath::read(Value::text(rest.substr(0, comma))));
      paths.push_back(std::move(path));
      if (comma == std::string_view::npos) break;
      rest.remove_prefix(comma + 1);
    }
  } else {
    MILL_TRY(AttributePath path, AttributePath::read(bound[2]));
    paths.push_back(std::move(path));
  }
  MILL_TRY(const Items items, to_items(runtime, input));
  std::vector<Keyed> keyed;
  for (const Value& item : items) {
    Items keys;
    for (const AttributePath& path : paths) {
      MILL_TRY(Value key, key_of(runtime, path, item, bound.flag(1, false)));
      keys.push_back(std::move(key));
    }
    MILL_TRY(Value key, make_list(runtime, std::move(keys)));
    keyed.emplace_back(std::move(key), item);
  }
  MILL_TRY_DO(sort_by_key(runtime, keyed, bound.flag(0, false)));
  return make_list(runtime, items_of(std::move(keyed)));
}

Result<Value> dictsort_filter(Runtime& runtime, const Value& input, Arguments& arguments) {
  MILL_TRY(const Bound bound,
           Bound::bind("dictsort", arguments, {"case_sensitive", "by", "reverse"}));
  MILL_TRY(const Text* const by, bound.text(1));
  const std::string_view what = by ? by->bytes() : "key";
  if ((bound.has(1) && !by) || (what != "key" && what != "value")) {
    return fail(Code::kInvalid,
                "FilterArgumentError: You can only sort by either \"key\" or \"value\"");
  }
  if (input.undefined()) return use_of_undefined(input);
  if (!input.is(Kind::kDict))
    return fail(Code::kInvalid,
                "AttributeError: '" + type_name(input) + "' object has no attribute 'items'");
  std::vector<Keyed> keyed;
  for (const auto& [key, value] : input.dict().pairs()) {
    MILL_TRY(Value pair, make_tuple(runtime, {key, value}));
    const Value& sorted_by = what == "key" ? key : value;
    MILL_TRY(Value sort_key,
             bound.flag(0, false) ? Result<Value>(sorted_by) : without_case(runtime, sorted_by));
    keyed.emplace_back(std::move(sort_key), std::move(pair));
  }
  MILL_TRY_DO(sort_by_key(runtime, keyed, bound.flag(2, false)));
  return make_list(runtime, items_of(std::move(keyed)));
}

struct KeyLess {
  bool operator()(const Value& a, const Value& b) const { return key_order(a, b) < 0; }
};

Result<Value> unique_filter(Runtime& runtime, const Value& input, Arguments& arguments) {
  MILL_TRY(const Bound bound, Bound::bind("unique", arguments, {"case_sensitive", "attribute"}));
  MILL_TRY(const AttributePath path, AttributePath::read(bound[1]));
  MILL_TRY(const Items items, to_items(runtime, input));
  std::set<Value, KeyLess> seen;
  Items kept;
  for (const Value& item : items) {
    auto key = key_of(runtime, path, item, bound.flag(0, false));
    if (key && !hashable(*key))
      key = fail(Code::kInvalid, "TypeError: unhashable type: '" + type_name(*key) + "'");
    if (!key) {
      if (key.error().code == Code::kTooLarge) return fail(key.error());
      return make_iterator(runtime, std::move(kept), key.error());
    }
    MILL_TRY_DO(runtime.budget.spend(4));
    if (seen.insert(*key).second) kept.push_back(item);
  }
  return make_iterator(runtime, std::move(kept));
}

template <bool kMost>
Result<Value> extreme_filter(Runtime& runtime, const Value& input, Arguments& arguments) {
  MILL_TRY(const Bound bound, Bound::bind("min", arguments, {"case_sensitive", "attribute"}));
  MILL_TRY(const AttributePath path, AttributePath::read(bound[1]));
  MILL_TRY(Cursor cursor, Cursor::over(runtime, input));
  Value best, best_key, item;
  for (;;) {
    MILL_TRY(const bool any, cursor.next(item));
    if (!any) break;
    MILL_TRY(Value key, key_of(runtime, path, item, bound.flag(0, false)));
    if (!best.missing()) {
      MILL_TRY(const bool better,
               kMost ? less(runtime, best_key, key) : less(runtime, key, best_key));
      if (!better) continue;
    }
    best = item;
    best_key = std::move(key);
  }
  return best.missing() ? make_undefined("No aggregated item, sequence was empty.") : best;
}

Result<Value> groupby_filter(Runtime& runtime, const Value& input, Arguments& arguments) {
  MILL_TRY(const Bound bound,
           Bound::bind("groupby", arguments, {"attribute", "default", "case_sensitive"}, 1));
  MILL_TRY(const AttributePath path, AttributePath::read(bound[0]));
  const bool case_sensitive = bound.flag(2, false);
  const Value standard = bound.has(1) && !bound[1].is(Kind::kNone) ? bound[1] : Value();
  MILL_TRY(const Items items, to_items(runtime, input));
  std::vector<Keyed> keyed;
  for (const Value& item : items) {
    MILL_TRY(Value key, key_of(runtime, path, item, case_sensitive, standard));
    keyed.emplace_back(std::move(key), item);
  }
  MILL_TRY_DO(sort_by_key(runtime, keyed, false));
  Items groups;
  for (size_t start = 0; start < keyed.size();) {
    size_t end = start + 1;
    for (; end < keyed.size(); ++end) {
      MILL_TRY(const bool same, equal(runtime, keyed[start].first, keyed[end].first));
      if (!same) break;
    }
    Items members;
    for (size_t i = start; i < end; ++i) members.push_back(keyed[i].second);
    // The key is that of the first member, in its own case.
    MILL_TRY(Value grouper, path.of(runtime, members[0], standard));
    MILL_TRY(Value list, make_list(runtime, std::move(members)));
    MILL_TRY(Value group, make_tuple(runtime, {std::move(grouper), std::move(list)}, true));
    groups.push_back(std::move(group));
    start = end;
  }
  return make_list(runtime, std::move(groups));
}

}  // namespace

std::span<const NamedFilter> order_filters() {
  static const NamedFilter kFilters[] = {
      {"dictsort", dictsort_filter},  {"groupby", groupby_filter}, {"max", extreme_filter<true>},
      {"min", extreme_filter<false>}, {"sort", sort_filter},       {"unique", unique_filter},
  };
  return kFilters;
}

}  // namespace mill::text::jinja
