"""Regions that are to stay in float32, and casts that take a value there."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages.mutation.autocasts import is_off
from stages.mutation.changes import mutation, replaced
from stages.mutation.code import last_name, receiver
from verifier.api import Edit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages.mutation.code import Code
    from verifier.api import Mutation

_LOSSES = ("loss", "entropy", "criterion", "softplus")
_OUTPUTS = ("logit", "output", "pred", "score", "fake")


def island_without_cast(code: Code) -> Iterator[Mutation]:
    for call in _casts(code):
        if any(call in ast.walk(item) for island in _islands(code) for item in island.body):
            yield from _uncast(code, call)


def drop_float32_island(code: Code) -> Iterator[Mutation]:
    for island in _islands(code):
        start, (_, end) = code.source.span(island)[0], code.source.span(island.items[-1].context_expr)
        colon = code.source.text.find(":", end)
        if len(island.items) == 1 and not code.source.text[end:colon].strip(" )\t\r\n,"):
            yield from mutation(code, island, Edit(start, colon, "if True"))


def drop_float(code: Code) -> Iterator[Mutation]:
    inside = {node for island in _islands(code) for node in ast.walk(island)}
    for call in _casts(code):
        if call not in inside and _goes_to_loss(code, call):
            yield from _uncast(code, call)


def _islands(code: Code) -> list[ast.With]:
    return [
        node
        for node in code.nodes
        if isinstance(node, ast.With) and any(_turns_off(item.context_expr) for item in node.items)
    ]


def _turns_off(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and "autocast" in last_name(node.func) and is_off(node)


def _casts(code: Code) -> list[ast.Call]:
    return [call for call in code.calls("float") if receiver(call) is not None and not call.args and not call.keywords]


def _goes_to_loss(code: Code, call: ast.Call) -> bool:
    for outer in code.around(call):
        if isinstance(outer, ast.Call) and any(word in last_name(outer.func).lower() for word in _LOSSES):
            return True
        if isinstance(outer, ast.Assign):
            targets = [last_name(target).lower() for target in outer.targets]
            return any(word in name for name in targets for word in _OUTPUTS)
        if isinstance(outer, ast.stmt):
            return False
    return False


def _uncast(code: Code, call: ast.Call) -> Iterator[Mutation]:
    value = receiver(call)
    assert value is not None
    yield from mutation(
        code, call, replaced(code, call, code.source.text[slice(code.source.span(call)[0], _dot(code, call))])
    )


def _dot(code: Code, call: ast.Call) -> int:
    """Return where `.float()` begins: parentheses around the value belong to the value."""
    return code.source.text.rindex(".", *code.source.span(call))


OPERATORS = {
    "island-without-cast": island_without_cast,
    "drop-float32-island": drop_float32_island,
    "drop-float": drop_float,
}
