"""What a name stands for: a local on this path, a definition of the project, a library's dotted name, or a global."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.program.scopes import Function, self_class
from stages.logic.engine.attempt import Attempt, Choices, Frame, PathEnds
from stages.logic.engine.state import State
from stages.logic.engine.values import Callee, ClassValue, Dotted, Instance, Unknown, Value, matters

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stages._source.program.scopes import Binding, Scope
    from stages.logic.engine.walker import Walker

_DEEPEST = 12  # aliases of aliases
_LONGEST = 10  # dots in a name that is looked up


def look_up(walker: Walker, attempt: Attempt, name: str) -> Value:
    """Return what a name stands for where the attempt is."""
    scope = attempt.frame.scope
    owner = scope.owner_of(name)
    if owner is None:
        return _unbound(walker, attempt, scope, name)
    known = attempt.state.env.get((owner, name))
    if known is not None:
        return known
    return defined(walker, owner, name) or _unset(walker, owner, name)


def defined(walker: Walker, owner: Scope, name: str, depth: int = 0) -> Value | None:
    """Return what an import, `def` or `class` binds a name to; None where something else binds it."""
    bindings = owner.bindings.get(name, [])
    if _stands_in(owner, bindings):
        return None
    for binding in bindings:
        if binding.how == "import":
            return dotted(walker, binding.origin, depth)
        if binding.how == "function":
            return Callee(binding.scope.inner[binding.node])
        if binding.how == "class":
            return ClassValue(binding.scope.inner[binding.node])
    return None


def dotted(walker: Walker, name: str, depth: int = 0) -> Value:
    """Follow a dotted name into the project; what is no code of the project stays a dotted name."""
    if name in walker.engine.resolved:
        return walker.engine.resolved[name]
    if depth > _DEEPEST or name.count(".") > _LONGEST:  # a name that leads into itself, longer each time
        return Dotted(name)
    walker.engine.resolved[name] = Dotted(name)  # what a name that leads back to itself is
    walker.engine.resolved[name] = _dotted(walker, name, depth)
    return walker.engine.resolved[name]


def global_value(walker: Walker, owner: Scope, name: str) -> Value:
    """Return what a module-level name holds when functions run: what its assignments say, if they agree."""
    key = (owner, name)
    if key not in walker.engine.globals:
        unknown = walker.engine.globals[key] = Unknown(("global", owner.module, name))
        bindings = owner.bindings.get(name, [])
        chosen = bindings[:1] if _stands_in(owner, bindings) else bindings
        values = [_evaluated(walker, owner, binding) for binding in chosen]
        telling = [value for value in values if value is not None and matters(value)]
        plain = [value for value in values if value is not None]
        found = telling[0] if telling else plain[0] if len(values) == len(plain) == 1 else unknown
        walker.engine.globals[key] = found
    return walker.engine.globals[key]


def _stands_in(owner: Scope, bindings: Sequence[Binding]) -> bool:
    """Say whether a name of a module is an alias first, and then a definition for where the library lacks the thing."""
    if not isinstance(owner.node, ast.Module) or len(bindings) < 2 or bindings[0].how != "value":
        return False
    later = all(binding.how in ("class", "function") for binding in bindings[1:])
    return later and isinstance(bindings[0].value, ast.Attribute)


def receiver_of(scope: Scope) -> Instance | None:
    """Return `self` of a method, for a start inside of it."""
    node = scope.node
    if not isinstance(node, Function) or not node.args.args:
        return None
    cls = self_class(scope, node.args.args[0].arg)
    return None if cls is None else Instance(cls, ("self", cls))


def _unbound(walker: Walker, attempt: Attempt, scope: Scope, name: str) -> Value:
    """Return a builtin, or what a star import brings."""
    known = attempt.state.env.get((None, name))
    if known is not None:
        return known
    for outer in scope.visible():
        for star in _stars(walker, outer, name):
            found = dotted(walker, f"{star}.{name}")
            if not isinstance(found, Dotted) or found.name != f"{star}.{name}" or star.startswith("torch"):
                return found
    return Dotted(name)


def _unset(walker: Walker, owner: Scope, name: str) -> Value:
    if isinstance(owner.node, ast.Module | ast.ClassDef):
        return global_value(walker, owner, name)
    return Unknown(("local", owner, name))


def _dotted(walker: Walker, name: str, depth: int) -> Value:
    project = walker.engine.project
    split = project.split(name)
    if split is None or not split[1] or depth > _DEEPEST:
        return Dotted(name)
    module, rest = split
    head, _, more = rest.partition(".")
    if project.leads_below(module, head):
        return Dotted(name)
    root = module.scopes.root
    value = defined(walker, root, head, depth + 1)
    if value is None and head in root.bindings:
        value = global_value(walker, root, head)
    if value is None:
        for star in _stars(walker, root, head):
            found = dotted(walker, f"{star}.{head}", depth + 1)
            if not isinstance(found, Dotted):
                value = found
    if value is None:
        return Dotted(name)
    for part in more.split(".") if more else ():
        value = member(walker, value, part, depth + 1)
    return value


def _stars(walker: Walker, scope: Scope, name: str) -> list[str]:
    """Return the modules from which a star import may bring a name."""
    if not scope.stars:
        return []
    project, key = walker.engine.project, (scope, name)
    if key not in project.known_brought:
        found = [star for star in scope.stars if not project.holds(star) or project.starred(star, name) is not None]
        project.known_brought[key] = found
    return project.known_brought[key]


def member(walker: Walker, value: Value, name: str, depth: int = 0) -> Value:
    """Return an attribute of a class or module that is reached by a dotted name."""
    if isinstance(value, Dotted):
        return dotted(walker, f"{value.name}.{name}", depth)
    if isinstance(value, ClassValue):
        return defined(walker, value.scope, name) or Unknown(("member", value.scope, name))
    return Unknown(("member", value, name))


def _evaluated(walker: Walker, owner: Scope, binding: Binding) -> Value | None:
    if binding.how != "value" or binding.value is None:
        return None
    module = walker.engine.module_of(owner)
    if module is None:
        return None
    frame = Frame(owner, module, (owner,) * 3, quiet=True)
    attempt = Attempt(State(), frame, Choices(), [])
    try:
        return walker.evaluate(attempt, binding.value)
    except PathEnds:
        return None
