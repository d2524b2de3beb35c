"""What happens on a path that an AMP rule may care about. Rules get the event and the state just before it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import ast

    from stages.logic.engine.place import Place
    from stages.logic.engine.state import Active, State
    from stages.logic.engine.values import (
        Autocast,
        Framework,
        Gradient,
        Key,
        Model,
        Optimizer,
        Params,
        Scaler,
        Scheduler,
        Tensor,
        Value,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """Something happens at `place`; `state` is the path just before. `call` is the call that does it."""

    place: Place
    state: State
    call: ast.Call | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ScalerMade(Happening):
    """A GradScaler is constructed. `loops`: open loops of the same function around the call."""

    scaler: Scaler
    args: tuple[Value, ...]
    keywords: dict[str, Value]
    old: bool  # torch.cuda.amp.GradScaler: its first parameter is init_scale
    loops: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AutocastMade(Happening):
    """An autocast context is constructed (not entered yet)."""

    context: Autocast
    args: tuple[Value, ...]
    keywords: dict[str, Value]
    name: str  # dotted name that was called


@dataclass(frozen=True, slots=True, kw_only=True)
class AutocastEntered(Happening):
    """An autocast context is entered, by `with` or as a decorator."""

    context: Autocast


@dataclass(frozen=True, slots=True, kw_only=True)
class AutocastLeft(Happening):
    """An autocast context is left."""

    active: Active


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaled(Happening):
    """`scaler.scale(value)`; `dropped`: the statement throws the result away."""

    scaler: Scaler
    value: Value
    dropped: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Backward(Happening):
    """Gradients are computed from `loss`.

    Args:
        by: the framework whose `backward` it is; None for torch's own.
        scalers: that are in play on this path: those the function can see and that are enabled.
    """

    loss: Value
    carries: Tensor | None
    certain: bool  # the loss is known to carry that scale, or none
    by: Framework | Literal["lightning"] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Unscaled(Happening):
    """`scaler.unscale_(optimizer)`."""

    scaler: Scaler
    optimizer: Optimizer


@dataclass(frozen=True, slots=True, kw_only=True)
class Clipped(Happening):
    """Gradients of `params` are clipped; `by`: a framework or a model's own method that does it right.

    `guessed`: only the name of a function that is not in sight says so.
    """

    params: Params
    how: str  # name of the function
    limit: Value | None
    by: Framework | Model | None = None
    error_if_nonfinite: bool = False
    guessed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class GradsRead(Happening):
    """A gradient is read for a number that somebody looks at: a norm, a log.

    `through`: the calls that led to it, outermost first.
    """

    grads: Gradient
    through: tuple[Place, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class GradsEdited(Happening):
    """Gradients are written in place. `linear`: only multiplied or divided."""

    grads: Gradient
    how: str
    linear: bool
    by_scale: bool  # the factor is made of the loss scale: a manual unscale


@dataclass(frozen=True, slots=True, kw_only=True)
class Stepped(Happening):
    """An optimizer steps: `scaler` is None for a plain `optimizer.step()`."""

    optimizer: Optimizer
    scaler: Scaler | None
    args: tuple[Value, ...] = ()
    keywords: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Updated(Happening):
    """`scaler.update()`; `value`: the new scale that was passed."""

    scaler: Scaler
    value: Value | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ZeroGrad(Happening):
    """Gradients are cleared. `optimizer` None: of a model, whose parameters may be any optimizer's."""

    optimizer: Optimizer | None
    of: frozenset[Key] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleStepped(Happening):
    """A learning-rate scheduler steps.

    `loops`: every loop open around it, outermost first; `through`: the calls that led to it, likewise.
    """

    scheduler: Scheduler
    loops: tuple[ast.AST, ...]
    through: tuple[Place, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopAgain(Happening):
    """A loop starts its next turn. `state` is how the last one ended."""

    loop: ast.AST


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionLeft(Happening):
    """The function that was started from ends: returned, fell off its end, or raised."""

    how: Literal["return", "raise"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Called(Happening):
    """Any other call of a library function or an unresolved method, by its dotted name or `.method`."""

    name: str
    receiver: Value | None
    args: tuple[Value, ...]
    keywords: dict[str, Value]
    dropped: bool


Event = (
    ScalerMade
    | AutocastMade
    | AutocastEntered
    | AutocastLeft
    | Scaled
    | Backward
    | Unscaled
    | Clipped
    | GradsRead
    | GradsEdited
    | Stepped
    | Updated
    | ZeroGrad
    | ScheduleStepped
    | LoopAgain
    | FunctionLeft
    | Called
)
