"""AMP135: a loss that is computed in bfloat16 is scaled."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..events import BackwardStarting, StepEnded
from ..halves import OPAQUE, formats
from ..phrases import scale_value
from ..run import Check, Found

if TYPE_CHECKING:
    from ..run import Findings, Run


def _starting(event: BackwardStarting, run: Run) -> Findings:
    scalers = {scaler for way in event.provenance.ways for scaler in way}
    if scalers and run.close:
        for scaler in scalers:
            run.memory("AMP135").setdefault(scaler, set()).update(formats(event, run))
    return None


def _ended(event: StepEnded, run: Run) -> Findings:
    kept = run.memory("AMP135")
    if not kept or not run.close:
        return None
    found = []
    for scaler, seen in kept.items():
        known = run.scalers.get(scaler)
        if "bfloat16" in seen and "float16" not in seen and OPAQUE not in seen and known is not None:
            scale = run.scale_of(scaler)
            message = (
                f"The loss is computed in bfloat16, which has the range of float32, and is scaled{_by(scale)}: there is"
                " nothing to scale."
            )
            found.append(
                Found(message=message, values=scale_value(scale), place=known.made_at if known.made_at[0] else None)
            )
    return found


def _by(scale: float | None) -> str:
    return "" if scale is None else f" by {scale:g}"


CHECK = Check(
    code="AMP135",
    remedy="Switch the scaler off in bfloat16: GradScaler(device, enabled=dtype is torch.float16).",
    hears={BackwardStarting: _starting, StepEnded: _ended},
)
