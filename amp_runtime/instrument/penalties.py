"""Follows gradients that carry a loss scale through the graph of a loss that contains them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

_LIMIT = 200_000  # nodes
# operations that are linear, or scale their result as they find their input scaled
_SAME = frozenset(
    {
        "Abs",
        "Alias",
        "Amax",
        "Amin",
        "AsStrided",
        "Cat",
        "Clone",
        "Detach",
        "Expand",
        "Gather",
        "Index",
        "LinalgVectorNorm",
        "Max",
        "Maximum",
        "Mean",
        "Min",
        "Minimum",
        "Neg",
        "Norm",
        "Permute",
        "Relu",
        "Repeat",
        "ReshapeAlias",
        "Select",
        "Slice",
        "Split",
        "SplitWithSizes",
        "Squeeze",
        "Stack",
        "Sum",
        "T",
        "ToCopy",
        "Transpose",
        "Unbind",
        "UnsafeView",
        "Unsqueeze",
        "View",
    }
)
_PRODUCTS = frozenset(("Mul", "Mm", "Bmm", "Mv", "Dot", "Addmm"))


@dataclass(frozen=True, slots=True)
class Carried:
    """What a value carries: a power of the scale. `mixed`: something without the scale was added."""

    power: float
    mixed: bool = False


def misused(roots: Iterable[Any], marked: Iterable[Any], scale: float | None) -> str:
    """Return the operation that makes a penalty of gradients that still carry the scale; "" where there is none.

    Gradients of a scaled loss may be used in any way that is linear, or after they were divided by the scale.

    Args:
        roots: of the loss whose backward begins.
        marked: nodes whose results carry the scale.
        scale: its value; None where it is not known, then any division by one number counts.
    """
    users = _users(roots)
    carried: dict[Any, Carried] = {node: Carried(1.0) for node in marked if node in users}
    todo = list(carried)
    last = ""
    while todo:
        node = todo.pop()
        for user in users[node]:
            after = _through(user, carried, scale)
            if isinstance(after, str):
                return after
            if after is None or carried.get(user) == after:
                continue
            carried[user] = after
            last = _name(user) if after.power != 1 else last
            if users.get(user):
                todo.append(user)
            elif after.power != 1:
                return last
    return ""


def _users(roots: Iterable[Any]) -> dict[Any, list[Any]]:
    """Return for each node of the graph those that use its result."""
    todo = [root.grad_fn for root in roots if root.grad_fn is not None]
    users: dict[Any, list[Any]] = {node: [] for node in todo}
    while todo and len(users) < _LIMIT:
        node = todo.pop()
        for after, _index in node.next_functions:
            if after is None:
                continue
            if after not in users:
                users[after] = []
                todo.append(after)
            users[after].append(node)
    return users


def _name(node: Any) -> str:
    return type(node).__name__.partition("Backward")[0]


def _through(node: Any, carried: dict[Any, Carried], scale: float | None) -> Carried | str | None:
    """Return what the result of a node carries, None for nothing, or its name where the scale makes it wrong."""
    name = _name(node)
    inputs = [carried.get(after) if after is not None else None for after, _index in node.next_functions]
    there = [one for one in inputs if one is not None]
    if not there:
        return None
    first = there[0]
    if name in ("Add", "Sub", "Rsub"):
        mixed = len(there) < 2 or any(one.mixed or one.power != first.power for one in there)
        return Carried(first.power, mixed)
    if name in _SAME:
        return first
    if name == "Div" and inputs[0] is not None and len(there) == 1:
        return None if _undoes(node, scale, -first.power) else first
    if name in _PRODUCTS and len(there) == 1:
        return None if name == "Mul" and _undoes(node, scale, first.power) else first
    if first.mixed:
        return name
    if name in _PRODUCTS:
        return Carried(sum(one.power for one in there))
    if name == "Pow":
        return Carried(first.power * float(node._saved_exponent))
    return Carried(first.power / 2) if name == "Sqrt" else name


def _undoes(node: Any, scale: float | None, power: float) -> bool:
    """Whether the other factor is one number that takes the scale away."""
    other = _factor(node)
    if other is None or other.numel() != 1:
        return False
    if scale is None or other.device.type != "cpu":
        return True
    return bool(abs(float(other) * scale**power - 1) < 1e-3)


def _factor(node: Any) -> Any:
    """Return the other operand of a product or quotient, which was kept for its derivative."""
    name = "_saved_other" if node.next_functions[0][0] is not None else "_saved_self"
    try:
        return getattr(node, name)
    except (AttributeError, RuntimeError):  # not kept, or freed by an earlier backward
        return None
