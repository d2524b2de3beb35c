"""Decides which local names hold half tensors that an autocast region of the same function made."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stages._source.patterns import late
from stages._source.program.kinds import last_name
from stages._source.program.origins import instances, lineage, origins, resolve_bindings
from stages._source.program.scopes import Function, own_nodes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages._source.program.project import Project
    from stages._source.program.scopes import Scope
    from stages.logic.regions import Region, Regions
    from stages.logic.view import View

_PRODUCTS = late(
    r"torch\.(?:matmul|mm|bmm|addmm|baddbmm|einsum|conv[123]d)|torch\.nn\.functional\.(?:linear|conv[123]d)"
)
_LAYERS = late(r"torch\.nn\.(?:Linear|Bilinear|Conv[123]d|ConvTranspose[123]d)")
_CHAINS = late(r"torch\.nn\.Sequential")
_LIBRARY = late(r"torch\.|numpy\.|math\.|len$|list$|dict$|tuple$|zip$|range$|sum$|int$|float$|next$|iter$")
_MODEL_NAME = late(
    r"_*(?:\w+_)?(?:model|net|network|unet|backbone|encoder|decoder|generator|discriminator|head|student|teacher|critic"
    r"|actor|policy|net_?[gd]|netG|netD|layer|linear|fc|proj)\d*"
)
_DEEPEST = 4  # modules in modules


@dataclass(frozen=True, slots=True)
class HalfValue:
    """A name that a region bound.

    Args:
        certain: a matrix product or a convolution made it; otherwise a model whose last operation is not in sight.
    """

    name: str
    region: Region
    made: ast.expr
    certain: bool


def half_values(view: View, region: Region, regions: Regions) -> Iterator[HalfValue]:
    """Yield the names that the body of a region binds to half tensors, once each; none that are bound differently."""
    if region.off or region.dtype in ("float32", "float64") or not isinstance(region.node, ast.With):
        return
    bound: dict[str, list[ast.expr]] = {}
    for node in own_nodes(region.node.body):
        for name, value in _bound(node):
            bound.setdefault(name, []).append(value)
    scope = region.scope
    for name, values in bound.items():
        if all(regions.around(value) is region for value in values):
            kinds = {is_half(view.project, value, scope) for value in values}
            if kinds <= {True, None}:
                yield HalfValue(name, region, values[-1], certain=kinds == {True})


def uses_after(view: View, value: HalfValue) -> Iterator[ast.Name]:
    """Yield the reads of such a name behind its region, as long as nothing binds it anew."""
    scope = value.region.scope
    end = getattr(value.region.node, "end_lineno", 0)
    bound = [getattr(binding.node, "lineno", 0) for binding in scope.bindings.get(value.name, [])]
    rebound = [line for line in bound if line > end]
    for load in view.module.scopes.loads:
        node = load.node
        if not isinstance(node, ast.Name) or node.id != value.name or load.scope is not scope:
            continue
        if node.lineno > end and not any(line < node.lineno for line in rebound):
            yield node


def is_half(project: Project, node: ast.expr, scope: Scope, depth: int = 0) -> bool | None:
    """Say whether an expression that autocast runs gives half: None where a model's last operation is not known."""
    match node:
        case ast.BinOp(op=ast.MatMult()):
            return True
        case ast.Call(func=ast.Name() | ast.Attribute() as func):
            called = origins(project, func, scope)
            if any(_PRODUCTS.fullmatch(name) for name in called):
                return True
            layer = _is_half_module(project, func, scope, depth)
            if layer is not None:
                return layer
            return None if is_called_like_model(func) and not any(map(_LIBRARY.match, called)) else False
    return False


def is_called_like_model(func: ast.expr) -> bool:
    """Say whether what is called has a name that models and layers have."""
    return _MODEL_NAME.fullmatch(last_name(func)) is not None


def _is_half_module(project: Project, func: ast.expr, scope: Scope, depth: int) -> bool | None:
    """Say what a module gives, if its constructor is in sight."""
    if depth > _DEEPEST:
        return None
    for binding in resolve_bindings(project, func, scope):
        if binding.how == "value" and isinstance(binding.value, ast.Call):
            made = origins(project, binding.value.func, binding.scope)
            if any(_LAYERS.fullmatch(name) for name in made):
                return True
            if any(_CHAINS.fullmatch(name) for name in made) and binding.value.args:
                last = binding.value.args[-1]
                made = origins(project, last.func, binding.scope) if isinstance(last, ast.Call) else frozenset()
                return True if any(_LAYERS.fullmatch(name) for name in made) else None
    for cls in instances(project, func, scope):
        for base in lineage(project, cls):
            for binding in base.bindings.get("forward", []):
                if isinstance(binding.node, Function):
                    forward = base.inner[binding.node]
                    return _returned(project, forward, depth)
    return None


def _returned(project: Project, forward: Scope, depth: int) -> bool | None:
    found = {is_half(project, value, forward, depth + 1) for value in forward.returns}
    return True if found == {True} else None


def _bound(node: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    match node:
        case ast.Assign(targets=targets, value=value):
            for target in targets:
                if isinstance(target, ast.Name):
                    yield target.id, value
                elif isinstance(target, ast.Tuple | ast.List):
                    for element in target.elts:
                        if isinstance(element, ast.Name):
                            yield element.id, ast.Constant(value=None)
        case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
            yield name, value
        case ast.AugAssign(target=ast.Name(id=name)):
            yield name, ast.Constant(value=None)
        case ast.For(target=ast.Name(id=name)):
            yield name, ast.Constant(value=None)
