"""AMP510: the framework runs in another precision than was asked for."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.program import vocabulary
from stages._source.wanted import Wanted
from stages.logic.problems import Problem
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from stages.logic.view import View

RULE = RuleInfo(
    code="AMP510",
    name="framework-precision-fallback",
    severity=Severity.LOW,
    summary="The framework runs in another precision than was asked for.",
    why=(
        "Lightning takes 16-mixed on a CPU for bf16-mixed and warns once, although torch 2.13 runs float16 on a "
        "CPU. Accelerate 1.15 and the HF Trainer train in float32 there when asked for fp16, without a word. What a "
        "test on a CPU says of such a run is true of that other precision only."
    ),
    mode="static",
    unseen=(
        "What was asked for is an argument of the framework; a run shows the precision it got, which the "
        "sanitizer's summary names."
    ),
    examples=(
        Bad("""
            import lightning as L

            def test_training(model, loader):
                trainer = L.Trainer(accelerator="cpu", precision="16-mixed", max_steps=3)  # expect: AMP510
                trainer.fit(model, loader)
        """),
        Bad("""
            from accelerate import Accelerator

            accelerator = Accelerator(mixed_precision="fp16", cpu=True)  # expect: AMP510
        """),
        Bad("""
            import torch
            from transformers import AutoModelForCausalLM, Trainer, TrainingArguments

            def tune(name, folder, data):
                model = AutoModelForCausalLM.from_pretrained(name, torch_dtype=torch.float32)
                arguments = TrainingArguments(folder, fp16=torch.cuda.is_available())
                smoke = TrainingArguments(folder, fp16=True, use_cpu=True)  # expect: AMP510
                with torch.autocast("cpu", enabled=False):
                    return Trainer(model, args=smoke, train_dataset=data).train(), arguments
        """),
        Good("""
            import lightning as L
            from accelerate import Accelerator
            from transformers import TrainingArguments

            def make(name, folder):
                return (
                    L.Trainer(accelerator="cpu", precision="bf16-mixed"),
                    L.Trainer(accelerator="gpu", precision="16-mixed"),
                    L.Trainer(accelerator=name, precision=16),
                    Accelerator(mixed_precision="bf16", cpu=True),
                    Accelerator(mixed_precision="fp16"),
                    TrainingArguments(folder, bf16=True, use_cpu=True),
                )
        """),
    ),
)
_MIXED = (16, "16", "16-mixed")


READS = Wanted(some=(b"precision", b"fp16"))


def inspect(view: View) -> Iterator[Problem]:
    """Report constructors of trainers that ask for float16 on a CPU, in so many words."""
    if not view.mentions("cpu"):
        return
    for seen in view.calls():
        node = seen.node
        assert isinstance(node, ast.Call)
        given = {item.arg: item.value.value for item in node.keywords if isinstance(item.value, ast.Constant)}
        asked = _asked(given)
        if asked is None:
            continue
        name, becomes = asked
        called = view.origins(node.func, seen.scope)
        if any(_makes(name, dotted) for dotted in called):
            yield Problem(
                place=view.place(node),
                message=f"on a CPU this trains in {becomes}, not in the float16 that is asked for",
                remedy="Ask for bfloat16, which runs as such on a CPU, or for float32.",
            )


def _asked(given: Mapping[str | None, object]) -> tuple[str, str] | None:
    """Return whose arguments these are, where they ask for float16 on a CPU, and what it trains in instead."""
    if given.get("accelerator") == "cpu" and given.get("precision") in _MIXED:
        return "lightning", "bfloat16"
    if given.get("cpu") is True and given.get("mixed_precision") == "fp16":
        return "accelerate", "float32"
    if (given.get("use_cpu") is True or given.get("no_cuda") is True) and given.get("fp16") is True:
        return "transformers", "float32"
    return None


def _makes(name: str, dotted: str) -> bool:
    """Say whether a dotted name is a class of that framework that takes such arguments."""
    if name == "lightning":
        by_fabric = vocabulary.names_framework([dotted]) and dotted.endswith(".Fabric")
        return by_fabric or ("precision" in vocabulary.precision_arguments([dotted]))
    if name == "accelerate":
        return vocabulary.names_framework([dotted]) and dotted.endswith(".Accelerator")
    return dotted.startswith("transformers.") and dotted.endswith("TrainingArguments")
