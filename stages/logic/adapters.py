"""Finds parameters that are trained in float16 because what they were added to, or loaded with, is float16."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stages._source.patterns import late
from stages._source.program.kinds import last_name
from stages._source.program.scopes import Function

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages._source.program.scopes import Scope, Seen
    from stages.logic.view import View

_ADDS = frozenset(["add_adapter", "load_lora_adapter"])
_TRAINED = frozenset(["unet", "transformer", "text_encoder", "controlnet"])
_LOADS = late(r"from_pretrained|from_single_file")
_WIDENS = late(
    r"cast_training_params|cast_mixed_precision_params|upcast|autocast_adapter_dtype"
    r"|requires_grad[^\n]*\n[^\n]*(?:float32|\.float\(\))|\.to\(torch\.float32\)|(?:lora|param)\w*(?:\.data)?\.float\(\)"
)
_HALVES = frozenset(["torch.float16", "torch.half"])


@dataclass(frozen=True, slots=True)
class Added:
    """Parameters are added to a model at `call`, after `cast` has made the model float16."""

    call: ast.Call
    cast: ast.Call
    model: str
    scope: Scope


def added_to_half(view: View) -> Iterator[Added]:
    """Yield what is added to a model that the same function cast to a dtype which may be float16, and not widened."""
    casts: dict[tuple[Scope, str], ast.Call] = {}
    for seen in view.calls():
        call = seen.node
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute):
            continue
        model = ast.unparse(call.func.value)
        if call.func.attr == "half" or (call.func.attr == "to" and _may_be_float16(view, call, seen.scope)):
            casts[seen.scope, model] = call
        cast = casts.get((seen.scope, model))
        if call.func.attr in _ADDS and cast is not None and not _is_widened(view, seen):
            yield Added(call, cast, model, seen.scope)


def loaded_as_trained(view: View) -> Iterator[ast.IfExp]:
    """Yield choices of a dtype by which the same flag, `fp16`, loads a model in float16 and trains it with a scaler."""
    if not any(_LOADS.search(line) for line in view.module.lines) or _WIDENS.search("\n".join(view.module.lines)):
        return
    for node in ast.walk(view.module.tree):
        match node:
            case ast.Assign(targets=[ast.Name()], value=ast.IfExp(test=test, body=body) as choice) if (
                last_name(test) == "fp16" and isinstance(test, ast.Attribute) and last_name(body) in ("float16", "half")
            ):
                yield choice


def casts_of_shared_pipelines(view: View) -> Iterator[ast.Call]:
    """Yield casts of a pipeline that is made of the module that is trained, whose trained parameters are float32."""
    if not view.mentions("cast_training_params("):
        return
    if not any(_shares(seen.node) for seen in view.calls()):
        return
    for seen in view.calls():
        match seen.node:
            case ast.Call(func=ast.Attribute(value=ast.Name(id="pipeline" | "pipe"), attr="to"), keywords=keywords):
                if any(item.arg == "dtype" and "dtype" in last_name(item.value) for item in keywords):
                    yield seen.node


def _shares(node: ast.AST) -> bool:
    """Say whether a pipeline is made with the module that the accelerator prepared for training."""
    return isinstance(node, ast.Call) and any(
        item.arg in _TRAINED and isinstance(item.value, ast.Call) and last_name(item.value.func) == "unwrap_model"
        for item in node.keywords
    )


def _may_be_float16(view: View, call: ast.Call, scope: Scope) -> bool:
    given = [*call.args, *(item.value for item in call.keywords if item.arg == "dtype")]
    return any(view.origins(item, scope) & _HALVES for item in given)


def _is_widened(view: View, seen: Seen) -> bool:
    """Say whether what follows, up to where the training is set up, sees to the dtype of what is trained."""
    node = seen.scope.node
    end = node.end_lineno if isinstance(node, Function) and node.end_lineno is not None else len(view.module.lines)
    line = getattr(seen.node, "lineno", 1)
    text = "\n".join(view.module.lines[line - 1 : end])
    return _WIDENS.search(text.partition(".prepare(")[0]) is not None
