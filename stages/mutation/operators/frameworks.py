"""Hazards of FSDP, accelerate, Lightning and transformers: torch's own means where the framework's are due."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.program.vocabulary import called_like_framework
from stages.mutation.calls import with_arguments
from stages.mutation.changes import mutation, replaced
from stages.mutation.code import keyword, last_name, names_in, receiver
from stages.mutation.operators.loss import grouped
from verifier.api import Edit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages.mutation.code import Code
    from verifier.api import Mutation

_CLIP = "torch.nn.utils.clip_grad_norm_"


def plain_scaler_for_shards(code: Code) -> Iterator[Mutation]:
    for call in code.calls("ShardedGradScaler"):
        if code.imports_torch:
            yield from mutation(code, call, with_arguments(code, call, func="torch.amp.GradScaler", args=['"cuda"']))


def local_clip_of_shards(code: Code) -> Iterator[Mutation]:
    if not code.imports_torch or not code.mentions("FullyShardedDataParallel", "FSDP"):
        return
    for call in code.calls("clip_grad_norm_"):
        model = receiver(call)
        if model is not None and len(call.args) == 1 and last_name(model) != "utils":
            args = [f"{code.text(model)}.parameters()", code.text(call.args[0])]
            yield from mutation(code, call, with_arguments(code, call, func=_CLIP, args=args))


def accelerate_plain_backward(code: Code) -> Iterator[Mutation]:
    for call in _of_framework(code, "backward"):
        if len(call.args) == 1:
            yield from mutation(code, call, replaced(code, call, f"{grouped(code, call.args[0])}.backward()"))


def accelerate_plain_clip(code: Code) -> Iterator[Mutation]:
    for call in _of_framework(code, "clip_grad_norm_"):
        if code.imports_torch:
            yield from mutation(code, call, with_arguments(code, call, func=_CLIP))


def lightning_plain_backward(code: Code) -> Iterator[Mutation]:
    for call in code.calls("manual_backward"):
        if len(call.args) == 1:
            yield from mutation(code, call, replaced(code, call, f"{grouped(code, call.args[0])}.backward()"))


def lightning_early_hook(code: Code) -> Iterator[Mutation]:
    for node in code.nodes:
        if not isinstance(node, ast.FunctionDef) or node.name != "on_before_optimizer_step" or len(node.args.args) != 2:
            continue
        optimizer = node.args.args[1]
        if optimizer.arg not in {name for item in node.body for name in names_in(item)}:
            start = code.source.text.index(node.name, code.source.span(node)[0])
            end = code.source.span(optimizer)[1]
            edit = Edit(start, end, f"on_after_backward({node.args.args[0].arg}")
            yield from mutation(code, node.body[0], edit)


def half_pretrained(code: Code) -> Iterator[Mutation]:
    if not code.mentions("fp16=True") or not code.imports_torch:
        return
    for call in code.calls("from_pretrained"):
        named = code.text(call.func).lower()
        if "model" in named and keyword(call, "torch_dtype") is None and keyword(call, "dtype") is None:
            yield from mutation(code, call, with_arguments(code, call, torch_dtype="torch.float16"))


def _of_framework(code: Code, method: str) -> Iterator[ast.Call]:
    for call in code.calls(method):
        of = receiver(call)
        if of is not None and called_like_framework(last_name(of)):
            yield call


OPERATORS = {
    "plain-scaler-for-shards": plain_scaler_for_shards,
    "local-clip-of-shards": local_clip_of_shards,
    "accelerate-plain-backward": accelerate_plain_backward,
    "accelerate-plain-clip": accelerate_plain_clip,
    "lightning-plain-backward": lightning_plain_backward,
    "lightning-early-hook": lightning_early_hook,
    "half-pretrained": half_pretrained,
}
