"""What is known about conditions on a path: the same test answers the same way as long as its parts are the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stages.logic.engine.values import Key

Facts = dict["Key", bool]
_DTYPES = {
    "torch.float16": "float16",
    "torch.half": "float16",
    "torch.bfloat16": "bfloat16",
    "torch.float32": "float32",
    "torch.float": "float32",
    "torch.float64": "float64",
    "torch.double": "float64",
}
_LARGEST = 60  # parts of a key that is kept as a fact


def truth(key: Key, facts: Mapping[Key, bool]) -> bool | None:
    """Say whether the value of that key is true here; None if it may be either."""
    if key in facts:
        return facts[key]
    match key:
        case ("const", _, literal):
            return bool(literal)
        case ("not", inner):
            known = truth(cast("Key", inner), facts)
            return None if known is None else not known
        case ("and", *parts):
            known_parts = [truth(cast("Key", part), facts) for part in parts]
            return False if False in known_parts else True if None not in known_parts else None
        case ("or", *parts):
            known_parts = [truth(cast("Key", part), facts) for part in parts]
            return True if True in known_parts else False if None not in known_parts else None
        case ("is-none", inner):
            return _is_none(cast("Key", inner), facts)
        case ("equal", left, right):
            return _equal(cast("Key", left), cast("Key", right), facts)
        case ("compare", (str() as op,), left, right):
            return _ordered(op, cast("Key", left), cast("Key", right), facts)
    return None


def assume(key: Key, value: bool, facts: Mapping[Key, bool]) -> Facts | None:
    """Return the facts with one more, or None where it cannot be."""
    known = truth(key, facts)
    if known is not None:
        return dict(facts) if known == value else None
    match key:
        case ("not", inner):
            return assume(cast("Key", inner), not value, facts)
        case ("and", *parts) if value:
            return _all(parts, True, facts)
        case ("or", *parts) if not value:
            return _all(parts, False, facts)
        case ("and" | "or", *parts):
            neutral = key[0] == "and"
            left = [part for part in parts if truth(cast("Key", part), facts) is not neutral]
            if len(left) == 1:
                return assume(cast("Key", left[0]), value, facts)
    found = dict(facts)
    if len(key) <= _LARGEST:
        found[key] = value
    if key[0] == "is-none" and value:
        found[cast("Key", key[1])] = False
    return found


def _all(parts: list[object], value: bool, facts: Mapping[Key, bool]) -> Facts | None:
    found: Facts | None = dict(facts)
    for part in parts:
        if found is None:
            return None
        found = assume(cast("Key", part), value, found)
    return found


def _is_none(key: Key, facts: Mapping[Key, bool]) -> bool | None:
    if key[0] == "const":
        return key[2] is None
    if key[0] in ("dotted", "code", "items", "table"):
        return False
    return False if facts.get(key) is True else None


def _ordered(op: str, left: Key, right: Key, facts: Mapping[Key, bool]) -> bool | None:
    """Answer `left < right` where both are numbers, given or found equal to one."""
    first, second = _number(left, facts), _number(right, facts)
    if first is None or second is None:
        return None
    return {"Lt": first < second, "LtE": first <= second, "Gt": first > second, "GtE": first >= second}.get(op)


def _number(key: Key, facts: Mapping[Key, bool]) -> float | None:
    if key[0] != "const":
        same = [fact[2] for fact, value in facts.items() if value and fact[0] == "equal" and fact[1] == key]
        key = cast("Key", same[0]) if same else key
    literal = key[2] if key[0] == "const" else None
    return literal if isinstance(literal, int | float) else None


def _equal(left: Key, right: Key, facts: Mapping[Key, bool]) -> bool | None:
    if left == right:
        return True
    if left[0] == right[0] == "const":
        return left[2] == right[2]
    if _dtype(right) is None:
        if right[0] != "const":
            return None
    elif _dtype(left) is not None:
        return _dtype(left) == _dtype(right)
    for fact, value in facts.items():
        if value and fact[0] == "equal" and fact[1] == left and _is_other(cast("Key", fact[2]), right):
            return False
    return None


def _is_other(fact: Key, asked: Key) -> bool:
    """Say whether what a value is known to be is surely not what is asked for."""
    if _dtype(fact) is not None and _dtype(asked) is not None:
        return _dtype(fact) != _dtype(asked)
    return fact[0] == asked[0] == "const" and fact != asked


def _dtype(key: Key) -> str | None:
    """Return the name of a torch dtype, one for those that have two."""
    name = key[1] if key[0] == "dotted" else None
    return _DTYPES.get(name) if isinstance(name, str) else None
