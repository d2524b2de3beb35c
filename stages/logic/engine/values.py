"""What an expression can stand for while a program is followed: AMP objects, project code, or something unknown."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import ast

    from stages._source.program.scopes import Scope
    from stages.logic.engine.place import Place

Key = tuple[Hashable, ...]


@dataclass(frozen=True, slots=True)
class Const:
    """A literal."""

    value: bool | int | float | complex | str | bytes | None


@dataclass(frozen=True, slots=True)
class Unknown:
    """A value about which only its origin is known; equal keys are the same value.

    The first part of the key says what it is: "parameter", "global", "attribute", "call", "operation", "joined" (two
    paths brought different values), ...
    """

    key: Key


@dataclass(frozen=True, slots=True)
class Dotted:
    """Something of a library, by its full dotted name."""

    name: str


@dataclass(frozen=True, slots=True)
class Callee:
    """A function or method of the project; `receiver` is what its first parameter is bound to."""

    scope: Scope
    receiver: Value | None = None


@dataclass(frozen=True, slots=True)
class ClassValue:
    """A class of the project."""

    scope: Scope


@dataclass(frozen=True, slots=True)
class Instance:
    """An object of a project class. Its attributes live in the state's heap under its key."""

    scope: Scope
    key: Key


@dataclass(frozen=True, slots=True)
class Method:
    """A method of a value that is no project code, not called yet. `owner` is the expression before the dot."""

    receiver: Value
    name: str
    owner: ast.expr


@dataclass(frozen=True, slots=True)
class Items:
    """A tuple, list or set whose elements are known."""

    values: tuple[Value, ...]
    display: Literal["tuple", "list", "set"] = "list"


@dataclass(frozen=True, slots=True)
class Table:
    """A dictionary whose text keys are known; other keys are left out and `whole` is False."""

    entries: tuple[tuple[str, Value], ...]
    whole: bool = True


@dataclass(frozen=True, slots=True)
class Scaler:
    """A gradient scaler.

    Args:
        assumed: recognised by its name and use, not by its constructor.
        enabled: False: every method is a no-op. None: not known (assumed scalers only).
        kind: "custom" for a class of the project with methods of its own: what they do is not taken for granted.
        site: the constructor call; `at`: the same with its file.
    """

    key: Key
    label: str
    assumed: bool = False
    enabled: bool | None = True
    kind: Literal["plain", "sharded", "custom"] = "plain"
    device: str | None = None
    site: ast.AST | None = None
    at: Place | None = None


@dataclass(frozen=True, slots=True)
class Optimizer:
    """An optimizer.

    Args:
        owners: keys of the models whose parameters it got; empty: not known.
        prepared: a framework wrapped it, and scales, unscales and skips by itself.
        by: that framework.
        cls: dotted name of its class, "" if not known.
    """

    key: Key
    label: str
    assumed: bool = False
    owners: frozenset[Key] = frozenset()
    prepared: bool = False
    by: Framework | None = None
    cls: str = ""
    fused: bool = False
    site: ast.AST | None = None


@dataclass(frozen=True, slots=True)
class Model:
    """A module, or a wrapper around one: DDP, torch.compile and `.module` keep the key."""

    key: Key
    label: str
    wrapper: str = ""  # "fsdp", "compiled", ...
    dtype: str = ""  # "float16" or "bfloat16" after .half(), .to(...)
    prepared: bool = False
    cls: Scope | None = None  # project class, to find `forward`


@dataclass(frozen=True, slots=True)
class Params:
    """Parameters, as a list or an iterator; `of` are the keys of their modules, empty if not known."""

    of: frozenset[Key]
    what: Literal["parameters", "gradients"] = "parameters"


@dataclass(frozen=True, slots=True)
class Scheduler:
    """A learning-rate scheduler."""

    key: Key
    label: str
    prepared: bool = False


@dataclass(frozen=True, slots=True)
class Autocast:
    """An autocast context that was made; entering it is another matter.

    Args:
        device: literal device type, None if not known.
        dtype: "float16", "bfloat16", "float32", ...; None if not known. The device's default is filled in.
        enabled: None: not known.
        cached: False with `cache_enabled=False`.
        site: the call.
        framework: made by a framework's object, such as `accelerator.autocast()`.
    """

    key: Key
    device: str | None = None
    dtype: str | None = None
    enabled: bool | None = True
    cached: bool = True
    site: ast.AST | None = None
    framework: bool = False


@dataclass(frozen=True, slots=True)
class NullContext:
    """A context that does nothing, or nothing that concerns AMP (`no_grad` says that no gradient is wanted)."""

    no_grad: bool = False


