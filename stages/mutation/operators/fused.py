"""Operations that are safe as one and not as several: log-softmax, binary cross entropy, squares, attention scores."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages.mutation.autocasts import origin
from stages.mutation.calls import rewritten, with_arguments
from stages.mutation.changes import mutation, replaced
from stages.mutation.code import keyword, last_name, receiver

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages.mutation.code import Code
    from verifier.api import Mutation


def log_of_softmax(code: Code) -> Iterator[Mutation]:
    if not code.imports_torch:
        return
    for call in code.calls("log_softmax"):
        of = None if origin(code, call.func).startswith("torch") else receiver(call)
        texts = [code.text(item) for item in (*([] if of is None else [of]), *call.args)]
        if texts:
            soft = rewritten(code, call, func="torch.softmax", args=texts)
            yield from mutation(code, call, replaced(code, call, f"torch.log({soft})"))
    for call in code.calls("cross_entropy"):
        prefix = receiver(call)
        if prefix is not None and len(call.args) == 2 and keyword(call, "label_smoothing") is None:
            logits = f"torch.log(torch.softmax({code.text(call.args[0])}, 1))"
            func, given = f"{code.text(prefix)}.nll_loss", [logits, code.text(call.args[1])]
            yield from mutation(code, call, with_arguments(code, call, func=func, args=given))
    for call in code.calls("logsigmoid"):
        if len(call.args) == 1:
            text = f"torch.log(torch.sigmoid({code.text(call.args[0])}))"
            yield from mutation(code, call, replaced(code, call, text))


def probabilities_and_bce(code: Code) -> Iterator[Mutation]:
    for call in code.calls("binary_cross_entropy_with_logits"):
        prefix = receiver(call)
        if prefix is not None and call.args and keyword(call, "pos_weight") is None and code.imports_torch:
            args = [f"torch.sigmoid({code.text(call.args[0])})", *(code.text(item) for item in call.args[1:])]
            func = f"{code.text(prefix)}.binary_cross_entropy"
            yield from mutation(code, call, with_arguments(code, call, func=func, args=args))
    for call in code.calls("BCEWithLogitsLoss"):
        prefix = receiver(call)
        if prefix is not None and keyword(call, "pos_weight") is None:
            yield from mutation(code, call, with_arguments(code, call, func=f"{code.text(prefix)}.BCELoss"))


def square_by_product(code: Code) -> Iterator[Mutation]:
    for call in code.calls("mse_loss"):
        if len(call.args) == 2 and not call.keywords and not _has_call(*call.args):
            first, second = (code.text(item) for item in call.args)
            text = f"(({first} - {second}) * ({first} - {second})).mean()"
            yield from mutation(code, call, replaced(code, call, text))
    for node in code.nodes:
        value = _squared(node)
        if value is not None and isinstance(node, ast.expr) and _is_reduced(code, node) and not _has_call(value):
            text = code.text(value)
            yield from mutation(code, node, replaced(code, node, f"(({text}) * ({text}))"))


def scale_after_product(code: Code) -> Iterator[Mutation]:
    for node in code.nodes:
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.MatMult) and (by := _scaled(node.left)):
            product = f"{code.text(by[0])} @ {code.text(node.right)}"
            yield from mutation(code, node, replaced(code, node, f"(({product}) {by[1]} ({code.text(by[2])}))"))
    for call in code.calls("matmul", "bmm"):
        if len(call.args) == 2 and (by := _scaled(call.args[0])):
            product = f"{code.text(call.func)}({code.text(by[0])}, {code.text(call.args[1])})"
            yield from mutation(code, call, replaced(code, call, f"({product} {by[1]} ({code.text(by[2])}))"))


def _scaled(node: ast.expr) -> tuple[ast.expr, str, ast.expr] | None:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult | ast.Div):
        return node.left, "*" if isinstance(node.op, ast.Mult) else "/", node.right
    return None


def _squared(node: ast.AST) -> ast.expr | None:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow) and _is_two(node.right):
        return node.left
    if isinstance(node, ast.Call) and last_name(node.func) == "pow" and len(node.args) == 1 and _is_two(node.args[0]):
        return receiver(node)
    return None


def _is_two(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value in (2, 2.0)


def _is_reduced(code: Code, node: ast.AST) -> bool:
    outer = code.parents[node]
    named = isinstance(outer, ast.Attribute) and outer.attr in ("mean", "sum")
    return named or (isinstance(outer, ast.Call) and last_name(outer.func) in ("mean", "sum"))


def _has_call(*nodes: ast.expr) -> bool:
    return any(
        isinstance(item, ast.Call) and last_name(item.func) != "float" for node in nodes for item in ast.walk(node)
    )


OPERATORS = {
    "log-of-softmax": log_of_softmax,
    "probabilities-and-bce": probabilities_and_bce,
    "square-by-product": square_by_product,
    "scale-after-product": scale_after_product,
}
