"""The finished report, and the JSON contract: every other format is a view of it."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from verifier.model.finding import Json
    from verifier.model.rule import RuleInfo
    from verifier.model.stage import Reported, StageResult

SCHEMA = "verifier-report/1"


class Verdict(enum.StrEnum):
    """What a merge gate needs to know."""

    PASS = "PASS"
    BLOCK = "BLOCK"


class Proof(enum.StrEnum):
    """How an acceptance line ended."""

    PROVEN = "PROVEN"
    NOT_PROVEN = "NOT PROVEN"
    DEFERRED = "DEFERRED"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileRecord:
    """One input: its digest says exactly which bytes were judged."""

    path: str
    sha256: str
    lines: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What was verified. `commit` is None outside git; `dirty` then too."""

    commit: str | None
    dirty: bool | None
    files: tuple[FileRecord, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Acceptance:
    """An acceptance line, judged, with the gates it rests on and what each said."""

    text: str
    status: Proof
    proven_by: tuple[str, ...]
    evidence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Suppressed:
    """A finding that a `# verify: allow[CODE] reason` comment silenced."""

    stage: str
    finding: Reported
    reason: str
    line: int  # of the comment
    until: str | None = None  # the last day on which it does, as 2027-01-31


@dataclass(frozen=True, slots=True, kw_only=True)
class NotRun:
    """A stage that `--stage` left out."""

    number: int
    name: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Deferred:
    """A gate that could not be decided here, and why."""

    stage: str
    gate: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunReport:
    """One task, judged. Two fields are for people's formats only and not part of the JSON contract.

    Args:
        snippets: source lines around findings, (path, line) -> text.
        rules: what is known of every rule that a finding of this report carries, by code.
    """

    task: str
    title: str
    verdict: Verdict
    score: int
    block_at: str
    tool: Mapping[str, Json]
    source: Source
    environment: Mapping[str, Json]
    stages: tuple[StageResult, ...]
    acceptance: tuple[Acceptance, ...] = ()
    suppressed: tuple[Suppressed, ...] = ()
    not_run: tuple[NotRun, ...] = ()
    deferred: tuple[Deferred, ...] = ()
    snippets: Mapping[tuple[str, int], str] = field(default_factory=dict)
    rules: Mapping[str, RuleInfo] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Renderer:
    """A report format: a pure function of the report. Writes no files, reads no clock.

    Args:
        name: as in `--format`.
        filename: of the main document in the output folder.
        render: the main document; with `--output -` it is all that stdout carries.
        extras: further files, by name relative to the output folder (stage pages, plots).
    """

    name: str
    filename: str
    summary: str
    render: Callable[[RunReport], str]
    extras: Callable[[RunReport], Mapping[str, str]] = lambda _report: {}
