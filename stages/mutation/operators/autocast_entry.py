"""Autocast that is switched on another way than by entering a context."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.program.scopes import Function
from stages.mutation.autocasts import contexts, is_off, is_old, torch_calls
from stages.mutation.changes import before, mutation, replaced
from stages.mutation.scalers import model_of, optimizers_made
from verifier.api import Edit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages.mutation.code import Code
    from verifier.api import Mutation


def autocast_by_switch(code: Code) -> Iterator[Mutation]:
    if not code.imports_torch:
        return
    for entered, call in _entered(code):
        device = '"cuda"' if is_old(code, call) or not call.args else code.text(call.args[0])
        yield from _headed(code, entered, f"torch.set_autocast_enabled({device}, True)")


def autocast_not_entered(code: Code) -> Iterator[Mutation]:
    for entered, item in contexts(code):
        if len(entered.items) == 1 and isinstance(item.context_expr, ast.Call):
            yield from _headed(code, entered, code.text(item.context_expr))


def autocast_without_call(code: Code) -> Iterator[Mutation]:
    for _, call in _entered(code):
        yield from mutation(code, call, replaced(code, call, code.text(call.func)))
    for node in code.nodes:
        if isinstance(node, Function):
            for call in torch_calls(code):
                if call in node.decorator_list:
                    yield from mutation(code, call, replaced(code, call, code.text(call.func)))


def autocast_around_model(code: Code) -> Iterator[Mutation]:
    if not code.imports_torch or not any(True for _ in contexts(code)):
        return
    for statement, call in optimizers_made(code):
        model = model_of(code, call)
        if model:
            yield from mutation(code, statement, before(code, statement, f'{model} = torch.autocast("cuda")({model})'))


def _entered(code: Code) -> Iterator[tuple[ast.With, ast.Call]]:
    torch = torch_calls(code)
    for entered, item in contexts(code):
        call = item.context_expr
        if len(entered.items) == 1 and isinstance(call, ast.Call) and call in torch and not is_off(call):
            yield entered, call


def _headed(code: Code, entered: ast.With, line: str) -> Iterator[Mutation]:
    """Put a line and `if True:` in the place of `with ...:`."""
    start = code.source.span(entered)[0]
    _, end = code.source.span(entered.items[-1].context_expr)
    colon = code.source.text.find(":", end)
    between = code.source.text[end:colon]
    indent = code.source.indent(entered.lineno)
    if entered.items[-1].optional_vars is None and not between.strip(" )\t\r\n,"):
        yield from mutation(code, entered, Edit(start, colon, f"{line}\n{indent}if True"))


OPERATORS = {
    "autocast-by-switch": autocast_by_switch,
    "autocast-not-entered": autocast_not_entered,
    "autocast-without-call": autocast_without_call,
    "autocast-around-model": autocast_around_model,
}
