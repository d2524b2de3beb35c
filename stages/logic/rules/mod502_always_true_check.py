"""MOD502: a test of a version, or of something that is always there, has one outcome in every run."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from stages._source.patterns import late
from stages._source.program.kinds import last_name
from stages._source.program.origins import named_classes
from stages._source.program.scopes import own_nodes
from stages._source.versions import shown
from stages._source.wanted import Wanted
from stages.logic.problems import Problem
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages._source.program.scopes import Scope, Seen
    from stages.logic.view import View

RULE = RuleInfo(
    code="MOD502",
    name="always-true-check",
    severity=Severity.LOW,
    summary="A test of a version, or of something that is always there, has one outcome in every run.",
    why=(
        "One side of the branch never runs, so nobody tests it, and the reader takes the code to support what the"
        " project does not. What the project supports is read from its metadata: `requires-python`, and its"
        " requirement of torch."
    ),
    examples=(
        Bad("""
            # --- pyproject.toml
            [project]
            name = "trainer"
            requires-python = ">=3.11"
            dependencies = ["torch>=2.4"]
            # --- trainer.py
            import sys

            import torch

            def available(model: torch.nn.Module) -> bool:
                if sys.version_info < (3, 8):  # expect: MOD502
                    return False
                if not hasattr(model, "parameters"):  # expect: MOD502
                    return False
                return hasattr(torch, "compile")  # expect: MOD502
        """),
        Bad("""
            import torch

            if hasattr(torch, "no_grad"):  # expect: MOD502
                print("has no_grad")
        """),
        Good("""
            # --- pyproject.toml
            [project]
            name = "trainer"
            requires-python = ">=3.9"
            dependencies = ["torch>=1.13"]
            # --- trainer.py
            import sys

            import torch

            if sys.version_info < (3, 8):
                raise RuntimeError("Python 3.9 or later, please")

            def available(model) -> bool:
                if sys.version_info < (3, 11):
                    return False
                if not hasattr(model, "parameters"):
                    return False
                return hasattr(torch, "compile")
        """),
    ),
)
_MODULE = frozenset(["torch.nn.Module"])
# names of torch -> the release that brought them; (1, 0) stands for what every torch has that anybody still runs
_SINCE = {
    **dict.fromkeys(("nn", "optim", "cuda", "no_grad", "tensor", "Tensor", "device", "jit", "autograd"), (1, 0)),
    "inference_mode": (1, 9),
    **dict.fromkeys(("autocast", "amp"), (1, 10)),
    "set_float32_matmul_precision": (1, 12),
    "compile": (2, 0),
}
_OF_MODULES = frozenset(
    ["parameters", "named_parameters", "state_dict", "load_state_dict", "train", "eval", "training"]
)
_OLDEST_TORCH = (1, 0)
_ASKED = "|".join([*_SINCE, *_OF_MODULES])
_COMPARED = late(rb"version_info *[<>]")
_HAS = late(rf"hasattr\(\w+, *[\"'](?:{_ASKED})[\"']".encode())


def _may_ask(data: bytes) -> bool:
    return (b"version_info" in data and _COMPARED.search(data) is not None) or _HAS.search(data) is not None


WANTED = Wanted(torch=False, test=_may_ask)


def look(view: View) -> Iterator[Problem]:
    """Report comparisons with `sys.version_info` and calls of `hasattr` that the project's metadata decides."""
    if view.mentions("sys.version_info"):
        for node, scope in _comparisons(view):
            yield from _compared(view, node, scope)
    for seen in view.calls():
        if isinstance(seen.node, ast.Call) and last_name(seen.node.func) == "hasattr":
            yield from _asked(view, seen)


def _comparisons(view: View) -> Iterator[tuple[ast.Compare, Scope]]:
    for scope in list(view.module.scopes.scopes.values()):
        body = getattr(scope.node, "body", None)
        if isinstance(body, list):
            for node in own_nodes(body):
                if isinstance(node, ast.Compare) and "version_info" in ast.unparse(node.left):
                    yield node, scope


def _compared(view: View, node: ast.Compare, scope: Scope) -> Iterator[Problem]:
    supported = view.python
    if (
        supported is None
        or len(node.ops) != 1
        or _is_guard(view, node)
        or not view.origins(node.left, scope) & {"sys.version_info"}
    ):
        return
    match node.comparators[0]:
        case ast.Tuple(elts=[ast.Constant(value=3), ast.Constant(value=int(minor))]):
            pass
        case ast.Tuple(elts=[ast.Constant(value=3)]):
            minor = 0
        case _:
            return
    if minor > supported.oldest or (minor == supported.oldest and not isinstance(node.ops[0], ast.GtE | ast.Lt)):
        return
    if isinstance(node.ops[0], ast.GtE | ast.Gt | ast.Lt | ast.LtE):
        outcome = "true" if isinstance(node.ops[0], ast.GtE | ast.Gt) else "false"
        yield _problem(view, node, outcome, f"the project says {supported.said}")


def _is_guard(view: View, node: ast.Compare) -> bool:
    """Tell what refuses a Python that the project does not support: whoever runs a checkout meets no metadata."""
    parent = view.parent(node)
    if isinstance(parent, ast.Assert) or view.module.path.rpartition("/")[2] == "setup.py":
        return True
    return isinstance(parent, ast.If) and any(
        isinstance(item, ast.Raise) or (isinstance(item, ast.Call) and last_name(item.func) == "exit")
        for item in own_nodes(parent.body)
    )


def _asked(view: View, seen: Seen) -> Iterator[Problem]:
    match seen.node:
        case ast.Call(args=[subject, ast.Constant(value=str(name))]):
            pass
        case _:
            return
    if name in _SINCE and view.origins(subject, seen.scope) == {"torch"}:
        since = _SINCE[name]
        least = view.torch.least
        if since <= _OLDEST_TORCH or (least is not None and least >= since):
            said = "every torch has it" if since <= _OLDEST_TORCH else f"the project requires {view.torch.said}"
            extra = "" if since <= _OLDEST_TORCH else f", and torch has it since {shown(since)}"
            yield _problem(view, seen.node, "true", said + extra)
    elif name in _OF_MODULES and isinstance(subject, ast.Name) and _is_module(view, subject, seen.scope):
        yield _problem(view, seen.node, "true", f"`{subject.id}` is annotated as a module, and every module has it")


def _is_module(view: View, subject: ast.Name, scope: Scope) -> bool:
    owner = scope.owner_of(subject.id)
    bindings = owner.bindings.get(subject.id, []) if owner is not None else []
    if len(bindings) != 1 or bindings[0].how != "parameter" or bindings[0].annotation is None:
        return False
    annotation = bindings[0].annotation
    if re.search(r"Optional|Union|None|\|", ast.unparse(annotation)):
        return False
    named = named_classes(annotation)
    return len(named) == 1 and bool(view.origins(named[0], bindings[0].scope) & _MODULE)


def _problem(view: View, node: ast.AST, outcome: str, because: str) -> Problem:
    return Problem(
        place=view.place(node),
        message=f"`{ast.unparse(node)}` is always {outcome}: {because}",
        remedy="Take the test out, and the branch that never runs.",
    )
