"""MOD503: a version is compared as text or as a decimal number, so that 1.10 counts as older than 1.9."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from stages._source.patterns import late
from stages._source.program.scopes import own_nodes
from stages._source.wanted import Wanted
from stages.logic.problems import Problem
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages._source.program.scopes import Scope
    from stages.logic.view import View

RULE = RuleInfo(
    code="MOD503",
    name="version-compared-as-text",
    severity=Severity.LOW,
    summary="A version is compared as text or as a decimal number, so that 1.10 counts as older than 1.9.",
    why=(
        'As text "1.10" comes before "1.9", and cut to three characters it is "1.1"; the same happened to torch 2.10,'
        " which is 2.1 then. The branch for old versions runs with new ones, often with other numerics."
        " `torch.__version__` itself compares as a version since torch 1.10, a part of it does not."
    ),
    examples=(
        Bad("""
            import numpy
            import torch

            NEW = torch.__version__[:3] >= "1.6"  # expect: MOD503
            NUMBER = float(torch.__version__[:3]) > 1.5  # expect: MOD503
            PARTS = torch.__version__.split(".") >= ["1", "8"]  # expect: MOD503
            OTHER = numpy.__version__ < "1.20"  # expect: MOD503
        """),
        Good("""
            import numpy
            import torch
            from packaging.version import Version

            NEW = torch.__version__ >= "1.6"
            NUMBER = Version(torch.__version__) > Version("1.5")
            PARTS = tuple(int(part) for part in torch.__version__.split(".")[:2]) >= (1, 8)
            MAJOR = torch.__version__.split(".")[0] == "2"
            OTHER = Version(numpy.__version__) < Version("1.20")
            LATER = numpy.__version__ >= "2.0.0"
            SAME = numpy.__version__ == "1.26.4"
        """),
    ),
)
WANTED = Wanted(torch=False, every=(b"__version__",), pattern=late(rb"__version__[^\n#]*(?:>|<)"))
_MINORS = range(40)
_ORDER = (ast.Lt, ast.LtE, ast.Gt, ast.GtE)


def look(view: View) -> Iterator[Problem]:
    """Report such comparisons by order; equality is no question of order."""
    for scope in list(view.module.scopes.scopes.values()):
        body = getattr(scope.node, "body", None)
        for node in own_nodes(body) if isinstance(body, list) else ():
            if isinstance(view.parent(node), ast.BoolOp):  # what else is asked there may make up for it
                continue
            if isinstance(node, ast.Compare) and len(node.ops) == 1 and isinstance(node.ops[0], _ORDER):
                sides = [node.left, node.comparators[0]]
                pairs = ((sides[0], sides[1]), (sides[1], sides[0]))
                how = next((said for one, other in pairs if (said := _how(view, one, other, scope))), None)
                if how:
                    yield Problem(
                        place=view.place(node),
                        message=f"`{ast.unparse(node)}` compares a version {how}",
                        remedy="Compare `packaging.version.Version` objects.",
                    )


def _how(view: View, side: ast.expr, other: ast.expr, scope: Scope) -> str | None:
    """Return how a version is compared on this side; None where it is none, or is compared as a version."""
    if "__version__" not in ast.unparse(side):
        return None
    text = other.value if isinstance(other, ast.Constant) and isinstance(other.value, str) else None
    match side:
        case ast.Attribute(attr="__version__"):
            misjudges = text is not None and _misjudges(text)
            return "as text" if misjudges and "torch.__version__" not in view.origins(side, scope) else None
        case ast.Subscript(value=ast.Attribute(attr="__version__"), slice=ast.Slice()):
            return "by its first characters, as text" if text is not None else None
        case ast.Call(func=ast.Name(id="float"), args=[ast.Subscript(slice=ast.Slice())]):
            return "as a decimal number"
        case ast.Call(func=ast.Attribute(value=ast.Attribute(attr="__version__"), attr="split")):
            listed = isinstance(other, ast.List) and all(isinstance(item, ast.Constant) for item in other.elts)
            return "by its parts, as text" if listed else None
    return None


def _misjudges(text: str) -> bool:
    """Say whether some release of the same major version is on the wrong side as text."""
    bound = tuple(int(part) for part in re.findall(r"\d+", text)[:2])
    if len(bound) < 2:
        return False
    return any((f"{bound[0]}.{minor}.0" < text) != (minor < bound[1]) for minor in _MINORS if minor != bound[1])
