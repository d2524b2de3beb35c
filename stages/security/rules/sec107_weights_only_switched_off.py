"""SEC107: the safe mode of `torch.load` is switched off for the whole process."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.walking import walk
from stages._source.wanted import Wanted
from stages.security.problem import Problem
from stages.security.view import argument, is_constant, text_value
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages.security.view import View

RULE = RuleInfo(
    code="SEC107",
    name="weights-only-switched-off",
    severity=Severity.MEDIUM,
    summary="The safe mode of `torch.load` is switched off for the whole process.",
    why=(
        "`TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD` in the environment, or another function in the place of `torch.load`, also"
        " concerns loads of libraries, whose files come from the network."
    ),
    examples=(
        Bad("""
            import functools
            import os

            import torch

            os.environ["TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"] = "1"  # expect: SEC107
            torch.load = functools.partial(torch.load, weights_only=False)  # expect: SEC107
        """),
        Good("""
            import os

            import torch

            os.environ["TORCH_FORCE_WEIGHTS_ONLY_LOAD"] = "1"
            load = torch.load
        """),
    ),
)
_VARIABLE = "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"
WANTED = Wanted(torch=True, some=(_VARIABLE.encode(), b".load =", b".load="))


def look(view: View) -> Iterator[Problem]:
    """Report the variable being set, and `torch.load` being replaced by one that unpickles."""
    root = view.module.scopes.root
    for node in walk(view.module.tree):
        match node:
            case ast.Assign(targets=[ast.Subscript(slice=key)], value=ast.Constant(value="1" | "y" | "yes" | "true")):
                if text_value(key) == _VARIABLE:
                    yield _problem(node, f"`{_VARIABLE}` is set")
            case ast.Call(func=ast.Attribute(attr="setdefault" | "putenv"), args=[key, ast.Constant(value="1")]):
                if text_value(key) == _VARIABLE:
                    yield _problem(node, f"`{_VARIABLE}` is set")
            case ast.Assign(targets=[ast.Attribute(attr="load") as target], value=ast.Call() as value):
                replaced = "torch.load" in view.names(target, root)
                if replaced and is_constant(argument(value, "weights_only"), False):
                    yield _problem(node, "`torch.load` is replaced by one that unpickles everything")


def _problem(node: ast.AST, what: str) -> Problem:
    return Problem(
        node=node,
        message=f"{what}, which holds for every load of the process",
        remedy="Pass `weights_only=False` where a file of your own needs it, or allow its classes with "
        "`torch.serialization.add_safe_globals`.",
    )
