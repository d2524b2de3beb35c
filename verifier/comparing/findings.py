"""Decides which findings of two reports are the same one, and which way each went."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from verifier.model.comparison import ChangedFinding, Turn
from verifier.model.stage import StageStatus

if TYPE_CHECKING:
    from verifier.saved.report import SavedFinding, SavedReport

_ENDED = (StageStatus.PASSED, StageStatus.FAILED, StageStatus.DEFERRED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sorted:
    """The findings of two reports, each in one place."""

    added: tuple[SavedFinding, ...]
    fixed: tuple[SavedFinding, ...]
    silenced: tuple[SavedFinding, ...]
    undecided: tuple[SavedFinding, ...]
    changed: tuple[ChangedFinding, ...]
    unchanged: int


def sort_findings(old: SavedReport, new: SavedReport) -> Sorted:
    """Match findings by fingerprint, each once: two alike in OLD and one in NEW is one that is fixed."""
    pairs, gone, added = _matched(old.findings, new.findings)
    excused, gone, _ = _matched(gone, new.suppressed)
    ended = {stage.name for stage in new.stages if stage.status in _ENDED}
    changed = [item for item in (_changed(*pair) for pair in pairs) if item is not None]
    quiet = [item.new for item in changed if item.turn is Turn.SAME]
    moved = [item for item in changed if item.turn is not Turn.SAME]
    return Sorted(
        added=tuple(_ranked(added)),
        fixed=tuple(_ranked(finding for finding in gone if finding.stage in ended)),
        silenced=tuple(_ranked([*(after for _, after in excused), *quiet])),
        undecided=tuple(_ranked(finding for finding in gone if finding.stage not in ended)),
        changed=tuple(sorted(moved, key=lambda item: (item.turn is Turn.BETTER, _rank(item.new)))),
        unchanged=len(pairs) - len(changed),
    )


def _matched(
    old: Iterable[SavedFinding], new: Iterable[SavedFinding]
) -> tuple[list[tuple[SavedFinding, SavedFinding]], list[SavedFinding], list[SavedFinding]]:
    """Return the pairs, what only `old` has, and what only `new` has."""
    waiting: dict[str, list[SavedFinding]] = defaultdict(list)
    for finding in new:
        waiting[finding.fingerprint].append(finding)
    pairs, gone = [], []
    for finding in old:
        alike = waiting[finding.fingerprint]
        if alike:
            match = next((one for one in alike if one.stage == finding.stage), alike[0])
            alike.remove(match)
            pairs.append((finding, match))
        else:
            gone.append(finding)
    return pairs, gone, [finding for rest in waiting.values() for finding in rest]


def _changed(old: SavedFinding, new: SavedFinding) -> ChangedFinding | None:
    """Say what became of a finding; SAME where only a baseline excuses it now, None where nothing did."""
    if new.severity != old.severity:
        turn = Turn.WORSE if new.severity > old.severity else Turn.BETTER
        return ChangedFinding(old=old, new=new, turn=turn, why=f"{old.severity.name} became {new.severity.name}")
    if new.places != old.places:
        turn = Turn.WORSE if new.places > old.places else Turn.BETTER
        return ChangedFinding(old=old, new=new, turn=turn, why=f"{old.places} places became {new.places}")
    if new.baselined and not old.baselined:
        return ChangedFinding(old=old, new=new, turn=Turn.SAME, why="in the baseline now")
    if new.blocking != old.blocking:
        turn = Turn.WORSE if new.blocking else Turn.BETTER
        return ChangedFinding(old=old, new=new, turn=turn, why="blocks now" if new.blocking else "blocks no more")
    return None


def _ranked(findings: Iterable[SavedFinding]) -> list[SavedFinding]:
    return sorted(findings, key=_rank)


def _rank(finding: SavedFinding) -> tuple[object, ...]:
    return not finding.blocking, -finding.severity, finding.path, finding.line, finding.rule, finding.message
