"""Decides which stages and gates of two reports have another status, and which of them block now."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from verifier.model.comparison import ChangedStatus, Turn

if TYPE_CHECKING:
    from verifier.saved.report import SavedReport

_RANK = {"PASS": 0, "PASSED": 0, "WARN": 1, "DEFERRED": 2, "SKIPPED": 3, "FAIL": 4, "FAILED": 4, "ERRORED": 5}
_BLOCKS = ("FAIL", "FAILED", "ERRORED", "SKIPPED")


def compare_statuses(old: SavedReport, new: SavedReport) -> tuple[ChangedStatus, ...]:
    """Return what changed: stages first, in their order, then gates."""
    evidence = {name: gate.evidence for name, gate in new.gates.items()}
    stages = _changes(_stages(old), _stages(new), {})
    return (*stages, *_changes(_gates(old), _gates(new), evidence))


def _stages(report: SavedReport) -> dict[str, str]:
    return {stage.name: stage.status.value for stage in report.stages}


def _gates(report: SavedReport) -> dict[str, str]:
    return {name: gate.status.value for name, gate in report.gates.items()}


def _changes(old: Mapping[str, str], new: Mapping[str, str], evidence: Mapping[str, str]) -> Iterator[ChangedStatus]:
    for name in dict.fromkeys((*old, *new)):
        before, after = old.get(name, ""), new.get(name, "")
        if before != after:
            yield ChangedStatus(
                name=name,
                old=before,
                new=after,
                turn=_turn(before, after),
                evidence=evidence.get(name, ""),
                blocks=after in _BLOCKS and before not in _BLOCKS,
            )


def _turn(before: str, after: str) -> Turn:
    """Say which way it went; what one of the two did not run went nowhere."""
    if not before or not after:
        return Turn.CHANGED
    return Turn.WORSE if _RANK[after] > _RANK[before] else Turn.BETTER
