"""What changed between two reports of one task."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from verifier.saved.report import SavedFinding, SavedReport

COMPARISON_SCHEMA = "verifier-comparison/1"


class Turn(StrEnum):
    """Which way something went. CHANGED: it moved, and nobody can say whether that is good."""

    BETTER = "better"
    WORSE = "worse"
    SAME = "same"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangedFinding:
    """A finding that both reports have, and that got better or worse."""

    old: SavedFinding
    new: SavedFinding
    turn: Turn
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangedStatus:
    """A stage or a gate (`stage:gate`) whose status is another one; "" where it is not in that report."""

    name: str
    old: str
    new: str
    turn: Turn
    evidence: str = ""
    blocks: bool = False  # now, and did not before


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedFigure:
    """A measured number of both reports. SAME: the intervals overlap, so the difference may be noise."""

    name: str
    unit: str
    old: float
    new: float
    old_interval: tuple[float, float]
    new_interval: tuple[float, float]
    turn: Turn
    note: str = ""  # why they cannot be compared


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two reports of one task, side by side.

    Args:
        silenced: no longer counted, though still there: a comment or the baseline excuses them now.
        undecided: of OLD, from stages that did not come to an end in NEW: nobody knows whether they are gone.
        notes: what makes the two less comparable.
    """

    old: SavedReport
    new: SavedReport
    added: tuple[SavedFinding, ...]
    fixed: tuple[SavedFinding, ...]
    silenced: tuple[SavedFinding, ...]
    undecided: tuple[SavedFinding, ...]
    changed: tuple[ChangedFinding, ...]
    unchanged: int
    statuses: tuple[ChangedStatus, ...]
    figures: tuple[ComparedFigure, ...]
    notes: tuple[str, ...] = ()

    @property
    def blocks(self) -> bool:
        """Say whether something blocks in NEW that did not in OLD."""
        return (
            any(finding.blocking for finding in self.added)
            or any(item.new.blocking and not item.old.blocking for item in self.changed)
            or any(item.blocks for item in self.statuses)
            or (self.new.verdict.value == "BLOCK" and self.old.verdict.value == "PASS")
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparisonFormat:
    """A format of it: a pure function."""

    name: str
    summary: str
    render: Callable[[Comparison], str]
