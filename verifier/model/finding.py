"""Findings, their places and their evidence: frozen, ordered, free of syntax nodes and tensors."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

Json = None | bool | int | float | str | Sequence["Json"] | Mapping[str, "Json"]


class Severity(enum.IntEnum):
    """How bad a finding is, from a note to certain breakage; comparable."""

    INFO = 0
    LOW = 1
    MEDIUM = 2
    HIGH = 3
    CRITICAL = 4


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Location:
    """A place in a file of the verified project."""

    path: str  # POSIX, relative to the project root
    line: int = 1  # 1-based, as editors and SARIF count
    column: int = 1  # 1-based, in characters
    end_line: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Related:
    """A second place that a reader needs to understand the finding."""

    location: Location
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What was seen. `data` is JSON only: never tensors, nodes or exceptions."""

    kind: Literal["source", "measurement", "command", "traceback", "simulation", "run"]
    summary: str  # one sentence a reader can check without running us again
    data: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One cause, at one place, with every other place it touches in `related`.

    `rule` must be a code that the stage declares; severity may differ from the rule's default.
    `why` says why it breaks here, `impact` what happens if it is merged; both may be empty when the
    message already says so. `fix` says whether `verify` could repair it, and how safely.
    """

    rule: str
    severity: Severity
    message: str
    location: Location
    symbol: str | None = None
    related: tuple[Related, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    why: str = ""
    impact: str = ""
    remediation: str = ""
    fix: Literal["safe", "unsafe"] | None = None
