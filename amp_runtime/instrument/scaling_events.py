"""What happens around a loss scaler besides its protocol: states, clips that raise, anomaly detection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

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
