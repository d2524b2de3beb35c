"""What happens around a loss scaler besides its protocol: states, clips that raise, anomaly detection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from .events import Event

if TYPE_CHECKING:
    from .gradients import Gradient


@dataclass(slots=True, kw_only=True)
class StateTaken(Event):
    """`owner.state_dict()` of an optimizer or a scaler has returned `state`."""

    owner: Any
    state: Any


@dataclass(slots=True, kw_only=True)
class StateRead(Event):
    """`torch.load` has returned this object."""

    what: Any


@dataclass(slots=True, kw_only=True)
class ClipRaised(Event):
    """Clipping raised, as `error_if_nonfinite` asks it to, before any gradient was changed."""

    gradients: list[Gradient]


@dataclass(slots=True, kw_only=True)
class AnomalyDetectionSet(Event):
    """The program switched torch's anomaly detection. `enabled`: it is on now, and looks for NaN."""

    enabled: bool


@dataclass(slots=True, kw_only=True)
class LossRead(Event):
    """The program has read the number of a loss that `scaler`, by `id`, had scaled."""

    scaler: int
    value: float


@dataclass(slots=True, kw_only=True)
class GradientsTouched(Event):
    """The program did something with gradients that carry a loss scale, between a backward and their unscale.

    Args:
        how: "masked": replaced elements that are not finite; "clamped" or "offset": changed them by amounts without the
            scale; "normalised": divided them by a norm of theirs; "clipped": multiplied them by a limit over their
            norm; "observed": read a norm or another number of theirs.
        at: the line that did it.
        operator: of torch, as the dispatcher calls it.
        count: of gradients, or of numbers read.
    """

    at: tuple[str, int]
    how: Literal["masked", "clamped", "offset", "normalised", "clipped", "observed"]
    operator: str
    count: int
    scale: float | None


@dataclass(slots=True, kw_only=True)
class ParallelForward(Event):
    """A DistributedDataParallel module in training has run forward, and its ranks will exchange gradients.

    Args:
        finite: all that it gave is; None where that was not read.
    """

    module: Any
    finite: bool | None


@dataclass(slots=True, kw_only=True)
class RanksAgreed(Event):
    """The program itself exchanged something between its ranks."""
