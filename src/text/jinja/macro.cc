#include "text/jinja/macro.h"

#include "text/jinja/string_literal.h"

namespace mill::text::jinja {

std::string macro_label(const Macro& macro) {
  if (macro.body->name.empty()) return "anonymous";
  std::string quoted;
  append_quoted(quoted, macro.body->name);
  return quoted;
}

Value macro_arguments(const Macro& macro) {
  auto names = std::make_shared<Sequence>();
  for (const Parameter& parameter : macro.body->parameters)
    names->items.push_back(Value::text(parameter.name));
  return {Kind::kTuple, std::move(names)};
}

}  // namespace mill::text::jinja
