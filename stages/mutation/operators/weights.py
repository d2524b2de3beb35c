"""Weights, averages and sums that are kept in half precision."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from stages.mutation.autocasts import contexts, origin
from stages.mutation.calls import with_arguments
from stages.mutation.changes import after, before, mutation, replaced
from stages.mutation.code import Loop, dotted, keyword, last_name, receiver
from stages.mutation.scalers import calls, model_of, optimizers_made

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages.mutation.code import Code
    from verifier.api import Mutation

_AVERAGE = re.compile(r"ema|averag|shadow|swa", re.IGNORECASE)
_MODEL = re.compile(r"model|net(?:work)?\b|generator|critic|discriminator", re.IGNORECASE)
_SUMS = re.compile(r"loss|total|sum|running", re.IGNORECASE)
_FLOAT32 = ("torch.float32", "torch.float")


def half_masters(code: Code) -> Iterator[Mutation]:
    for statement, _, model in _optimized(code):
        yield from mutation(code, statement, before(code, statement, f"{model}.half()"))


def half_masters_fused(code: Code) -> Iterator[Mutation]:
    for statement, call, model in _optimized(code):
        if origin(code, call.func).startswith("torch.optim") and keyword(call, "fused") is None:
            cast = before(code, statement, f"{model}.half()")
            yield from mutation(code, statement, cast, with_arguments(code, call, fused="True"))


def bfloat16_masters(code: Code) -> Iterator[Mutation]:
    for statement, _, model in _optimized(code):
        yield from mutation(code, statement, before(code, statement, f"{model}.bfloat16()"))


def cast_after_optimizer(code: Code) -> Iterator[Mutation]:
    for statement, _, model in _optimized(code):
        if code.imports_torch:
            yield from mutation(code, statement, after(code, statement, f"{model}.to(torch.bfloat16)"))


def half_at_save(code: Code) -> Iterator[Mutation]:
    for call in code.calls("state_dict"):
        model, statement = receiver(call), code.statement(call)
        if model is None or call.args or not _MODEL.search(last_name(model)) or _AVERAGE.search(dotted(model)):
            continue
        if isinstance(statement, ast.Expr | ast.Assign) and dotted(model) and _is_saved(code, call):
            name = code.text(model)
            back = after(code, statement, f"{name}.float()")
            yield from mutation(code, call, replaced(code, call, f"{name}.half().state_dict()"), back)


def half_average(code: Code) -> Iterator[Mutation]:
    for call in code.calls("deepcopy", "AveragedModel"):
        statement = code.statement(call)
        targets = statement.targets if isinstance(statement, ast.Assign) else []
        named = any(_AVERAGE.search(dotted(target)) for target in targets)
        if last_name(call.func) == "AveragedModel" or named:
            yield from mutation(code, call, replaced(code, call, f"{code.text(call)}.half()"))


def half_by_default(code: Code) -> Iterator[Mutation]:
    imports = [node for node in code.tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    if imports and code.imports_torch and any(True for _ in _optimized(code)):
        line = after(code, imports[-1], "torch.set_default_dtype(torch.float16)")
        yield from mutation(code, imports[-1], line)


def half_at_load(code: Code) -> Iterator[Mutation]:
    for call in code.calls("load_state_dict"):
        model = receiver(call)
        if model is not None and _MODEL.search(last_name(model)) and len(call.args) == 1 and not call.keywords:
            halved = f"{{name: value.half() for name, value in ({code.text(call.args[0])}).items()}}"
            yield from mutation(code, call, with_arguments(code, call, args=[halved], assign="True"))


def half_positions(code: Code) -> Iterator[Mutation]:
    for call in code.calls("arange"):
        dtype, outer = keyword(call, "dtype"), code.parents[call]
        if dtype is not None and code.text(dtype.value) in _FLOAT32:
            yield from mutation(code, call, with_arguments(code, call, dtype="torch.float16"))
        whole = code.parents.get(outer)
        if (
            isinstance(outer, ast.Attribute)
            and outer.attr == "float"
            and isinstance(whole, ast.Call)
            and not whole.args
        ):
            yield from mutation(code, whole, replaced(code, whole, f"{code.text(call)}.half()"))


def accumulate_in_half(code: Code) -> Iterator[Mutation]:
    for call in code.calls("item"):
        loss, statement = receiver(call), code.statement(call)
        summed = isinstance(statement, ast.AugAssign) and isinstance(statement.op, ast.Add)
        if loss is None or "loss" not in last_name(loss) or not summed:
            continue
        assert isinstance(statement, ast.AugAssign)
        if _SUMS.search(last_name(statement.target)):
            yield from mutation(code, call, replaced(code, call, f"{code.text(loss)}.detach().half()"))


def _is_saved(code: Code, state: ast.Call) -> bool:
    """Say whether a state goes into a checkpoint while training goes on: in a loop that trains, or in a function."""
    owner = code.function(state)
    in_training = any(isinstance(outer, Loop) and _calls_in(outer, "backward", "step") for outer in code.around(state))
    saves = any(code.function(call) is owner for call in code.calls("save", "save_on_master"))
    kept = any(isinstance(outer, ast.Dict) for outer in code.around(state))
    return (saves or kept) and (in_training or (owner is not code.tree and not _calls_in(owner, "backward")))


def _calls_in(node: ast.AST, *names: str) -> bool:
    return any(isinstance(item, ast.Call) and last_name(item.func) in names for item in ast.walk(node))


def _optimized(code: Code) -> Iterator[tuple[ast.Assign, ast.Call, str]]:
    """Yield where an optimizer is made, and the model that it is for, in a file that uses AMP."""
    if not calls(code, "scale") and not any(True for _ in contexts(code)):
        return
    for statement, call in optimizers_made(code):
        model = model_of(code, call)
        if model:
            yield statement, call, model


OPERATORS = {
    "half-masters": half_masters,
    "half-masters-fused": half_masters_fused,
    "bfloat16-masters": bfloat16_masters,
    "cast-after-optimizer": cast_after_optimizer,
    "half-at-save": half_at_save,
    "half-average": half_average,
    "half-by-default": half_by_default,
    "half-at-load": half_at_load,
    "half-positions": half_positions,
    "accumulate-in-half": accumulate_in_half,
}
