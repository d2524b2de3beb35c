"""Decides which findings of a report can be mended, and which of their repairs go together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from verifier.edits import UneditableError
from verifier.notebooks.file import NotebookFile

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from verifier.edits import Edit
    from verifier.model.finding import Finding
    from verifier.model.fix import Fix, FixContext, Repair, Safety
    from verifier.model.report import RunReport
    from verifier.model.rule import RuleInfo
    from verifier.model.stage import Reported

Key = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A finding, and the edits that mend it."""

    reported: Reported
    repair: Repair
    safety: Safety
    reveals: tuple[str, ...] = ()

    @property
    def finding(self) -> Finding:
        return self.reported.finding

    @property
    def key(self) -> Key:
        """What makes it the same proposal in the next round, when lines have moved."""
        return self.finding.rule, self.reported.fingerprint


def propose(
    reported: Reported, fixes: Mapping[str, Fix], rules: Mapping[str, RuleInfo], context: FixContext
) -> Proposal | None:
    """Return how a finding is mended; None where no fix is known, or none is sound here."""
    finding = reported.finding
    fix = fixes.get(finding.rule)
    file = context.file(finding.location.path)
    if fix is None or file is None or not file.is_python or isinstance(file, NotebookFile):
        return None
    try:
        repair = fix.repair(finding, context)
        if repair is None or not any(repair.edits.values()):
            return None
        for path, edits in repair.edits.items():
            context.text(path).edited(edits)  # whether the file's encoding can write it
    except UneditableError:
        return None
    doubted = finding.severity < rules[finding.rule].severity
    safety: Safety = "unsafe" if doubted else repair.safety or fix.safety
    return Proposal(reported=reported, repair=repair, safety=safety, reveals=fix.reveals)


def proposals(
    report: RunReport, fixes: Mapping[str, Fix], rules: Mapping[str, RuleInfo], context: FixContext
) -> list[Proposal]:
    """Return how the findings of a report are mended, the gravest first."""
    reported = [item for stage in report.stages for item in stage.findings if item.finding.rule in fixes]
    found = (propose(item, fixes, rules, context) for item in reported)
    return sorted(
        (item for item in found if item is not None), key=lambda item: (-item.finding.severity, item.finding.location)
    )


def compatible(candidates: Iterable[Proposal], *, alone: Collection[str] = ()) -> list[Proposal]:
    """Return the proposals that can be applied together; the first come first.

    Two that make the very same edit, an import that both need, make it once.

    Args:
        alone: paths of files of which only one proposal is taken.
    """
    taken: list[Proposal] = []
    edits: dict[str, list[Edit]] = {}
    for proposal in candidates:
        touched = proposal.repair.edits
        if any(path in edits and path in alone for path in touched):
            continue
        if any(_clash(new, edits.get(path, ())) for path, new in touched.items()):
            continue
        taken.append(proposal)
        for path, new in touched.items():
            edits.setdefault(path, []).extend(new)
    return taken


def merged(chosen: Iterable[Proposal]) -> dict[str, list[Edit]]:
    """Return the edits of all proposals by path, each once."""
    edits: dict[str, dict[Edit, None]] = {}
    for proposal in chosen:
        for path, new in proposal.repair.edits.items():
            edits.setdefault(path, {}).update(dict.fromkeys(new))
    return {path: list(found) for path, found in sorted(edits.items())}


def _clash(new: Sequence[Edit], there: Sequence[Edit]) -> bool:
    """Say whether two repairs change the same characters, or insert different texts at the same place."""
    for edit in new:
        for other in there:
            if edit != other and (edit.overlaps(other) or (edit.start, edit.end) == (other.start, other.end)):
                return True
    return False
