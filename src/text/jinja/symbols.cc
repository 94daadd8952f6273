#include "text/jinja/symbols.h"

#include <algorithm>

#include "base/check.h"

namespace mill::text::jinja {

const Symbols* Symbols::owner(const std::string& name) const {
  const Symbols* scope = this;
  while (scope && !scope->known(name)) scope = scope->parent_;
  MILL_CHECK(scope);
  return scope;
}

void Symbols::declare(const std::string& name) {
  stores_.insert(name);
  loads_[name] = From::kParameter;
}

void Symbols::declare(const Target& target) {
  for (const Target& part : target.parts) declare(part);
  if (target.kind == Target::Kind::kName) declare(target.name);
}

bool Symbols::known(const std::string& name) const {
  return loads_.contains(name) || (base_ && base_->known(name));
}

bool Symbols::stored(const std::string& name) const {
  return stores_.contains(name) || (base_ && base_->stored(name));
}

bool Symbols::known_outside(const std::string& name) const {
  return parent_ && (parent_->known(name) || parent_->known_outside(name));
}

void Symbols::read(const std::string& name) {
  if (!known(name) && !known_outside(name)) loads_[name] = From::kContext;
}

void Symbols::store(const std::string& name) {
  stores_.insert(name);
  if (!known(name)) loads_[name] = known_outside(name) ? From::kOuter : From::kNothing;
}

void Symbols::store(const Target& target) {
  for (const Target& part : target.parts) store(part);
  if (target.kind == Target::Kind::kName) store(target.name);
  if (target.kind == Target::Kind::kAttribute) read(target.name);
}

void Symbols::collect(Expr& expr) {
  if (expr.kind == ExprKind::kName) read(static_cast<Name&>(expr).name);
  for_each_child(expr, [this](ExprPtr& child) { collect(*child); });
}

void Symbols::collect(Body& body) {
  for (StmtPtr& stmt : body) collect(*stmt);
}

void Symbols::collect(Stmt& stmt) {
  switch (stmt.kind) {
    case StmtKind::kOutput:
      for (ExprPtr& part : static_cast<Output&>(stmt).parts) collect(*part);
      return;
    case StmtKind::kIf:
      return collect_if(static_cast<If&>(stmt));
    case StmtKind::kFor:
      return collect(*static_cast<For&>(stmt).iterable);
    case StmtKind::kSet:
      collect(*static_cast<Set&>(stmt).value);
      return store(static_cast<Set&>(stmt).target);
    case StmtKind::kSetBlock:
      return store(static_cast<SetBlock&>(stmt).target);
    case StmtKind::kMacro:
      return store(static_cast<MacroStmt&>(stmt).macro.name);
    case StmtKind::kCallBlock:
      if (static_cast<CallBlock&>(stmt).call) collect(*static_cast<CallBlock&>(stmt).call);
      return;
    case StmtKind::kFilterBlock:
      return collect(*static_cast<FilterBlock&>(stmt).filter);
    case StmtKind::kWith:
      for (auto& [target, value] : static_cast<With&>(stmt).bindings) collect(*value);
      return;
    case StmtKind::kBreak:
    case StmtKind::kContinue:
      return;
  }
}

Symbols Symbols::branch() const {
  return Symbols(parent_, function_, id_, this);
}

// The reference reads the test, then the body, then the elifs (as ifs of their own, one after the
// other), then the else; what the three leave is merged at the end.
void Symbols::collect_if(If& branches) {
  collect(*branches.branches[0].first);
  Symbols body = branch();
  body.collect(branches.branches[0].second);
  Symbols elifs = branch();
  for (size_t i = 1; i < branches.branches.size(); ++i) {
    elifs.collect(*branches.branches[i].first);
    Symbols inner = elifs.branch();
    inner.collect(branches.branches[i].second);
    elifs.merge({&inner});
  }
  Symbols otherwise = branch();
  otherwise.collect(branches.otherwise);
  merge({&body, &elifs, &otherwise});
}

void Symbols::merge(const std::vector<const Symbols*>& branches) {
  std::set<std::string> maybe_stored;
  for (const Symbols* branch : branches) {
    for (const std::string& name : branch->stores_) {
      if (!stored(name)) maybe_stored.insert(name);
    }
  }
  for (const Symbols* branch : branches) {
    for (const auto& [name, from] : branch->loads_) loads_[name] = from;
    stores_.insert(branch->stores_.begin(), branch->stores_.end());
  }
  // A branch that is not taken leaves the variable as it was outside.
  for (const std::string& name : maybe_stored) {
    loads_[name] = known_outside(name) ? From::kOuter : From::kContext;
  }
}

bool assigns_loop(const Target& target) {
  return (target.kind == Target::Kind::kName && target.name == "loop") ||
         std::any_of(target.parts.begin(), target.parts.end(),
                     [](const Target& part) { return assigns_loop(part); });
}

bool assigns_loop(const Body& body) {
  for (const StmtPtr& stmt : body) {
    switch (stmt->kind) {
      case StmtKind::kIf: {
        const auto& branches = static_cast<const If&>(*stmt);
        for (const auto& [test, inner] : branches.branches) {
          if (assigns_loop(inner)) return true;
        }
        if (assigns_loop(branches.otherwise)) return true;
        break;
      }
      case StmtKind::kFor: {
        const auto& loop = static_cast<const For&>(*stmt);
        if (assigns_loop(loop.target) || assigns_loop(loop.body) || assigns_loop(loop.otherwise))
          return true;
        break;
      }
      case StmtKind::kSet:
        if (assigns_loop(static_cast<const Set&>(*stmt).target)) return true;
        break;
      case StmtKind::kSetBlock:
        if (assigns_loop(static_cast<const SetBlock&>(*stmt).target)) return true;
        if (assigns_loop(static_cast<const SetBlock&>(*stmt).body)) return true;
        break;
      case StmtKind::kMacro:
        if (assigns_loop(static_cast<const MacroStmt&>(*stmt).macro.body)) return true;
        break;
      case StmtKind::kCallBlock:
        if (assigns_loop(static_cast<const CallBlock&>(*stmt).macro.body)) return true;
        break;
      case StmtKind::kFilterBlock:
        if (assigns_loop(static_cast<const FilterBlock&>(*stmt).body)) return true;
        break;
      case StmtKind::kWith:
        if (assigns_loop(static_cast<const With&>(*stmt).body)) return true;
        break;
      default:
        break;
    }
  }
  return false;
}

}  // namespace mill::text::jinja
