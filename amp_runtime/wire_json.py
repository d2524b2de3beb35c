"""Frozen records to plain JSON values and back, checked field by field.

Standard library only: it is loaded on both sides of the line, in the child under a private name.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from typing import Literal, TypeVar

T = TypeVar("T")


class WireError(ValueError):
    """A record that is not of the shape both sides agreed on."""


def to_json(record: object) -> object:
    """Turn a record into plain JSON values."""
    fields = getattr(type(record), "__dataclass_fields__", None)  # not by `dataclasses`: the project may patch it
    if fields is not None:
        return {name: to_json(getattr(record, name)) for name in fields}
    if isinstance(record, (tuple, list)):
        return [to_json(value) for value in record]
    if isinstance(record, dict):
        return {str(key): to_json(value) for key, value in record.items()}
    return record


def from_json(kind: type[T], data: object) -> T:
    """Rebuild a record.

    Raises:
        WireError: a key is missing or unknown, or a value has the wrong type.
    """
    return typing.cast("T", _decode(kind, data, kind.__name__))


def _decode(kind: object, data: object, where: str) -> object:
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        return _decode_record(kind, data, where)
    origin = typing.get_origin(kind)
    if origin is tuple:
        if not isinstance(data, list):
            raise WireError(f"{where}: expected a list")
        return tuple(_decode(typing.get_args(kind)[0], value, f"{where}[{n}]") for n, value in enumerate(data))
    if origin is dict:
        if not isinstance(data, dict):
            raise WireError(f"{where}: expected an object")
        return {str(key): _decode(typing.get_args(kind)[1], value, f"{where}.{key}") for key, value in data.items()}
    if origin is Literal:
        if data not in typing.get_args(kind):
            raise WireError(f"{where}: {data!r} is not one of {typing.get_args(kind)}")
        return data
    if origin is types.UnionType or origin is typing.Union:
        return _decode_optional(typing.get_args(kind), data, where)
    return _decode_plain(kind, data, where)


def _decode_record(kind: type, data: object, where: str) -> object:
    if not isinstance(data, dict):
        raise WireError(f"{where}: expected an object")
    hints = typing.get_type_hints(kind)
    names = {field.name for field in dataclasses.fields(kind)}
    if unknown := sorted(set(data) - names):
        raise WireError(f"{where}: unknown key {unknown[0]!r}")
    try:
        return kind(**{name: _decode(hints[name], value, f"{where}.{name}") for name, value in data.items()})
    except TypeError as error:
        raise WireError(f"{where}: {error}") from None


def _decode_optional(options: tuple[object, ...], data: object, where: str) -> object:
    if data is None and types.NoneType in options:
        return None
    (kind,) = [option for option in options if option is not types.NoneType]
    return _decode(kind, data, where)


def _decode_plain(kind: object, data: object, where: str) -> object:
    if kind is float and isinstance(data, int) and not isinstance(data, bool):
        return float(data)
    if isinstance(kind, type) and type(data) is kind:
        return data
    raise WireError(f"{where}: expected {getattr(kind, '__name__', kind)}, got {type(data).__name__}")
