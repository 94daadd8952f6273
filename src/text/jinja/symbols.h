// The variables of one scope, collected from its statements before any name in it is resolved.
#pragma once

#include <map>
#include <set>
#include <string>
#include <utility>

#include "text/jinja/ast.h"

namespace mill::text::jinja {

// A function at run time: the template itself, a macro, a recursive loop. Owns the slots of its
// scopes.
struct FunctionScope {
  FunctionScope* outer;
  int32_t depth;
  std::map<std::pair<int32_t, std::string>, int32_t> slots;  // by scope and name
  int32_t slot_count = 0;
  int32_t scope_count = 0;

  int32_t index(int32_t scope, const std::string& name) {
    const auto [found, added] = slots.try_emplace({scope, name}, slot_count);
    if (added) ++slot_count;
    return found->second;
  }
};

class Symbols {
 public:
  // What a variable of the scope holds when the scope is entered.
  enum class From : uint8_t { kParameter, kContext, kOuter, kNothing };

  Symbols(const Symbols* parent, FunctionScope* function)
      : parent_(parent), function_(function), id_(function->scope_count++) {}

  void declare(const std::string& name);  // a parameter: assigned on entry
  void declare(const Target& target);
  void collect(Body& body);  // not into nested scopes
  void collect(Expr& expr);

  const Symbols* parent() const { return parent_; }
  FunctionScope* function() const { return function_; }
  int32_t id() const { return id_; }
  const std::map<std::string, From>& loads() const { return loads_; }
  // The scope, this one or one around it, whose variable `name` is.  Requires: collected
  const Symbols* owner(const std::string& name) const;

 private:
  void collect(Stmt& stmt);
  void collect_if(If& branches);
  Symbols(const Symbols* parent, FunctionScope* function, int32_t id, const Symbols* base)
      : parent_(parent), function_(function), id_(id), base_(base) {}
  Symbols branch() const;  // what a branch of an if adds to this scope
  bool known(const std::string& name) const;
  bool stored(const std::string& name) const;
  bool known_outside(const std::string& name) const;
  void read(const std::string& name);
  void store(const std::string& name);
  void store(const Target& target);
  void merge(const std::vector<const Symbols*>& branches);

  const Symbols* parent_;
  FunctionScope* function_;
  int32_t id_;
  const Symbols* base_ = nullptr;      // of a branch: the same scope as it was before the if
  std::map<std::string, From> loads_;  // every variable of this scope
  std::set<std::string> stores_;
};

// True when a for, set or with somewhere in it assigns the name `loop`.
bool assigns_loop(const Target& target);
bool assigns_loop(const Body& body);

}  // namespace mill::text::jinja
