"""Decides what is taken from a scanner's answer: only what is well formed, and about files that it was given."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

_MOST = 5000  # findings that are read; no tree that people wrote has more
_LONGEST = 20_000  # characters of a secret


class AnswerError(ValueError):
    """The scanner answered with something else than findings."""


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Hit:
    """A secret that the scanner found. `secret` is its text: it must never be shown."""

    path: str
    line: int
    column: int
    rule: str
    description: str
    confidence: str
    secret: str


def read_answer(output: bytes, known: Mapping[str, str]) -> list[Hit]:
    """Return the findings of one call.

    Args:
        known: the name under which the scanner was given a file -> its path in the project.

    Raises:
        AnswerError: a line is no JSON, or the scan says that it is not complete.
    """
    hits: list[Hit] = []
    complete = False
    for line in output.splitlines():
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            raise AnswerError("a line of its answer is no JSON") from None
        if not isinstance(row, dict):
            raise AnswerError("a line of its answer is no object")
        scan = row.get("scan")
        complete = complete or (isinstance(scan, dict) and scan.get("state") == "complete")
        hit = _hit(row.get("finding"), known)
        if hit is not None and len(hits) < _MOST:
            hits.append(hit)
    if not complete:
        raise AnswerError("it did not say that the scan is complete")
    return hits


def _hit(found: Any, known: Mapping[str, str]) -> Hit | None:
    if not isinstance(found, dict):
        return None
    place, match = found.get("location"), found.get("match")
    if not isinstance(place, dict) or not isinstance(match, dict):
        return None
    path = known.get(os.path.normpath(str(place.get("path", ""))))
    secret = match.get("value")
    if path is None or not isinstance(secret, str) or not secret:
        return None
    return Hit(
        path=path,
        line=_count(place.get("start_line")),
        column=_count(place.get("start_column")),
        rule=str(found.get("rule_id", ""))[:100],
        description=str(found.get("description", ""))[:300],
        confidence=str(found.get("confidence", "")),
        secret=secret[:_LONGEST],
    )


def _count(value: Any) -> int:
    return value if isinstance(value, int) and value > 0 else 1
