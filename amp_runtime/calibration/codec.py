"""Decides how calibration records become plain JSON values and back. Fields of a newer version are kept as they are."""

from __future__ import annotations

import dataclasses
import functools
import math
import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

T = TypeVar("T")
UNKNOWN = "unknown"  # the field of every record that holds what its version does not know
MAX_DEPTH = 64
_LONGEST = 60


class ProfileError(ValueError):
    """A profile that is none: one sentence that says which file, which place in it, and what to do."""


def number(default: Any = None, *, signed: bool = False, at_most: float | None = None) -> Any:
    """Declare a numeric field: never below 0 unless `signed`, and no larger than `at_most`."""
    return dataclasses.field(default=default, metadata={"signed": signed, "at_most": at_most})


def encode(record: Any) -> dict[str, Any]:
    """Return a record as JSON values: known fields that are set, in order, then the unknown ones."""
    data: dict[str, Any] = {}
    for field in dataclasses.fields(record):
        value = getattr(record, field.name)
        if field.name != UNKNOWN and value is not None:
            data[field.name] = _plain(value)
    return data | dict(getattr(record, UNKNOWN, {}))


def decode(kind: type[T], data: object, where: str = "") -> T:
    """Build a record from JSON values.

    Args:
        where: the place of `data` in its file, for messages; empty for the whole of it.

    Raises:
        ProfileError: a field is missing, or a value is of a wrong type, not finite or out of its range.
    """
    if not isinstance(data, Mapping):
        raise ProfileError(f"{where or 'the profile'} must be an object, not {_shown(data)}")
    record: Any = kind
    known = _fields(record)
    given: dict[str, Any] = {}
    for name, (hint, field) in known.items():
        if name in data:
            place = f"{where}.{name}" if where else name
            given[name] = _value(hint, data[name], place, field.metadata)
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise ProfileError(f"{where or 'the profile'} has no {name!r}, which every profile has")
    rest = {str(key): value for key, value in data.items() if key not in known}
    return kind(**given, **({UNKNOWN: rest} if rest and UNKNOWN in _all_names(record) else {}))


@functools.cache
def _all_names(kind: Any) -> frozenset[str]:
    return frozenset(field.name for field in dataclasses.fields(kind))


@functools.cache
def _fields(kind: Any) -> dict[str, tuple[Any, dataclasses.Field[Any]]]:
    hints = typing.get_type_hints(kind)
    return {field.name: (hints[field.name], field) for field in dataclasses.fields(kind) if field.name != UNKNOWN}


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return encode(value)
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    return value


def _value(hint: Any, data: object, where: str, limits: Mapping[str, Any]) -> Any:
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        if data is None:
            return None
        (hint,) = (option for option in inner if option is not types.NoneType)
        return _value(hint, data, where, limits)
    if hint is Any:
        return data
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return decode(hint, data, where)
    if origin is tuple:
        if not isinstance(data, (list, tuple)):
            raise ProfileError(f"{where} must be a list, not {_shown(data)}")
        return tuple(_value(inner[0], item, f"{where}[{place}]", limits) for place, item in enumerate(data))
    if origin is not None:
        if not isinstance(data, Mapping):
            raise ProfileError(f"{where} must be an object, not {_shown(data)}")
        return {str(key): _value(inner[1], item, f"{where}.{_name(key)}", limits) for key, item in data.items()}
    return _scalar(hint, data, where, limits)


def _scalar(hint: Any, data: object, where: str, limits: Mapping[str, Any]) -> Any:
    if hint is str or hint is bool:
        if not isinstance(data, hint):
            raise ProfileError(f"{where} must be {'a text' if hint is str else 'true or false'}, not {_shown(data)}")
        return hint(data)
    if isinstance(data, bool) or not isinstance(data, int if hint is int else (int, float)):
        raise ProfileError(f"{where} must be a {'whole ' if hint is int else ''}number, not {_shown(data)}")
    try:
        value = float(data)
    except OverflowError:
        value = math.inf
    if not math.isfinite(value):
        raise ProfileError(f"{where} must be a finite number, not {_shown(data)}")
    if value < 0 and not limits.get("signed"):
        raise ProfileError(f"{where} must not be below 0, and is {value:g}")
    if (most := limits.get("at_most")) is not None and value > most:
        raise ProfileError(f"{where} must not be above {most:g}, and is {value:g}")
    return data if hint is int else value


def _shown(data: object) -> str:
    if data is None:
        return "null"
    if isinstance(data, Mapping):
        return "an object"
    if isinstance(data, (list, tuple)):
        return "a list"
    if isinstance(data, int) and data.bit_length() > 200:
        return "a number of very many digits"
    text = ascii(data)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def _name(key: object) -> str:
    text = str(key)
    quoted = text if text.isidentifier() else ascii(text)
    return quoted if len(quoted) <= _LONGEST else f"{quoted[:_LONGEST]}…"
