"""`torch.compile` and autocast: whether a model is compiled, and a backward pass in the precision eager mode has."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    import torch


def is_compiled(model: torch.nn.Module) -> bool:
    """Whether `torch.compile(module)` or `module.compile()` was applied to the model or a part of it."""
    # Where nothing was compiled the compiler was not imported, and need not be for this question.
    compiler = sys.modules.get("torch._dynamo.eval_frame")
    if compiler is None:
        return False
    return any(
        isinstance(module, compiler.OptimizedModule) or getattr(module, "_compiled_call_impl", None) is not None
        for module in model.modules()
    )


def backward_outside_autocast() -> AbstractContextManager[object]:
    """Return the context to compile a forward pass in, so that its backward pass runs outside autocast.

    The compiler traces both passes at once and by default takes the forward's autocast for the backward as well
    (`torch._functorch.config.backward_pass_autocast = "same_as_forward"`). Training code, ours too, closes autocast
    before `backward()`, so operations that the model keeps in float32 would get half-precision gradients: measured
    with torch 2.13, relative difference 2.6e-3 under bfloat16 (pytorch#153044, rule AMP601). The setting counts when
    the graph is traced, which is in the first call with new shapes. `TrainingStep` enters this context where its model
    or a part of it is compiled; an objective that calls something else compiled enters it by itself.

    A version of PyTorch without the setting gets no context, and its compiled backward pass keeps autocast.
    """
    from torch._functorch import config  # noqa: PLC0415 - a part of the compiler

    if not hasattr(config, "backward_pass_autocast"):
        return contextlib.nullcontext()
    patch: AbstractContextManager[object] = config.patch(backward_pass_autocast="off")
    return patch
