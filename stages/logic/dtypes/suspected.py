"""Reads functions whose text low precision may harm as if their callers ran them in it: nothing in sight says so.

What comes of it is a suspicion. A parameter is taken for a half tensor unless its name, its annotation or a call in
sight says otherwise, and the rest follows as it does under a real autocast: what autocast widens stays wide.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.patterns import late
from stages._source.program.scopes import Function, own_nodes, parameters, self_class
from stages.logic.dtypes.known import BOOL, NOWHERE, NUMBER, Known, Region
from stages.logic.dtypes.program import Dtypes
from stages.logic.dtypes.targets import Calls, is_module

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from stages._source.program.project import Module, Project
    from stages._source.program.scopes import Scope
    from stages.logic.dtypes.known import Unit
    from stages.logic.suspects import Spoken

_NO_FLOATS = late(
    r"(?:.*_)?(?:mask\w*|ids?|idx|index|indices|labels?|targets?|gt\w*|y|lengths?|lens?|positions?|pos|timesteps?|t|steps?"
    r"|device|dtype|dim|dims|axis|axes|shape|size|num\w*|n|k|i|j|eps\w*|scale|temperature|tau|training|reduction|name"
    r"|config|cfg|args|kwargs|path|seed|rank|epoch|lr|alpha|beta\d?|gamma|margin|values?|fill_value|adv\w*|returns?|rewards?|theta|base|min\w*|max\w*)"
)
_MASKS = late(r"(?!at)(?:.*_)?masks?")  # an attention mask may as well be what is added to the scores
_TENSORS = late(r"\b(?:Float|Half|Cuda)?Tensor\b|FloatTensor")
_PARTS = late(r"Loss|Criteri|Cost|Match|Trainer|Model|Net|Layer|Attention|Norm|Embed|Module|Encoder|Decoder")
_CALLED_ONLY = 20  # of the depth of calls, so that what such a function calls is read four deep


class Suspecting:
    """Reads functions that nothing in sight runs in low precision.

    Args:
        dtypes: what was read of the code that is known to run in low precision; it tells which arguments are not half.
    """

    def __init__(self, dtypes: Dtypes, spoken: Spoken) -> None:
        self._dtypes = dtypes
        self._spoken = spoken
        self._seen = _arguments(dtypes)
        self._calls = Calls(dtypes.project, passing=False)
        self._regions = [Region("float16" if spoken.float16 else "bfloat16", assumed=True)]
        if spoken.pure:
            self._regions.append(NOWHERE)

    def read(self, module: Module, lines: Iterable[int]) -> Iterator[Unit]:
        """Yield the functions of a file that hold such lines, each as autocast would run it, and as a half model."""
        dtypes = self._dtypes
        for scope in _functions(dtypes.project, module, frozenset(lines)):
            if scope in dtypes.spared and scope not in dtypes.ways:
                continue
            given = _given(scope, self._seen.get(scope, {}), self._spoken)
            for region in self._regions:
                reader = Dtypes(dtypes.project, self._calls, depth=_CALLED_ONLY)
                reader.read(scope, region, given, start=True)
                for unit in reader.units:
                    if unit.scope is scope:
                        unit.suspected = True
                        yield unit


def _arguments(dtypes: Dtypes) -> dict[Scope, dict[str, Known]]:
    """Return the parameters that calls in sight give something other than a half tensor."""
    found: dict[Scope, dict[str, Known]] = {}
    for unit in dtypes.units:
        for name, known in unit.given.items():
            if known.dtype and not known.low:
                found.setdefault(unit.scope, {})[name] = known
    return found


def _functions(project: Project, module: Module, lines: frozenset[int]) -> list[Scope]:
    """Return the innermost function around each line; not constructors, which nobody runs under autocast."""
    found: dict[int, Scope] = {}
    for node, scope in module.scopes.scopes.items():  # outer ones come first
        if isinstance(node, Function) and node.end_lineno is not None:
            for line in lines:
                if node.lineno <= line <= node.end_lineno:
                    found[line] = scope
    return [scope for scope in dict.fromkeys(found.values()) if _is_run_in_training(project, scope)]


def _is_run_in_training(project: Project, scope: Scope) -> bool:
    """Say whether a function may be part of a forward: one of a module or a loss, or one that stands by itself."""
    if getattr(scope.node, "name", "") in ("__init__", "__post_init__"):
        return False
    outer = scope.parent
    while outer is not None and not isinstance(outer.node, ast.ClassDef):
        outer = outer.parent
    if outer is None or "forward" in outer.bindings or is_module(project, outer):
        return True
    return _PARTS.search(getattr(outer.node, "name", "")) is not None


def _given(scope: Scope, seen: dict[str, Known], spoken: Spoken) -> dict[str, Known]:
    node = scope.node
    assert isinstance(node, Function)
    half = Known("float16" if spoken.float16 else "bfloat16", node)
    tensors = _tensors(node)
    given: dict[str, Known] = {}
    for argument, default in parameters(node):
        name = argument.arg
        if name in seen:
            given[name] = seen[name]
        elif _MASKS.fullmatch(name):
            given[name] = BOOL
        elif _may_be_half(argument, default) and self_class(scope, name) is None:
            given[name] = half if name in tensors else NUMBER
    return given


def _tensors(function: Function) -> set[str]:
    """Return the names with which a function does more than arithmetic, which a Python number would stand as well."""
    names: set[str] = set()
    for node in own_nodes(function.body):
        match node:
            case ast.Attribute(value=part) | ast.Subscript(value=part) | ast.BinOp(op=ast.MatMult(), left=part):
                found = [part]
            case ast.Call(args=args):
                found = [item.left if isinstance(item, ast.BinOp) else item for item in args]
                found += [item.right for item in args if isinstance(item, ast.BinOp)]
            case _:
                continue
        if isinstance(node, ast.BinOp):
            found.append(node.right)
        names.update(part.id for part in found if isinstance(part, ast.Name))
    return names


def _may_be_half(argument: ast.arg, default: ast.expr | None) -> bool:
    if _NO_FLOATS.fullmatch(argument.arg):
        return False
    if isinstance(default, ast.Constant) and default.value is not None:
        return False
    return argument.annotation is None or _TENSORS.search(ast.unparse(argument.annotation)) is not None
