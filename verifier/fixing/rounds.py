"""Applies repairs round by round. Each round is judged like any tree, and what did not help is taken back."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from verifier.edits import SourceText
from verifier.fixing.proposals import compatible, merged, proposals
from verifier.model.finding import Severity
from verifier.model.fix import FixContext
from verifier.model.stage import StageStatus
from verifier.sources import EditedFile, SourceTree

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from verifier.fixing.proposals import Key, Proposal
    from verifier.model.finding import Finding
    from verifier.model.fix import Fix
    from verifier.model.report import RunReport
    from verifier.model.rule import RuleInfo
    from verifier.model.task import Config

_BREAKING = ("SYN", "IMP", "SCP")  # what a repair breaks, and not what another fault hid until now
_ROUNDS = 40  # judgements of the tree; a round without trouble needs one
_Counts = Counter[tuple[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fixed:
    """What came of it.

    Args:
        sources: every file, as it is after the fixes.
        report: the judgement of that tree.
        applied: what was done, in order.
        withdrawn: what was tried and taken back, as the tree was no better for it.
        unsafe: what is left for `--unsafe`.
    """

    sources: SourceTree
    report: RunReport
    applied: tuple[Proposal, ...]
    withdrawn: tuple[Proposal, ...]
    unsafe: tuple[Proposal, ...]


@dataclass(slots=True, kw_only=True)
class Fixer:
    """Fixes one tree.

    Args:
        judge: runs the static stages over a tree.
    """

    config: Config
    fixes: Mapping[str, Fix]
    rules: Mapping[str, RuleInfo]
    judge: Callable[[SourceTree], RunReport]
    unsafe: bool = False

    def fix(self, sources: SourceTree) -> Fixed:
        """Apply every repair that is allowed, until none is left that helps. Writes nothing."""
        report = self.judge(sources)
        applied: list[Proposal] = []
        withdrawn: dict[Key, Proposal] = {}
        alone: set[str] = set()
        found = self._proposals(report, sources)
        for _ in range(_ROUNDS):
            allowed = [item for item in found if item.key not in withdrawn and (self.unsafe or item.safety == "safe")]
            chosen = compatible(allowed, alone=alone)
            if not chosen:
                break
            tree = edited(sources, chosen)
            if refused := _refused(tree, chosen):
                _hold_back(refused, chosen, alone, withdrawn)
                continue
            after = self.judge(tree)
            if doubtful := _doubtful(report, after, chosen):
                _hold_back(doubtful, chosen, alone, withdrawn)
                continue
            sources, report = tree, after
            applied += chosen
            found = self._proposals(report, sources)
        left = [item for item in found if item.key not in withdrawn and item.safety == "unsafe"]
        return Fixed(
            sources=sources,
            report=report,
            applied=tuple(applied),
            withdrawn=tuple(withdrawn.values()),
            unsafe=() if self.unsafe else tuple(left),
        )

    def _proposals(self, report: RunReport, sources: SourceTree) -> list[Proposal]:
        return proposals(report, self.fixes, self.rules, FixContext(self.config, sources))


def edited(sources: SourceTree, chosen: Iterable[Proposal]) -> SourceTree:
    """Return the tree with the edits of all proposals made."""
    files = {file.path: file for file in sources}
    for path, edits in merged(chosen).items():
        data = files[path].data
        assert data is not None
        files[path] = EditedFile(files[path], SourceText.of(data).edited(edits))
    return SourceTree(sources.root, files.values())


def _refused(tree: SourceTree, chosen: Iterable[Proposal]) -> set[str]:
    """Return the paths of files that do not compile any more."""
    paths = {path for proposal in chosen for path in proposal.repair.edits}
    return {path for path in paths if (file := tree.get(path)) is None or not _compiles(path, file.data or b"")}


def _compiles(path: str, data: bytes) -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            compile(data, path, "exec", dont_inherit=True)
        except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError):
            return False
    return True


def _doubtful(before: RunReport, after: RunReport, chosen: Sequence[Proposal]) -> set[str]:
    """Return the files whose repairs did not do what they promise.

    Of each rule, a file must have as many findings less as were repaired; and nothing that is as grave as what was
    repaired there may be new anywhere.
    """
    touched = {path for item in chosen for path in item.repair.edits}
    if any(stage.status is StageStatus.ERRORED for stage in after.stages):
        return touched
    old, new = _counted(before), _counted(after)
    mended = Counter((item.finding.rule, item.finding.location.path) for item in chosen)
    severity = {(item.rule, item.location.path): item.severity for item in _found(after)}
    found: set[str] = set()
    for key, count in new.items():
        if count <= old[key] - mended[key]:
            continue
        here = {key[1]} & touched or touched
        there = [item for item in chosen if here & item.repair.edits.keys()]
        if not mended[key] and all(key[0] in item.reveals for item in there):
            continue
        grave = min(item.finding.severity for item in there)
        breaks = key[0].startswith(_BREAKING) and severity[key] >= Severity.MEDIUM
        if mended[key] or breaks or severity[key] >= max(grave, Severity.LOW):
            found |= here
    return found


def _counted(report: RunReport) -> _Counts:
    return Counter((finding.rule, finding.location.path) for finding in _found(report))


def _found(report: RunReport) -> Iterator[Finding]:
    return (item.finding for stage in report.stages for item in stage.findings)


def _hold_back(doubtful: set[str], chosen: Sequence[Proposal], alone: set[str], withdrawn: dict[Key, Proposal]) -> None:
    """Try the repairs of these files one at a time; withdraw one that was alone already."""
    for path in doubtful:
        here = [item for item in chosen if path in item.repair.edits]
        if len(here) == 1:
            withdrawn[here[0].key] = here[0]
        alone |= {other for item in here for other in item.repair.edits}
