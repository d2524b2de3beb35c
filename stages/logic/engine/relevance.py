"""Which functions can touch AMP at all, by the names in them and in what they call; others are never walked into."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.program.origins import functions
from stages._source.program.scopes import COMPREHENSIONS, Function, own_nodes

if TYPE_CHECKING:
    from collections.abc import Iterable

    from stages._source.program.project import Project
    from stages._source.program.scopes import Scope

_ATTRIBUTES = frozenset(
    [
        *("grad", "backward", "unscale_", "manual_backward", "zero_grad", "get_scale", "autocast", "GradScaler"),
        *("clip_grad_norm_", "clip_grad_value_", "clip_gradients", "clip_grad_norm", "clip_grads_with_norm_"),
        *("ShardedGradScaler", "optim", "nullcontext", "unscale_gradients", "dispatch_clip_grad"),
        *("Accelerator", "Fabric", "set_autocast_enabled", "binary_cross_entropy", "BCELoss"),
    ]
)
_STEPS = frozenset(["step", "update", "scale"])
_WORDS = ("scaler", "optim", "sched")
_DEEPEST = 6


class Relevance:
    """Answers for each function once.

    Args:
        names: of the functions that are worth resolving when they are called; None: all of them.
    """

    def __init__(self, project: Project, names: frozenset[str] | None = None) -> None:
        self._project = project
        self._names = names
        self._direct: dict[Scope, bool] = {}
        self._known: dict[Scope, bool] = {}
        self._callees: dict[Scope, list[Scope]] = {}

    def direct(self, scope: Scope) -> bool:
        """Say whether the function itself names anything of AMP training."""
        if scope not in self._direct:
            banned = _banned_losses(scope)
            self._direct[scope] = any(
                _speaks_of_amp(node)
                or _casts_a_model(node)
                or (isinstance(node, ast.Attribute) and node.attr in banned)
                for node in own_nodes(_body(scope))
            )
        return self._direct[scope]

    def of(self, scope: Scope, depth: int = 0) -> bool:
        """Say whether walking into the function can matter."""
        if scope in self._known:
            return self._known[scope]
        if depth > _DEEPEST:
            return False
        self._known[scope] = False  # what a function that calls itself adds
        self._known[scope] = self.direct(scope) or any(self.of(callee, depth + 1) for callee in self.callees(scope))
        return self._known[scope]

    def callees(self, scope: Scope) -> list[Scope]:
        """Return the functions of the project that are called in the body of one."""
        if scope not in self._callees:
            found: dict[Scope, None] = {}
            for node in own_nodes(_body(scope)):
                if isinstance(node, ast.Call) and (self._names is None or _called(node.func) in self._names):
                    found |= dict.fromkeys(functions(self._project, node.func, scope))
            self._callees[scope] = list(found)
        return self._callees[scope]


def _called(func: ast.expr) -> str:
    return func.attr if isinstance(func, ast.Attribute) else func.id if isinstance(func, ast.Name) else ""


def _body(scope: Scope) -> Iterable[ast.AST]:
    node = scope.node
    if isinstance(node, Function):
        return [*node.body, *node.decorator_list]
    if isinstance(node, ast.Module | ast.ClassDef):
        return node.body
    return [node.body] if isinstance(node, ast.Lambda) else []


def _banned_losses(scope: Scope) -> frozenset[str]:
    """Return the attributes of a method's class that hold a loss which raises under autocast."""
    cls = scope.parent
    if cls is None or not isinstance(cls.node, ast.ClassDef):
        return frozenset()
    return frozenset(
        name
        for name, bindings in cls.attributes.items()
        for binding in bindings
        if isinstance(binding.value, ast.Call) and ast.unparse(binding.value.func).endswith("BCELoss")
    )


def _casts_a_model(node: ast.AST) -> bool:
    """Say whether `model.half` or the like is named: in a function that evaluates or saves, it rounds the weights."""
    if not isinstance(node, ast.Attribute) or node.attr not in ("half", "bfloat16"):
        return False
    owner = node.value.attr if isinstance(node.value, ast.Attribute) else getattr(node.value, "id", "")
    return owner.lower().endswith(("model", "net", "network", "module"))


def _speaks_of_amp(node: ast.AST) -> bool:
    if isinstance(node, ast.Attribute):
        if node.attr in _ATTRIBUTES:
            return True
        return node.attr in _STEPS and isinstance(node.value, ast.Name | ast.Attribute) and _sounds(node.value)
    return isinstance(node, ast.Name) and (node.id in _ATTRIBUTES or "scaler" in node.id.lower())


def _sounds(node: ast.Name | ast.Attribute) -> bool:
    name = (node.id if isinstance(node, ast.Name) else node.attr).lower()
    return any(word in name for word in _WORDS)


__all__ = ["COMPREHENSIONS", "Relevance"]
