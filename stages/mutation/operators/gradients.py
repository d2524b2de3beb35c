"""Gradients that are read or written while they carry the scale, and steps from within backward."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stages.mutation.changes import after, mutation
from stages.mutation.code import dotted, last_name, receiver
from stages.mutation.scalers import backwards, calls, clips, model_of, optimizer_of, optimizers_made

if TYPE_CHECKING:
    import ast
    from collections.abc import Iterator

    from stages.mutation.code import Code
    from verifier.api import Mutation


def mask_nonfinite_gradients(code: Code) -> Iterator[Mutation]:
    yield from _after_backward(code, "{}.grad.nan_to_num_()")


def edit_scaled_gradients(code: Code) -> Iterator[Mutation]:
    yield from _after_backward(code, "{0}.grad.add_({0}.detach(), alpha=1e-4)")


def observe_scaled_gradients(code: Code) -> Iterator[Mutation]:
    yield from _after_backward(code, "print({}.grad.norm())")


def step_in_hook(code: Code) -> Iterator[Mutation]:
    if not calls(code, "scale"):
        return
    for statement, call in optimizers_made(code):
        model = model_of(code, call)
        if model:
            optimizer = dotted(statement.targets[0])
            hook = f"    weight.register_post_accumulate_grad_hook(lambda _: {optimizer}.step())"
            yield from mutation(code, statement, after(code, statement, f"for weight in {model}.parameters():", hook))


def _after_backward(code: Code, done: str) -> Iterator[Mutation]:
    for statement, _, _ in backwards(code):
        optimizer = optimizer_of(code, statement)
        model = _clipped_model(code, statement)
        if not optimizer and not model:
            continue
        if model:
            head, indent = [f"for weight in {model}.parameters():"], " " * 4
        else:
            head, indent = [f"for group in {optimizer}.param_groups:", '    for weight in group["params"]:'], " " * 8
        lines = [*head, f"{indent}if weight.grad is not None:", f"{indent}    {done.format('weight')}"]
        yield from mutation(code, statement, after(code, statement, *lines))


def _clipped_model(code: Code, near: ast.AST) -> str:
    """Return the model whose gradients are clipped in the same function."""
    for clip in clips(code, code.function(near)):
        for given in clip.args[:1]:
            for node in code.calls("parameters"):
                model = receiver(node)
                if node is given and model is not None and last_name(node.func) == "parameters":
                    return dotted(model)
    return ""


OPERATORS = {
    "mask-nonfinite-gradients": mask_nonfinite_gradients,
    "edit-scaled-gradients": edit_scaled_gradients,
    "observe-scaled-gradients": observe_scaled_gradients,
    "step-in-hook": step_in_hook,
}
