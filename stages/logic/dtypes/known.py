"""What may be known of a value: its dtype, what made it so, and what was just done to it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import ast
    from collections.abc import Iterable, Mapping

    from stages._source.program.project import Module
    from stages._source.program.scopes import Scope

Dtype = Literal["", "float16", "bfloat16", "low", "float32", "int", "bool", "number"]
LOW: tuple[Dtype, ...] = ("float16", "bfloat16", "low")
Mark = Literal[
    "tiny", "ceiling", "one-minus", "sigmoid", "one-minus-sigmoid", "softmax", "exp", "square", "mean-square", "matmul"
]


@dataclass(frozen=True, slots=True)
class Known:
    """A value.

    Args:
        dtype: "low" is a half type of which only a run knows which one; "float32" may also be wider; "number" is a
            Python number, which takes the dtype of the tensor it meets; "" is not known.
        since: what made it low; a later cast to float32 does not bring back what was lost there.
        marks: what the last operation did that a rule asks about, and where.
        positions: whether it was computed from indices: positions, time steps, frequencies of them.
        bounded: whether positions in it were divided by their own extent: they end at a number that somebody chose.
    """

    dtype: Dtype = ""
    since: ast.AST | None = None
    marks: tuple[tuple[Mark, ast.AST], ...] = ()
    positions: bool = False
    bounded: bool = False

    @property
    def low(self) -> bool:
        return self.dtype in LOW

    def marked(self, mark: Mark, at: ast.AST) -> Known:
        return replace(self, marks=(*self.marks, (mark, at)))

    def marked_at(self, mark: Mark) -> ast.AST | None:
        return next((at for name, at in self.marks if name == mark), None)

    def plain(self) -> Known:
        return replace(self, marks=()) if self.marks else self


UNKNOWN = Known()
NUMBER = Known("number")
FLOAT32 = Known("float32")
INT = Known("int")
BOOL = Known("bool")


@dataclass(frozen=True, slots=True)
class Region:
    """The autocast that code runs under: "" is none, "off" is one that is turned off.

    Args:
        assumed: nothing in sight runs this code under it, but what is imported where the project trains may be run so.
    """

    dtype: Literal["", "off", "float16", "bfloat16", "low"] = ""
    site: ast.AST | None = None
    assumed: bool = False

    @property
    def low(self) -> bool:
        return self.dtype not in ("", "off")


NOWHERE = Region()


def low_dtype(region: Region) -> Dtype:
    """Return what autocast makes of a tensor in this region; "" where it is off."""
    return region.dtype if region.dtype != "off" else ""


@dataclass(slots=True, eq=False)
class Unit:
    """One function as it is called from somewhere: what its expressions are, and under which autocast each runs."""

    scope: Scope
    module: Module
    region: Region
    known: dict[ast.AST, Known] = field(default_factory=dict)
    regions: dict[ast.AST, Region] = field(default_factory=dict)
    loops: dict[ast.AST, ast.AST] = field(default_factory=dict)  # statement -> the loop around it
    stores: dict[ast.Subscript, ast.expr] = field(default_factory=dict)  # `tensor[index] = value`
    returned: list[Known] = field(default_factory=list)
    started: dict[ast.AST, Known] = field(default_factory=dict)  # augmented target -> what it was before the loop
    given: Mapping[str, Known] = field(default_factory=dict)  # parameters of which something is known
    suspected: bool = False  # nothing in sight runs it in low precision: its text alone made it be read

    def at(self, node: ast.AST) -> Known:
        return self.known.get(node, UNKNOWN)

    def region_at(self, node: ast.AST) -> Region:
        return self.regions.get(node, NOWHERE)


def ranging(known: Known, *parts: Known) -> Known:
    """Have a value be computed from positions if some part of it is; if some part is bounded, it is bounded."""
    bounded = any(part.bounded for part in parts)
    return replace(known, positions=not bounded and any(part.positions for part in parts), bounded=bounded)


def promoted(first: Known, second: Known) -> Known:
    """Return what arithmetic on two values gives, by torch's promotion of tensors of one dimension and more."""
    low = first if first.low else second
    found: Known
    if first.dtype == "number":
        found = second
    elif second.dtype == "number":
        found = first
    elif "float32" in (first.dtype, second.dtype):
        found = FLOAT32
    elif not first.dtype or not second.dtype:
        found = UNKNOWN
    elif first.low and second.low:
        found = low if first.dtype == second.dtype else UNKNOWN
    elif first.low or second.low:
        found = low
    else:
        found = INT if "int" in (first.dtype, second.dtype) else BOOL
    return ranging(Known(found.dtype, first.since or second.since), first, second)


def joined(values: Iterable[Known]) -> Known:
    """Return what is known of a value that is one of several."""
    found: Known | None = None
    for value in values:
        found = value if found is None else _either(found, value)
    return UNKNOWN if found is None else found


def _either(first: Known, second: Known) -> Known:
    if first == second:
        return first
    found = UNKNOWN
    if first.dtype == second.dtype:
        found = Known(first.dtype, first.since or second.since)
    elif first.low and second.dtype == "number":  # `total = 0` before the loop that adds to it
        found = Known(first.dtype, first.since)
    elif second.low and first.dtype == "number":
        found = Known(second.dtype, second.since)
    return ranging(found, first, second)
