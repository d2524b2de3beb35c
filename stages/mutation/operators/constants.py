"""Numbers that float16 cannot hold: masks, guards against zero, margins below one."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages.mutation.changes import mutation, replaced
from stages.mutation.code import dotted, keyword, last_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages.mutation.code import Code
    from verifier.api import Mutation

_MASKING = ("masked_fill", "masked_fill_", "where", "full", "full_like", "fill_", "new_full")
_TAKEN_OF = ("log", "log2", "log10", "sqrt", "rsqrt", "reciprocal")
_BELOW = ("clamp", "clamp_", "clamp_min", "clamp_min_", "clip", "maximum")
_SMALLEST, _LARGEST = 1e-8, 1e-3  # guards that float16 holds in full or nearly so


def large_mask(code: Code) -> Iterator[Mutation]:
    for call in code.calls(*_MASKING):
        for given in call.args:
            if _is_lowest(code, given):
                yield from mutation(code, given, replaced(code, given, "-1e9"))


def narrow_eps(code: Code) -> Iterator[Mutation]:
    for node in code.nodes:
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add) and _guards(code, node):
            for side in (node.left, node.right):
                if _is_small(side):
                    yield from mutation(code, side, replaced(code, side, "1e-8"))
    for call in code.calls(*_BELOW):
        named = keyword(call, "min")
        for given in [*call.args[:2], *([named.value] if named is not None else [])]:
            if _is_small(given):
                yield from mutation(code, given, replaced(code, given, "1e-8"))


def narrow_margin(code: Code) -> Iterator[Mutation]:
    for node in code.nodes:
        if not isinstance(node, ast.BinOp) or not isinstance(node.op, ast.Sub) or not _is_small(node.right):
            continue
        if isinstance(node.left, ast.Constant) and node.left.value in (1, 1.0):
            yield from mutation(code, node.right, replaced(code, node.right, "1e-8"))


def _is_lowest(code: Code, node: ast.expr) -> bool:
    text = code.text(node).replace("'", '"').replace(" ", "")
    if text in ('float("-inf")', '-float("inf")', "-math.inf", "-torch.inf", "-np.inf", "-inf"):
        return True
    return isinstance(node, ast.Attribute) and node.attr == "min" and "finfo(" in text and "float32" not in text


def _is_small(node: ast.expr) -> bool:
    value = node.value if isinstance(node, ast.Constant) else None
    return isinstance(value, float) and _SMALLEST < value <= _LARGEST


def _guards(code: Code, node: ast.BinOp) -> bool:
    outer = code.parents[node]
    if isinstance(outer, ast.BinOp):
        return isinstance(outer.op, ast.Div) and outer.right is node
    if isinstance(outer, ast.Attribute):
        return outer.attr in _TAKEN_OF
    return (
        isinstance(outer, ast.Call)
        and last_name(outer.func) in _TAKEN_OF
        and not dotted(outer.func).startswith("math.")
    )


OPERATORS = {"large-mask": large_mask, "narrow-eps": narrow_eps, "narrow-margin": narrow_margin}
