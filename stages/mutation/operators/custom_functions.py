"""Custom autograd functions whose decorators for autocast are missing or for another device."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.program.scopes import Function
from stages.mutation.calls import with_arguments
from stages.mutation.changes import mutation
from stages.mutation.code import keyword, last_name
from verifier.api import Edit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages.mutation.code import Code
    from verifier.api import Mutation


def drop_custom_pair(code: Code) -> Iterator[Mutation]:
    for forward, backward in _pairs(code):
        yield from mutation(code, forward, _without(code, forward), _without(code, backward))


def drop_custom_fwd(code: Code) -> Iterator[Mutation]:
    for forward, _ in _pairs(code):
        yield from mutation(code, forward, _without(code, forward))


def custom_for_other_device(code: Code) -> Iterator[Mutation]:
    for forward, _ in _pairs(code):
        if isinstance(forward, ast.Call) and keyword(forward, "device_type") is not None:
            yield from mutation(code, forward, with_arguments(code, forward, device_type='"xpu"'))


def _pairs(code: Code) -> Iterator[tuple[ast.expr, ast.expr]]:
    """Yield the decorators of forward and backward of each class that has both."""
    for node in code.nodes:
        if isinstance(node, ast.ClassDef):
            found = {
                last_name(item.func if isinstance(item, ast.Call) else item): item
                for method in node.body
                if isinstance(method, Function)
                for item in method.decorator_list
            }
            if "custom_fwd" in found and "custom_bwd" in found:
                yield found["custom_fwd"], found["custom_bwd"]


def _without(code: Code, decorator: ast.expr) -> Edit:
    first, last = decorator.lineno, decorator.end_lineno or decorator.lineno
    return Edit(code.source.line_starts[first - 1], code.source.line_end(last), "")


OPERATORS = {
    "drop-custom-pair": drop_custom_pair,
    "drop-custom-fwd": drop_custom_fwd,
    "custom-for-other-device": custom_for_other_device,
}
