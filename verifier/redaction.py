"""Decides how a report is kept free of secrets that a stage found: each is replaced wherever its text stands."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from enum import Enum
from typing import Any, TypeVar

from verifier.model.stage import Key

SECRETS: Key[tuple[str, ...]] = Key("secrets that no report may show")
_SHORTEST = 8  # characters: a shorter text is no secret, and stands in too many other words
_SHOWN = 4

T = TypeVar("T")


def masked(secret: str) -> str:
    """Return what may be shown of a secret: its first characters and its length."""
    return f"{secret[:_SHOWN]}… ({len(secret)} characters)"


def without_secrets(value: T, secrets: tuple[str, ...] | None) -> T:
    """Return a report, or any part of one, in which no secret stands; the longest are replaced first.

    Of a secret of several lines every line counts: reports show source line by line.
    """
    texts = {line.strip() for secret in secrets or () for line in (secret, *secret.splitlines())}
    known = [(text, masked(text)) for text in sorted(texts, key=len, reverse=True) if len(text) >= _SHORTEST]
    return _clean(value, known) if known else value


def _clean(value: Any, known: list[tuple[str, str]]) -> Any:
    if isinstance(value, Enum):
        return value
    if isinstance(value, str):
        for text, instead in known:
            if text in value:
                value = value.replace(text, instead)
        return value
    if isinstance(value, Mapping):
        return {_clean(key, known): _clean(item, known) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return type(value)(_clean(item, known) for item in value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        old = {field.name: getattr(value, field.name) for field in dataclasses.fields(value) if field.init}
        return dataclasses.replace(value, **{name: _clean(item, known) for name, item in old.items()})
    return value
