"""Reads JSON that anybody may have written: what is missing or of another kind is one sentence, never a traceback."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from verifier.errors import UsageError
from verifier.sources import read_regular

T = TypeVar("T")


def read_json(path: Path) -> Mapping[str, Any]:
    """Return the object that a file holds.

    Raises:
        UsageError: it cannot be read, or holds no JSON object.
    """
    try:
        text = read_regular(path, None).decode("utf-8")
    except FileNotFoundError:
        raise UsageError(f"{path}: there is no such file; name a report.json of an earlier run") from None
    except UnicodeDecodeError:
        raise UsageError(f"{path}: it is not UTF-8 text, so it is no report") from None
    except OSError as error:
        raise UsageError(f"{path}: it cannot be read: {error.strerror or error}") from None
    return json_from(text, path)


def json_from(text: str, path: Path) -> Mapping[str, Any]:
    """Return the object that a text holds; `path` is where it stands, for what is said of it.

    Raises:
        UsageError: it holds no JSON object.
    """
    try:
        value = json.loads(text)
    except RecursionError:
        raise UsageError(f"{path}: its values are nested too deeply to be read") from None
    except ValueError as error:
        raise UsageError(f"{path}: it is not JSON, or cut off: {error}") from None
    if not isinstance(value, dict):
        raise UsageError(f"{path}: it is no report: it holds no JSON object")
    return value


class Reader:
    """One object of a document, and where it stands."""

    def __init__(self, path: Path, where: str, value: Any) -> None:
        self.path = path
        self.where = where
        if not isinstance(value, dict):
            raise self.wrong("must be an object")
        self.value: dict[str, Any] = value

    def wrong(self, what: str) -> UsageError:
        return UsageError(f"{self.path}: {self.where or 'the report'} {what}; write the report anew")

    def get(self, key: str, kind: type[T]) -> T:
        """Return a value that must be there and of that kind; true is no number."""
        found = self.value.get(key)
        if not isinstance(found, kind) or (kind is int and isinstance(found, bool)):
            raise self.wrong(f'has no "{key}" of the kind {kind.__name__}')
        return found

    def optional(self, key: str, kind: type[T]) -> T | None:
        return None if self.value.get(key) is None else self.get(key, kind)

    def one_of(self, key: str, names: Any) -> str:
        found = self.get(key, str)
        if found not in names:
            raise self.wrong(f'has "{found[:40]}" for "{key}", which is not one of {", ".join(names)}')
        return found

    def under(self, key: str) -> Reader:
        return Reader(self.path, f"{self.where}.{key}" if self.where else key, self.value.get(key))

    def each(self, key: str) -> list[Reader]:
        inside = f"{self.where}.{key}" if self.where else key
        return [Reader(self.path, f"{inside}[{number}]", item) for number, item in enumerate(self.get(key, list))]
