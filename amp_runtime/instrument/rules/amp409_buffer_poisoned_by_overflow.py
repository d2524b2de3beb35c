"""AMP409: a step that the scaler skipped left a buffer that is not finite."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from ..events import ScalerStepped, StepEnded
from ..run import NOTHING, Check, Found

if TYPE_CHECKING:
    from ..run import Findings, Run

_STATISTICS = (torch.nn.modules.batchnorm._NormBase,)
_MEANT = -1  # in place of a version: not finite from the beginning
_NAMES = 3  # that are said


def _step(event: StepEnded, run: Run) -> Findings:
    """Note once how often each buffer was written, and leave out masks of infinities: they are meant to be so."""
    memory = run.memory("AMP409")
    if "versions" not in memory:
        buffers = _buffers(run)
        finite = _finite([buffer for _name, _module, buffer in buffers])
        memory["versions"] = {
            id(buffer): buffer._version if one else _MEANT
            for (_name, _module, buffer), one in zip(buffers, finite, strict=True)
        }
    return None


def _stepped(event: ScalerStepped, run: Run) -> Findings:
    if not event.skipped:
        return None
    run.meet(event.optimizer)  # a first step that is skipped does not reach it
    versions: dict[int, int] = run.memory("AMP409").get("versions", {})
    watched = []
    for name, module, buffer in _buffers(run):
        known = versions.get(id(buffer), buffer._version)
        if isinstance(module, _STATISTICS) or known not in (buffer._version, _MEANT):
            watched.append((name, buffer))
    if not watched:
        return None
    finite = _finite([buffer for _name, buffer in watched])
    poisoned = [name for (name, _buffer), one in zip(watched, finite, strict=True) if not one]
    if not poisoned:
        return NOTHING
    named = ", ".join(poisoned[:_NAMES]) + (", ..." if len(poisoned) > _NAMES else "")
    message = (
        f"The scaler skipped this step, and {len(poisoned)} of {len(watched)} buffers are not finite since: {named}. "
        "They stay so, and evaluation uses them."
    )
    return [Found(message=message, values={"poisoned": float(len(poisoned)), "buffers": float(len(watched))})]


def _finite(buffers: list[Any]) -> list[bool]:
    norms = torch._foreach_norm([buffer.detach() for buffer in buffers]) if buffers else []
    return [bool(torch.isfinite(norm)) for norm in norms]


def _buffers(run: Run) -> list[tuple[str, Any, Any]]:
    """Return the floating buffers of what is trained, by name, with their module."""
    return [
        (f"{name}.{key}".removeprefix("."), module, buffer)
        for name, module in run.owners.modules(run)
        for key, buffer in module._buffers.items()
        if buffer is not None and buffer.is_floating_point() and buffer.numel()
    ]


CHECK = Check(
    code="AMP409",
    remedy="Keep a copy of the buffers and put it back when the scaler skips, or bound what reaches them.",
    hears={StepEnded: _step, ScalerStepped: _stepped},
)
