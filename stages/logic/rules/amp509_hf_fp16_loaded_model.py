"""AMP509: a model that was loaded in float16 is trained with fp16=True."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.wanted import Wanted
from stages.logic.problems import Problem
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from stages._source.program.scopes import Scope
    from stages.logic.view import View

RULE = RuleInfo(
    code="AMP509",
    name="hf-fp16-loaded-model",
    severity=Severity.HIGH,
    summary="A model is loaded in float16 and trained by a Trainer with `fp16=True`.",
    why=(
        "`fp16=True` is mixed precision: the scaler unscales float32 gradients. With float16 parameters it raises"
        " `Attempting to unscale FP16 gradients.` at the first step. Load the model in float32, or train adapters that"
        " are float32 on a frozen float16 base."
    ),
    mode="both",
    examples=(
        Bad("""
            import torch
            from transformers import AutoModelForCausalLM, Trainer, TrainingArguments

            model = AutoModelForCausalLM.from_pretrained("gpt2", torch_dtype=torch.float16)  # expect: AMP509
            args = TrainingArguments(output_dir="out", fp16=True)
            trainer = Trainer(model=model, args=args)
            trainer.train()
        """),
        Good("""
            from transformers import AutoModelForCausalLM, Trainer, TrainingArguments

            model = AutoModelForCausalLM.from_pretrained("gpt2")
            args = TrainingArguments(output_dir="out", fp16=True)
            trainer = Trainer(model=model, args=args)
            trainer.train()
        """),
        Good("""
            import torch
            from peft import LoraConfig, get_peft_model
            from transformers import AutoModelForCausalLM, Trainer, TrainingArguments

            model = AutoModelForCausalLM.from_pretrained("gpt2", torch_dtype=torch.float16)
            model = get_peft_model(model, LoraConfig())  # adapters are float32 and alone are trained
            args = TrainingArguments(output_dir="out", fp16=True)
            trainer = Trainer(model=model, args=args)
            trainer.train()
        """),
        Good("""
            import torch
            from transformers import AutoModelForCausalLM, Trainer, TrainingArguments

            teacher = AutoModelForCausalLM.from_pretrained("gpt2-xl", torch_dtype=torch.float16)
            model = AutoModelForCausalLM.from_pretrained("gpt2")
            args = TrainingArguments(output_dir="out", fp16=True)
            trainer = Trainer(model=model, args=args)
            trainer.train()
        """),
    ),
)
_QUANTIZED = ("quantization_config", "load_in_8bit", "load_in_4bit")


READS = Wanted(every=(b"from_pretrained", b"fp16"))


def inspect(view: View) -> Iterator[Problem]:
    """Report a float16 `from_pretrained` whose name is the trained model of a Trainer with a literal `fp16=True`."""
    if not any("fp16" in line for line in view.module.lines):
        return
    if not any(_asks_for_fp16(view, seen.node, seen.scope) for seen in view.calls()):
        return
    trained = {name for seen in view.calls() for name in _trained(view, seen.node, seen.scope)}
    for seen in view.calls():
        call = seen.node
        target = view.parent(call)
        match target:
            case ast.Assign(targets=[ast.Name(id=name)]) if name in trained and isinstance(call, ast.Call):
                if _loads_half(view, call, seen.scope) and _bound_once(seen.scope, name):
                    yield Problem(
                        place=view.place(call),
                        message=f"{name} is loaded in float16, and trained by a Trainer with fp16=True",
                        why="The scaler refuses to unscale float16 gradients at the first step.",
                        remedy="Leave `torch_dtype` out, or train in bfloat16 with `bf16=True`.",
                    )


def _asks_for_fp16(view: View, call: ast.AST, scope: Scope) -> bool:
    if not isinstance(call, ast.Call) or not _is(view.origins(call.func, scope), "TrainingArguments"):
        return False
    return any(
        item.arg == "fp16" and isinstance(item.value, ast.Constant) and item.value.value is True
        for item in call.keywords
    )


def _trained(view: View, call: ast.AST, scope: Scope) -> Iterator[str]:
    if not isinstance(call, ast.Call) or not _is(view.origins(call.func, scope), "Trainer"):
        return
    if any(item.arg == "peft_config" for item in call.keywords):
        return
    given = [item.value for item in call.keywords if item.arg == "model"] or call.args[:1]
    for node in given:
        if isinstance(node, ast.Name):
            yield node.id


def _loads_half(view: View, call: ast.Call, scope: Scope) -> bool:
    if not isinstance(call.func, ast.Attribute) or call.func.attr != "from_pretrained":
        return False
    keywords = {item.arg: item.value for item in call.keywords}
    dtype = keywords.get("torch_dtype") or keywords.get("dtype")
    if dtype is None or any(name in keywords for name in _QUANTIZED) or None in keywords:
        return False
    return bool(view.origins(dtype, scope) & {"torch.float16", "torch.half"})


def _bound_once(scope: Scope, name: str) -> bool:
    owner = scope.owner_of(name)
    return owner is not None and len(owner.bindings.get(name, [])) == 1


def _is(origins: Iterable[str], ending: str) -> bool:
    return any(name.startswith(("transformers.", "trl.")) and name.endswith(ending) for name in origins)
