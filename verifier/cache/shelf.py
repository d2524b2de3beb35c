"""Facts about single things, by a key that says all that they depend on: what one changed file does not touch."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from verifier.cache.store import Store

_DROPPED_OVER = 200  # entries of a part that nobody has asked for, besides as many as were asked for


class Shelf:
    """Values of JSON by key, in sixteen entries of the store, of which a small change rewrites one.

    Args:
        name: of the facts, with a digest of what made them.
    """

    def __init__(self, store: Store, name: str) -> None:
        self._store = store
        self._name = name
        self._parts: dict[str, dict[str, Any]] = {}
        self._used: dict[str, set[str]] = {}
        self._changed: set[str] = set()

    def get(self, key: str) -> Any:
        """Return what was put under a key; None where there is nothing."""
        part = _part_of(key)
        value = self._part(part).get(key)
        if value is not None:
            self._used[part].add(key)
        return value

    def put(self, key: str, value: Any) -> None:
        part = _part_of(key)
        self._part(part)[key] = value
        self._used[part].add(key)
        self._changed.add(part)

    def save(self) -> None:
        """Write what was put, and drop what nobody has asked for in this run, where that has become much."""
        for part in sorted(self._changed):
            values, used = self._parts[part], self._used[part]
            if len(values) > 2 * len(used) + _DROPPED_OVER:
                values = {key: value for key, value in values.items() if key in used}
            self._store.write(f"{self._name}-{part}.json", values)
        self._changed.clear()

    def _part(self, part: str) -> dict[str, Any]:
        if part not in self._parts:
            found = self._store.read(f"{self._name}-{part}.json")
            self._parts[part] = found if isinstance(found, dict) else {}
            self._used[part] = set()
        return self._parts[part]


def _part_of(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()[0]
