"""AMP133: the loss that is scaled is a float16 scalar."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from ..events import LossScaled
from ..phrases import scale_value
from ..run import NOTHING, Check, Found

if TYPE_CHECKING:
    from ..run import Findings, Run


_LARGEST = 65504.0


def _scaled(event: LossScaled, run: Run) -> Findings:
    scalars = [one for one in event.outputs if one.requires_grad and not one.dim()]
    if not scalars:
        return None
    half = next((one for one in scalars if one.dtype is torch.float16 or _was_half(one)), None)
    if half is None:
        return NOTHING
    scale = run.scale_of(id(event.scaler))
    said = "" if scale is None else f", and the loss scale is {scale:g}"
    message = (
        f"The loss is a float16 scalar, so its backward starts from the loss scale in float16, where 65536 is infinite:"
        f" at most 32768 can be used{said}."
    )
    return [Found(message=message, values={"largest": _LARGEST, **scale_value(scale)})]


def _was_half(loss: Any) -> bool:
    """Whether the loss was cast only as a scalar: its gradient is cast back before anything else."""
    node = loss.grad_fn
    if node is None or type(node).__name__ != "ToCopyBackward0":
        return False
    source = node.next_functions[0][0]
    if source is None or not source._input_metadata:
        return False
    made = source._input_metadata[node.next_functions[0][1]]
    return made.dtype is torch.float16 and not len(made.shape)


CHECK = Check(
    code="AMP133",
    remedy="Compute the loss in float32: cast what is reduced, as in criterion(output.float(), target).",
    hears={LossScaled: _scaled},
)
