// Gives every name of a tree its slot, by the rules of jinja2's idtracking: which assignments a
// scope sees is decided from the source, not while it runs.
#pragma once

#include "text/jinja/ast.h"

namespace mill::text::jinja {

// Fails with kInvalid for what jinja2 refuses when it compiles: an unknown filter or test outside
// of an if, an assignment to `loop` inside of a loop.
Result<Program> resolve_scopes(Body body);

}  // namespace mill::text::jinja
