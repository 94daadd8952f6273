// A macro as a value: its source, and the variables around its definition.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "text/jinja/ast.h"

namespace mill::text::jinja {

// The variables of one call of a function (see Slot), and those of the function around it.
struct Activation {
  std::vector<Value> slots;
  std::shared_ptr<Activation> outer;
  bool captured = false;  // a macro was defined in it: the rendering empties it at its end
};

struct Macro {
  const MacroBody* body;  // of the template, which outlives the rendering
  std::shared_ptr<Activation> around;
};

// How the macro is called in messages: quoted name, or anonymous.
std::string macro_label(const Macro& macro);
Value macro_arguments(const Macro& macro);

}  // namespace mill::text::jinja
