"""What arithmetic makes of gradients that carry a loss scale: dimensional analysis with the scale as the unit."""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

OFFSET = "offset"  # something without the scale was added
CLAMPED = "clamped"  # limited by something without the scale
MASKED = "masked"  # elements that are not finite were replaced
_CLOSE = 1e-3


@dataclass(slots=True)
class Carrier:
    """A tensor made of scaled gradients.

    Args:
        power: of the scale it carries: 1 for a gradient, 2 for its square, -1 for a factor `limit / norm`.
        wrong: OFFSET, CLAMPED or MASKED once no power of the scale describes it any more.
        finite: it tells finite elements from others, and carries nothing.
        reduced: a norm, a mean or an extreme went into it.
        undone: the program has divided by the scale itself.
        read_at: where such a number was first made of gradients.
        place, operator: which operation made it.
        alive: the tensors that show it; where all are gone, its memory may be another's.
    """

    power: float = 1.0
    wrong: str = ""
    finite: bool = False
    reduced: bool = False
    undone: bool = False
    read_at: frozenset[tuple[str, int]] = frozenset()
    place: tuple[str, int] = ("", 0)
    operator: str = ""
    alive: list[weakref.ref[Any]] = field(default_factory=list)


Operand = Carrier | float | None  # None: a tensor that has nothing to do with gradients
Operation = Callable[[Sequence[Operand], float | None], Carrier | None]


def _carriers(operands: Sequence[Operand]) -> list[Carrier]:
    return [one for one in operands if isinstance(one, Carrier)]


def _same(operands: Sequence[Operand], scale: float | None) -> Carrier:
    there = _carriers(operands)
    wrong = next((one.wrong for one in there if one.wrong), "")
    return replace(there[0], wrong=wrong, reduced=any(one.reduced for one in there))


def _reduced(operands: Sequence[Operand], scale: float | None) -> Carrier:
    return replace(_same(operands, scale), reduced=True)


def _product(operands: Sequence[Operand], scale: float | None, signs: tuple[int, ...] = (1, 1)) -> Carrier:
    power = sum(one.power * sign for one, sign in zip(operands, signs, strict=False) if isinstance(one, Carrier))
    undone = any(one.undone for one in _carriers(operands))
    numbers = [one**sign for one, sign in zip(operands, signs, strict=False) if isinstance(one, (int, float)) and one]
    if scale and power and numbers and abs(math.prod(numbers) * scale**power - 1) < _CLOSE:
        power, undone = 0.0, True
    return replace(_same(operands, scale), power=power, undone=undone, finite=False)


def _quotient(operands: Sequence[Operand], scale: float | None) -> Carrier:
    return _product(operands, scale, (1, -1))


def _sum(operands: Sequence[Operand], scale: float | None) -> Carrier:
    found = _same(operands, scale)
    powers = {one.power for one in _carriers(operands[:2])}
    plain = any(not isinstance(one, Carrier) and one != 0 for one in operands[:2])
    if (len(powers) > 1 or (plain and powers != {0.0})) and not found.wrong:
        found.wrong = OFFSET
    return found


def _limited(operands: Sequence[Operand], scale: float | None) -> Carrier:
    found = _same(operands, scale)
    if found.power and len(_carriers(operands)) < 2 and found.wrong != MASKED:
        found.wrong = CLAMPED
    return found


def _to_power(factor: float) -> Operation:
    def powered(operands: Sequence[Operand], scale: float | None) -> Carrier:
        found = _same(operands, scale)
        return replace(found, power=found.power * factor)

    return powered


def _pow(operands: Sequence[Operand], scale: float | None) -> Carrier | None:
    exponent = operands[1] if len(operands) > 1 and isinstance(operands[1], (int, float)) else 1.0
    return _to_power(exponent)(operands, scale)


def _compared(operands: Sequence[Operand], scale: float | None) -> Carrier | None:
    """`x == x` and `abs(x) != inf` tell finite elements; other comparisons give a mask that means nothing to us."""
    there = _carriers(operands)
    finite = len(there) > 1 or any(isinstance(one, float) and math.isinf(one) for one in operands)
    return replace(there[0], power=0.0, finite=True) if finite else None


def _finite(operands: Sequence[Operand], scale: float | None) -> Carrier:
    return replace(_carriers(operands)[0], power=0.0, finite=True)


def _unmasked(operands: Sequence[Operand], scale: float | None) -> Carrier:
    return replace(_carriers(operands)[0], wrong=MASKED)


def _filled(operands: Sequence[Operand], scale: float | None) -> Carrier | None:
    """Put one thing in place of another; where that was not finite, the scaler does not see it any more."""
    values = [one for one in _carriers(operands) if not one.finite]
    if not values:
        return None
    found = replace(values[0], reduced=any(one.reduced for one in values))
    if any(one.finite for one in _carriers(operands)):
        return replace(found, wrong=MASKED)
    other = any(isinstance(one, (int, float)) and one != 0 for one in operands)
    if len({one.power for one in values}) > 1 or (other and not found.wrong):
        return replace(found, wrong=OFFSET)
    return found


def _mask_or_product(operands: Sequence[Operand], scale: float | None) -> Carrier | None:
    there = _carriers(operands)
    return _finite(operands, scale) if all(one.finite for one in there) else _product(operands, scale)


_SAME = (
    "view _unsafe_view reshape _reshape_alias detach alias clone _to_copy to contiguous t transpose permute slice"
    " select index unsqueeze squeeze expand as_strided cat stack neg abs sum cumsum relu unbind split flatten repeat"
    " lift_fresh bitwise_not logical_not any all"
)
_BY_NAME: tuple[tuple[str, Operation], ...] = (
    (_SAME, _same),
    ("linalg_vector_norm norm mean amax amin max min median std histc sort topk aminmax", _reduced),
    ("mul", _mask_or_product),
    ("bitwise_or bitwise_and bitwise_xor logical_and logical_or logical_xor", _finite),
    ("mm bmm mv dot", _product),
    ("div true_divide", _quotient),
    ("add sub rsub lerp", _sum),
    ("clamp clamp_min clamp_max hardtanh maximum minimum", _limited),
    ("square var", _to_power(2.0)),
    ("sqrt", _to_power(0.5)),
    ("rsqrt", _to_power(-0.5)),
    ("reciprocal", _to_power(-1.0)),
    ("pow", _pow),
    ("eq ne lt le gt ge", _compared),
    ("isfinite isnan isinf", _finite),
    ("nan_to_num", _unmasked),
    ("where masked_fill index_put", _filled),
)
_OPERATIONS = {name: operation for names, operation in _BY_NAME for name in names.split()}


def known(name: str) -> bool:
    return name in _OPERATIONS


def outcome(name: str, operands: Sequence[Operand], scale: float | None) -> Carrier | None:
    """Return what an operation makes of its operands, at least one of which is a carrier; None: nothing of ours."""
    found = _OPERATIONS[name](operands, scale)
    if found is None:
        return None
    return replace(found, read_at=frozenset().union(*(one.read_at for one in _carriers(operands))))
