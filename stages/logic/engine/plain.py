"""Which values surely carry no loss scale: made by calls or arithmetic that no scaled value went into."""

from __future__ import annotations

from stages.logic.engine.values import NONE, Unknown, Value

JOINED = "joined-plain"  # what two paths brought, each surely not scaled
_PLAIN = ("call", "operation", JOINED)
_OPEN = ("call-maybe-scaled", "parameter", "joined", "local", "global", "sent", "expression", "element", "default")
_BY = ("Div", "FloorDiv", "Mod", "Pow")


def is_plain(value: Value) -> bool:
    """Say whether a value is surely not scaled."""
    if isinstance(value, Unknown):
        if value.key[0] in _PLAIN:
            return not may_be_scaled(value.key)
        return value.key[0] in ("attribute", "item") and _made(value.key)
    return False


def both_plain(first: Value | None, second: Value | None) -> bool:
    """Say whether what either of two paths brought is surely not scaled; None is no loss at all."""
    given = [value for value in (first, second) if value != NONE]
    return bool(given) and all(value is not None and is_plain(value) for value in given)


def may_be_scaled(key: object) -> bool:
    """Say whether a part of some arithmetic came from where it may have been scaled already."""
    if not isinstance(key, tuple):
        return False
    match key[0]:
        case "operation":
            carriers = key[2:3] if key[1] in _BY else key[2:]  # whatever a loss is divided by is no loss
            parts = [part for part in carriers if isinstance(part, tuple)]
            return any(map(may_be_scaled, parts)) and not any(map(_is_made, parts))
        case "item":
            return may_be_scaled(key[1])
        case "attribute":
            return isinstance(key[2], str) and "loss" in key[2]
    return key[0] in _OPEN


def _is_made(key: tuple[object, ...]) -> bool:
    """Say whether a part was computed here, so that the whole is the loss that the code is about to scale."""
    return key[0] in ("call", JOINED) or (key[0] == "operation" and not may_be_scaled(key))


def _made(key: object) -> bool:
    while isinstance(key, tuple) and key[0] in ("attribute", "item"):
        key = key[1]
    return isinstance(key, tuple) and key[0] in _PLAIN
