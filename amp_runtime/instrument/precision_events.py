"""What happens around the steps of a training: contexts made, models cast, losses called, threads begun, errors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .events import Event

if TYPE_CHECKING:
    from .gradients import Gradient
    from .graph import Graph
    from .records import Frame
    from .run import Region
    from .staleness import Write


@dataclass(slots=True, kw_only=True)
class AutocastMade(Event):
    """An autocast context was constructed, or its constructor raised.

    Args:
        kind: the class as the program names it, such as "torch.autocast" or "torch.cuda.amp.autocast".
        args, kwargs: as the program passed them.
        context: None where the constructor raised.
        asked: `enabled` as it was asked for; enabled: what torch made of it.
        via: the installed package that made it, or "" for the program itself.
    """

    kind: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    context: Any
    asked: bool
    enabled: bool
    device: str
    dtype: Any
    via: str


@dataclass(slots=True, kw_only=True)
class AutocastApplied(Event):
    """An autocast context was called on something, as a decorator is."""

    context: Any
    target: Any


@dataclass(slots=True, kw_only=True)
class AutocastToggled(Event):
    """The program called torch.set_autocast_enabled. `nesting`: depth of contexts around the call."""

    device: str
    enabled: bool
    nesting: int
    via: str


@dataclass(slots=True, kw_only=True)
class StaleWeightsUsed(Event):
    """A forward has used half copies of weights that are older than a write to them. `place`: of its backward.

    Args:
        stale: weights whose copy is too old; 0 where compiled code hides that eager code would use it.
        casts: all weights that were cast.
        graph: of the backward; None where the forward was computed again to compare.
    """

    write: Write
    stale: int
    casts: int
    graph: Graph | None


@dataclass(slots=True, kw_only=True)
class ThreadComputed(Event):
    """A thread that was started inside an autocast region multiplies matrices without autocast. `place`: its start."""

    region: Region
    operator: str
    dtype: str


@dataclass(slots=True, kw_only=True)
class OptimizerMade(Event):
    """An optimizer was constructed."""

    optimizer: Any


@dataclass(slots=True, kw_only=True)
class ModuleCast(Event):
    """A module was cast. `changed`: (parameter, dtype before, dtype after) of those whose floating type changed."""

    module: Any
    changed: list[tuple[Any, Any, Any]]


@dataclass(slots=True, kw_only=True)
class ModuleCopied(Event):
    """`copy.deepcopy`, or an AveragedModel, has made a copy of a module."""

    original: Any
    copy: Any


@dataclass(slots=True, kw_only=True)
class DefaultDtypeSet(Event):
    """`torch.set_default_dtype` was called."""

    dtype: Any


@dataclass(slots=True, kw_only=True)
class LossCalled(Event):
    """A loss of torch.nn.functional was called. `enabled`: autocast is on for the device of the input."""

    name: str
    input: Any
    target: Any
    enabled: bool
    within: bool  # a context is open, also one that turns autocast off


@dataclass(slots=True, kw_only=True)
class EvaluationSeen(Event):
    """The first forward of a module after its `eval()`. `place`: of the forward. `enabled`: autocast was on in it."""

    module: Any
    enabled: bool


@dataclass(slots=True, kw_only=True)
class GradientRead(Event):
    """A hook of Lightning that runs between backward and step has read the gradient of a parameter."""

    gradient: Gradient
    hook: str


@dataclass(slots=True, kw_only=True)
class ProgramRaised(Event):
    """An exception passes by: a region, a backward, or the end of what is watched. `place`: where it was raised.

    Args:
        regions: that were open where it was first seen, outermost first.
        frames: of the program between where it was seen and where it was raised, innermost last.
        in_backward: it comes out of a backward.
    """

    error: BaseException
    regions: tuple[Region, ...]
    frames: tuple[Frame, ...]
    in_backward: bool


@dataclass(slots=True, kw_only=True)
class DeepStepSeen(Event):
    """A step was looked into operator by operator. `record`: a DeepStep. `skipped`: its update was left out."""

    record: Any
    skipped: bool