@dataclass(frozen=True, slots=True)
class Framework:
    """An object whose methods scale, unscale and clip: accelerate's Accelerator, Lightning's Fabric."""

    name: Literal["accelerate", "fabric"]
    key: Key
    label: str
    precision: str | None = None  # literal given to its constructor; "" means its default


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor that a scaled loss went into.

    Args:
        scalers: keys of the scalers whose scale it carries; twice the same one: scaled twice.
        mixed: something that is not scaled was added.
        site: where `scale` was called last.
        mixed_at: where that was.
    """

    scalers: tuple[Key, ...]
    mixed: bool = False
    site: ast.AST | None = None
    mixed_at: ast.AST | None = None


@dataclass(frozen=True, slots=True)
class ScaleNumber:
    """A number made of the loss scale: `scaler.get_scale()`, or one over it."""

    scaler: Key


@dataclass(frozen=True, slots=True)
class Gradient:
    """`p.grad` of parameters of `of`."""

    of: frozenset[Key]


@dataclass(frozen=True, slots=True)
class Partial:
    """`functools.partial(target, *args, **keywords)`."""

    target: Value
    args: tuple[Value, ...]
    keywords: tuple[tuple[str, Value], ...]


@dataclass(frozen=True, slots=True)
class Loop:
    """An element of an iterable that the loop at `site` goes through."""

    site: ast.AST
    turn: int


@dataclass(frozen=True, slots=True)
class Kind:
    """The class that an object of a declared type was taken for on this path: every later call must take it so too."""

    scope: Scope


Value = (
    Const
    | Kind
    | Unknown
    | Dotted
    | Callee
    | ClassValue
    | Instance
    | Method
    | Items
    | Table
    | Scaler
    | Optimizer
    | Model
    | Params
    | Scheduler
    | Autocast
    | NullContext
    | Framework
    | Tensor
    | ScaleNumber
    | Gradient
    | Loop
    | Partial
)
_TRACKED = (Callee, Scaler, Optimizer, Autocast, NullContext, Framework, Tensor, ScaleNumber)
_HALVES = frozenset(["torch.float16", "torch.half", "torch.bfloat16"])
_NUMBERS = count()
NONE = Const(None)
TRUE = Const(True)
FALSE = Const(False)


def fresh(what: str, *parts: Hashable) -> Unknown:
    """Return a value that equals no other."""
    return Unknown((what, *parts, next(_NUMBERS)))


def matters(value: Value) -> bool:
    """Say whether two paths that differ in this value alone differ for AMP."""
    match value:
        case Items(values=values):
            return any(matters(item) for item in values)
        case Table(entries=entries):
            return any(matters(item) for _, item in entries)
    return isinstance(value, _TRACKED)


def tells_apart(value: Value) -> bool:
    """Say whether two paths that differ in this value are kept apart: what matters, and what autocast will make of it.

    That is the dtype a run will use, a criterion that autocast refuses to run, and whether FSDP shards a model.
    """
    if isinstance(value, Model):
        return value.label == "BCELoss" or value.wrapper == "fsdp"
    return matters(value) or isinstance(value, Kind) or (isinstance(value, Dotted) and value.name in _HALVES)


def key_of(value: Value) -> Key:  # noqa: PLR0912 - one arm for each kind of value
    """Return what makes a value the same value, for conditions about it."""
    match value:
        case Const(value=literal):
            return ("const", type(literal).__name__, literal)
        case Dotted(name=name):
            return ("dotted", name)
        case Callee(scope=scope) | ClassValue(scope=scope) | Kind(scope=scope):
            return ("code", scope)
        case Method(receiver=receiver, name=name):
            return ("method", key_of(receiver), name)
        case Items(values=values):
            return ("items", *(key_of(item) for item in values))
        case Table(entries=entries):
            return ("table", *((name, key_of(item)) for name, item in entries))
        case Params(of=of) | Gradient(of=of):
            return ("params", of)
        case Tensor(scalers=scalers, site=site):
            return ("tensor", scalers, site)
        case ScaleNumber(scaler=scaler):
            return ("scale", scaler)
        case Partial(target=target, args=args, keywords=keywords):
            named = ((name, key_of(item)) for name, item in keywords)
            return ("partial", key_of(target), *(key_of(item) for item in args), *named)
        case Loop(site=site, turn=turn):
            return ("element", site, turn)
        case NullContext(no_grad=no_grad):
            return ("null", no_grad)
        case _:
            return value.key
