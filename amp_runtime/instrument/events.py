"""What happens in a training program, as the rules of the sanitizer hear it. Objects are the program's own."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from .gradients import Gradient, Group, Part
    from .provenance import Provenance


@dataclass(slots=True, kw_only=True)
class Event:
    """`place`: path and line of the innermost frame of the program. `step`: the training step it belongs to."""

    place: tuple[str, int]
    step: int


@dataclass(slots=True, kw_only=True)
class AutocastEntered(Event):
    """A region begins. `enabled` is what torch made of it, `nesting` counts this one (1: outermost).

    Args:
        asked: `enabled` as the program asked for it, such as on a machine without that device.
        via: the installed package that entered it, or "" for the program itself.
    """

    context: Any
    device: str
    dtype: str
    enabled: bool
    cache: bool
    nesting: int
    asked: bool
    via: str


@dataclass(slots=True, kw_only=True)
class AutocastExited(Event):
    """A region ends. `nesting` is what is left; 0 clears torch's cache of cast weights."""

    device: str
    nesting: int


@dataclass(slots=True, kw_only=True)
class ScalerMade(Event):
    """A GradScaler was constructed, with these arguments."""

    scaler: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    deprecated: bool  # torch.cuda.amp.GradScaler or torch.cpu.amp.GradScaler, whose first positional is init_scale


@dataclass(slots=True, kw_only=True)
class LossScaled(Event):
    """`scaler.scale(outputs)` of an enabled scaler."""

    scaler: Any
    outputs: tuple[Any, ...]
    results: tuple[Any, ...]


@dataclass(slots=True, kw_only=True)
class BackwardStarting(Event):
    """`backward` is about to run from these roots. Nested ones, as of checkpointing, are no events of their own.

    Args:
        autocast: it runs inside an enabled autocast region of this thread.
    """

    roots: tuple[Any, ...]
    provenance: Provenance
    autocast: bool


@dataclass(slots=True, kw_only=True)
class BackwardDone(Event):
    """It has run. `changed`: the gradients that it made or added to, with what they held before."""

    roots: tuple[Any, ...]
    provenance: Provenance
    changed: list[Part]


@dataclass(slots=True, kw_only=True)
class GradTaken(Event):
    """`torch.autograd.grad` has returned `results`."""

    outputs: tuple[Any, ...]
    results: tuple[Any, ...]
    provenance: Provenance
    create_graph: bool


@dataclass(slots=True, kw_only=True)
class Unscaling(Event):
    """`scaler.unscale_(optimizer)` is about to run, called by the program or by `scaler.step`.

    Args:
        healthy: the gradients are all as they should be: scaled by this scaler since its last update.
    """

    scaler: Any
    optimizer: Any
    explicit: bool
    gradients: Group
    healthy: bool


@dataclass(slots=True, kw_only=True)
class Unscaled(Event):
    """It has run. `found_inf` is read only where torch reads it anyway."""

    scaler: Any
    optimizer: Any
    explicit: bool
    gradients: Group


@dataclass(slots=True, kw_only=True)
class Clipping(Event):
    """Gradients are about to be clipped, by norm or by value. `norm` is a tensor, or None for clipping by value."""

    kind: Literal["norm", "value"]
    limit: Any
    norm: Any
    gradients: Group
    unknown: int  # parameters that no optimizer seen so far holds
    nonfinite_raises: bool = False


@dataclass(slots=True, kw_only=True)
class GradientsEdited(Event):
    """Gradients were written by the program itself since `since`, seen by their version counters."""

    gradients: Group
    before: Literal["unscale", "clip", "step"]


@dataclass(slots=True, kw_only=True)
class ScalerStepping(Event):
    """`scaler.step(optimizer, ...)` of an enabled scaler is called.

    Args:
        unscaled: unscale_ was called for it before.
        mixed: one of the gradients is MIXED.
    """

    scaler: Any
    optimizer: Any
    gradients: Group
    unscaled: bool
    mixed: bool
    args: tuple[Any, ...]
    kwargs: dict[str, Any]


@dataclass(slots=True, kw_only=True)
class ScalerStepped(Event):
    """It has returned. `skipped` says whether torch left the optimizer out because of a non-finite gradient."""

    scaler: Any
    optimizer: Any
    skipped: bool


@dataclass(slots=True, kw_only=True)
class OptimizerStepping(Event):
    """An optimizer's `step` begins.

    Args:
        scaler: the one whose `step` called it; None where the program called it by itself.
        nesting: depth of autocast contexts of this thread; enabled: autocast is on. cache: its cache is on.
        in_backward: called from a hook while a backward runs.
    """

    optimizer: Any
    scaler: Any
    gradients: Group
    nesting: int
    enabled: bool
    cache: bool
    in_backward: bool


@dataclass(slots=True, kw_only=True)
class OptimizerStepped(Event):
    """It has ended."""

    optimizer: Any
    scaler: Any


@dataclass(slots=True, kw_only=True)
class ScalerUpdated(Event):
    """`scaler.update()` has run. `skipped`: whether one of its steps since the last update was."""

    scaler: Any
    before: float | None
    after: float | None
    skipped: bool
    new_scale: Any


@dataclass(slots=True, kw_only=True)
class ScalerRefused(Event):
    """A method of the scaler, or a step, raised: torch itself saw a broken protocol.

    Args:
        method: "__init__", "unscale_", "step", "update" or "load_state_dict".
        gradients: of the optimizer; empty where there is none.
        closure: `step` was given one.
    """

    scaler: Any
    optimizer: Any
    method: str
    error: BaseException
    gradients: list[Gradient] = field(default_factory=list)
    closure: bool = False


@dataclass(slots=True, kw_only=True)
class GradsZeroed(Event):
    """`zero_grad` of an optimizer or module has run. `pending`: what these gradients held, "clean" if it was used."""

    owner: Any
    pending: list[Part]


@dataclass(slots=True, kw_only=True)
class SchedulerStepped(Event):
    """A learning-rate scheduler was advanced by the program (its first step, in the constructor, is no event)."""

    scheduler: Any
    optimizer: Any


@dataclass(slots=True, kw_only=True)
class StateSaved(Event):
    """`torch.save` has been given this object."""

    what: Any


@dataclass(slots=True, kw_only=True)
class StateLoaded(Event):
    """A module, an optimizer or a scaler has loaded a state. `before` and `after` are dtypes of its parameters."""

    target: Any
    state: Any
    before: tuple[str, ...]
    after: tuple[str, ...]


@dataclass(slots=True, kw_only=True)
class StepEnded(Event):
    """A training step has ended: every optimizer of the program was stepped, or left out by its scaler.

    Args:
        skipped: optimizers that were left out.
        losses: roots of its backwards, detached and without the scale; read them only where that does not wait.
    """

    optimizers: list[Any]
    skipped: list[Any]
    losses: list[Any] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class RunEnded(Event):
    """Nothing more comes."""
