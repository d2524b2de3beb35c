"""MOD505: a filter takes out values that are None, of a mapping or list in which none can be."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from stages._source.patterns import late
from stages._source.program.scopes import COMPREHENSIONS, self_class
from stages._source.wanted import Wanted, lines_of
from stages.logic.problems import Problem
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages._source.program.scopes import Binding, Scope
    from stages.logic.view import View

RULE = RuleInfo(
    code="MOD505",
    name="redundant-none-filter",
    severity=Severity.LOW,
    summary="A filter takes out values that are None, of a mapping or list in which none can be.",
    why=(
        "The reader takes the values to be optional, and the filter never does anything. Often it was meant for"
        " another value, such as a False or an empty text that is passed on although it should be left out."
    ),
    examples=(
        Bad("""
            class Compiler:
                def __init__(self, mode: str, fullgraph: bool = False) -> None:
                    self.mode = mode
                    self.fullgraph = fullgraph

                def arguments(self) -> dict:
                    given = {"mode": self.mode, "fullgraph": self.fullgraph}
                    given = {key: value for key, value in given.items() if value is not None}  # expect: MOD505
                    return dict(**given)
        """),
        Good("""
            class Compiler:
                def __init__(self, mode: str, backend: str | None = None, dynamic=None, level: int = None) -> None:
                    self.mode = mode
                    self.backend = backend
                    self.level = level

                def arguments(self, dynamic=None) -> dict:
                    given = {"mode": self.mode, "backend": self.backend}
                    if dynamic:
                        given["dynamic"] = dynamic
                    return {key: value for key, value in given.items() if value is not None}

                def others(self) -> dict:
                    given = {"mode": self.mode, "level": self.level}
                    return {key: value for key, value in given.items() if value is not None}
        """),
    ),
)
_ENDS = (b" is not None}", b" is not None]", b" is not None)")
_FILTER = late(rb".*\bfor (?:\w+|\w+, *\w+) in (\w+)(?:\.(?:items|values)\(\))? if \w+\Z")


def _may_filter(data: bytes) -> bool:
    """Say whether a name that is filtered so is bound to a display."""
    lines = (line[: -len(end)] for end in _ENDS for line in lines_of(data, end))
    names = {found[1] for line in lines if (found := _FILTER.match(line)) is not None}
    return any(re.search(name + rb" = [\[{(]\s*[^\s\]})]", data) for name in names)


WANTED = Wanted(torch=False, test=_may_filter)
_PLAIN = frozenset(["str", "int", "float", "bool", "bytes", "list", "dict", "tuple", "set", "len", "repr"])


def look(view: View) -> Iterator[Problem]:
    """Report filters of a name that is bound once, to a display whose values are never None, and not changed."""
    for node, scope in view.module.scopes.scopes.items():
        if isinstance(node, COMPREHENSIONS) and scope.parent is not None and len(node.generators) == 1:
            generator = node.generators[0]
            source = _source(generator)
            if source is None or not _is_none_filter(generator):
                continue
            display = _display(view, source, node, scope.parent)
            if display and all(_is_never_none(view, value, scope.parent) for value in display):
                yield Problem(
                    place=view.place(node),
                    message=f"no value of `{source.id}` can be None, so this filter takes nothing out",
                    remedy="Take the filter out, or test for what was meant.",
                )


def _source(generator: ast.comprehension) -> ast.Name | None:
    match generator.iter:
        case ast.Name() as name:
            return name
        case ast.Call(func=ast.Attribute(value=ast.Name() as name, attr="items" | "values"), args=[]):
            return name
    return None


def _is_none_filter(generator: ast.comprehension) -> bool:
    match generator.target:
        case ast.Name(id=name) | ast.Tuple(elts=[_, ast.Name(id=name)]):
            return [ast.unparse(test) for test in generator.ifs] == [f"{name} is not None"]
    return False


def _display(view: View, source: ast.Name, filtered: ast.AST, scope: Scope) -> list[ast.expr] | None:
    """Return what is in the display that a name was bound to, and nothing changed before it was filtered."""
    owner = scope.owner_of(source.id)
    bindings = [item for item in scope.bindings.get(source.id, []) if item.value is not filtered]
    if owner is not scope or len(bindings) != 1:
        return None
    uses = [seen.node for seen in view.module.scopes.loads if isinstance(seen.node, ast.Name) and seen.scope is scope]
    before = (node for node in uses if node.id == source.id and node.lineno <= source.lineno)
    if any(_may_change(view, node) for node in before):
        return None
    match bindings[0].value:
        case ast.Dict(keys=keys, values=values) if None not in keys:
            return values
        case ast.List(elts=elements) | ast.Tuple(elts=elements):
            return elements
    return None


def _may_change(view: View, node: ast.Name) -> bool:
    """Say whether a use may put something else into it: all but reading its items."""
    parent = view.parent(node)
    reads = isinstance(parent, ast.Attribute) and parent.attr in ("items", "values", "keys", "get")
    return not reads and not isinstance(parent, ast.comprehension | ast.DictComp | ast.ListComp)


def _is_never_none(view: View, value: ast.expr, scope: Scope) -> bool:
    match value:
        case ast.Constant(value=constant):
            return constant is not None
        case ast.JoinedStr() | ast.Compare() | ast.Dict() | ast.List() | ast.Tuple() | ast.Set() | ast.BinOp():
            return not isinstance(value, ast.BinOp)
        case ast.Call(func=ast.Name(id=name)):
            return name in _PLAIN and scope.owner_of(name) is None
        case ast.UnaryOp(op=ast.Not()):
            return True
        case ast.Name(id=name):
            owner = scope.owner_of(name)
            return owner is not None and _all_plain(view, owner.bindings.get(name, []))
        case ast.Attribute(value=ast.Name(id=name), attr=attribute) if cls := self_class(scope, name):
            bound = [*cls.attributes.get(attribute, []), *cls.bindings.get(attribute, [])]
            return _all_plain(view, bound)
    return False


def _all_plain(view: View, bindings: list[Binding]) -> bool:
    return bool(bindings) and all(_is_plain(view, binding) for binding in bindings)


def _is_plain(view: View, binding: Binding) -> bool:
    """Say whether a binding is annotated as something plain that is no None, or is given such a value."""
    default = binding.value if binding.how in ("value", "parameter") else None
    if isinstance(default, ast.Constant) and default.value is None:
        return False
    if isinstance(binding.annotation, ast.Name) and binding.annotation.id in _PLAIN:
        return True
    return binding.how == "value" and default is not None and _is_never_none(view, default, binding.scope)
