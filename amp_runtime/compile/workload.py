"""Compile the model of a workload, with what one of its steps calls it with, and say whether that is right."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch

from .config import PASSES, PRECISIONS, CompileConfig
from .records import CompileChecked, CompiledPass, CompiledSpeed
from .toolchain import missing_for
from .trees import Sample, changed
from .validator import CompilationValidator

if TYPE_CHECKING:
    from .config import Pass
    from .results import CompilationResult

_SPELLED = {"float32": "fp32", "float16": "fp16", "bfloat16": "bf16", "16-mixed": "fp16", "bf16-mixed": "bf16"}


def validate_workload(
    factory: Callable[..., Any],
    precisions: Sequence[str] = (),
    *,
    seed: int = 0,
    backend: Any = "inductor",
    passes: Sequence[Pass] = PASSES,
    samples: int = 8,
    input_gradients: bool = True,
    benchmark: bool = False,
) -> CompileChecked:
    """Build `factory(amp=True, seed=seed)`, take one step, and validate its `model` compiled, on that step's input.

    Args:
        precisions: in which to validate; default FP32 and what the workload says that it trains in.
        input_gradients: whether inputs are given gradients too; without them exactly what training runs is compiled.
        benchmark: also time eager against compiled steps.

    Raises:
        Exception: what the workload itself raises. What compiling raises is in the result.
    """
    made = factory(amp=True, seed=seed)
    model = getattr(made, "model", None)
    chosen = tuple(precisions) or _precisions(made)
    if not isinstance(model, torch.nn.Module):
        return _unknown(
            type(made).__name__, backend, chosen, "the workload has no torch module in its attribute `model`"
        )
    name = type(model).__name__
    if missing := missing_for(backend, _device_type(model)):
        return _unknown(name, backend, chosen, missing, missing=missing)
    sample = first_call(model, made.step)
    if sample is None:
        return _unknown(
            name, backend, chosen, "its step does not call the model, so that there is no input to compile for"
        )
    config = CompileConfig(
        backend=backend,
        precisions=chosen,
        passes=tuple(passes),
        samples=samples,
        input_gradients=input_gradients,
        benchmark=benchmark,
        seed=seed,
    )
    return _checked(CompilationValidator(config).compile_model(model, sample, name))


def first_call(model: torch.nn.Module, step: Callable[[], object]) -> Sample | None:
    """Return a copy of what the first call of the model in a step is given; None where it is not called."""
    seen: list[Sample] = []

    def note(_module: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if not seen:
            copied, named = changed((args, kwargs), lambda tensor: tensor.detach().clone())
            seen.append(Sample(copied, named))

    handle = model.register_forward_pre_hook(note, with_kwargs=True)
    try:
        step()
    finally:
        handle.remove()
    return seen[0] if seen else None


def _precisions(made: object) -> tuple[str, ...]:
    name = str(getattr(made, "precision", "fp32"))
    own = _SPELLED.get(name, name)
    return ("fp32", own) if own in PRECISIONS[1:] else ("fp32",)


def _device_type(model: torch.nn.Module) -> str:
    return next((parameter.device.type for parameter in model.parameters()), "cpu")


def _unknown(name: str, backend: Any, precisions: tuple[str, ...], reason: str, *, missing: str = "") -> CompileChecked:
    return CompileChecked(
        model=name, backend=str(backend), precisions=precisions, validated=False, reason=reason, missing=missing
    )


def _checked(result: CompilationResult) -> CompileChecked:
    known = result.metadata
    return CompileChecked(
        model=known["model"],
        backend=known["backend"],
        precisions=tuple(known["precisions"]),
        validated=result.success and result.validation_passed,
        reason=result.error_message or "",
        passes=tuple(
            CompiledPass(
                precision=one["precision"],
                which=one["pass"],
                tensors=one["tensors"],
                worst_ratio=one["worst_ratio"],
                holds=not one["reasons"],
            )
            for one in known["passes"]
        ),
        speeds=tuple(
            CompiledSpeed(**{name: one[name] for name in CompiledSpeed.__dataclass_fields__}) for one in known["speed"]
        ),
        graphs=known.get("graphs", 0),
        graph_breaks=known.get("graph_breaks", {}),
        recompilations=tuple(known.get("recompilations", ())),
    )
