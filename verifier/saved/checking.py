"""Decides whether a saved report still holds: the same files, and a verdict that follows from what it lists."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from verifier.baseline.document import read_baseline
from verifier.errors import VerifierError
from verifier.model.report import Proof, Verdict
from verifier.model.stage import GateStatus, StageStatus
from verifier.scoring import stage_score
from verifier.sources import read_regular
from verifier.writing.checksums import LIST, read_list

if TYPE_CHECKING:
    from verifier.saved.report import SavedReport, SavedStage

_GOOD = (StageStatus.PASSED, StageStatus.DEFERRED)
_BROKEN_OFF = (StageStatus.ERRORED, StageStatus.SKIPPED)
_SHOWN = 10


def what_does_not_hold(report: SavedReport, root: Path, selected: Sequence[str] | None) -> list[str]:
    """Return one sentence for each reason why the report says nothing, or nothing any more, about the tree.

    Args:
        selected: the files that its task selects now; None where nobody can know.
    """
    return [
        *_altered(report),
        *_changed_files(report, root, selected),
        *_changed_configuration(report, root),
        *_baseline(report, root),
        *_unfounded(report),
    ]


def what_contradicts(report: SavedReport) -> list[str]:
    """Return one sentence for each reason why the report cannot be as it was written, whatever the tree is now."""
    return [*_altered(report), *_unfounded(report)]


def _unfounded(report: SavedReport) -> Iterator[str]:
    """Say where statuses, scores and the verdict do not follow from what the report lists."""
    for stage in report.stages:
        yield from _stage(report, stage)
    yield from _verdict(report)
    yield from _acceptance(report)


def _altered(report: SavedReport) -> Iterator[str]:
    listed = read_list(report.path.parent / LIST).get(report.path.name)
    if listed is not None and listed != _digest(report.path):
        yield f"{report.path.name} was altered after it was written: {LIST} beside it lists another digest"


def _changed_files(report: SavedReport, root: Path, selected: Sequence[str] | None) -> Iterator[str]:
    if not report.files:
        yield "it names no file that was judged"
    gone, other = [], []
    for path, digest in report.files.items():
        now = _digest(root / path)
        if now is None and digest != hashlib.sha256(b"").hexdigest():  # as a file is listed that could not be read
            gone.append(path)
        elif now is not None and now != digest:
            other.append(path)
    for paths, what in ((other, "changed"), (gone, "gone or unreadable")):
        if paths:
            yield f"{what}: {_listed(paths)}"
    if selected is not None and (new := sorted(set(selected) - set(report.files))):
        yield f"never judged, though the task selects it now: {_listed(new)}"


def _changed_configuration(report: SavedReport, root: Path) -> Iterator[str]:
    configuration = report.tool.get("configuration")
    if not isinstance(configuration, dict):
        return
    path, digest = configuration.get("path"), configuration.get("sha256")
    if not isinstance(path, str) or not isinstance(digest, str) or _digest(root / path) != digest:
        yield f"the configuration has changed: {path}"


def _baseline(report: SavedReport, root: Path) -> Iterator[str]:
    """Say which of the findings that a baseline excused it does not excuse now."""
    used = [finding for finding in report.findings if finding.baselined]
    if not used:
        return
    told = report.tool.get("baseline")
    name = told.get("file") if isinstance(told, dict) else None
    if not isinstance(name, str):
        yield f"{len(used)} findings are in a baseline that it does not name"
        return
    try:
        known = {entry.fingerprint for entry in read_baseline(root / name).entries}
    except VerifierError as error:
        yield str(error)
        return
    missing = [finding for finding in used if finding.fingerprint not in known]
    if missing:
        yield f"no longer in the baseline {name}: {_listed([f'{one.rule} in {one.path}' for one in missing])}"


def _stage(report: SavedReport, stage: SavedStage) -> Iterator[str]:
    for finding in stage.findings:
        if finding.blocking != (finding.severity >= report.block_at and not finding.baselined):
            yield f"{stage.name}: {finding.rule} at {finding.path}:{finding.line} is marked wrongly as blocking or not"
    score = stage_score(finding.severity for finding in stage.findings if not finding.baselined)
    if stage.score != score:
        yield f"{stage.name}: its findings make the score {score}, not {stage.score}"
    if stage.status in _BROKEN_OFF:
        return
    status = _status(stage)
    if stage.status is not status:
        yield f"{stage.name}: its findings and gates make it {status}, not {stage.status}"
    if stage.checks_run < 1:
        yield f"{stage.name}: it ran no check, so it cannot be {stage.status}"


def _status(stage: SavedStage) -> StageStatus:
    failed = any(gate.status is GateStatus.FAIL for gate in stage.gates)
    if failed or any(finding.blocking for finding in stage.findings):
        return StageStatus.FAILED
    if stage.gates and all(gate.status is GateStatus.DEFERRED for gate in stage.gates):
        return StageStatus.DEFERRED
    return StageStatus.PASSED


def _verdict(report: SavedReport) -> Iterator[str]:
    good = bool(report.stages) and all(stage.status in _GOOD for stage in report.stages)
    verdict = Verdict.PASS if good else Verdict.BLOCK
    if report.verdict is not verdict:
        yield f"its stages make the verdict {verdict}, not {report.verdict}"
    score = min((stage.score for stage in report.stages), default=0)
    if report.score != score:
        yield f"its stages make the score {score}, not {report.score}"
    deferred = {name for name, gate in report.gates.items() if gate.status is GateStatus.DEFERRED}
    if report.deferred != deferred:
        yield f"its list of deferred gates is not that of its stages: {_listed(sorted(report.deferred ^ deferred))}"


def _acceptance(report: SavedReport) -> Iterator[str]:
    for line in report.acceptance:
        found = [report.gates[name].status if name in report.gates else None for name in line.proven_by]
        passed = [status in (GateStatus.PASS, GateStatus.WARN) for status in found]
        open_ones = [status is GateStatus.DEFERRED for status in found]
        if all(passed):
            status = Proof.PROVEN
        elif all(one or other for one, other in zip(passed, open_ones, strict=True)):
            status = Proof.DEFERRED
        else:
            status = Proof.NOT_PROVEN
        if line.status is not status:
            yield f'the acceptance line "{line.text[:60]}" is {status} by its gates, not {line.status}'


def _digest(path: Path) -> str | None:
    try:
        return hashlib.sha256(read_regular(path, None)).hexdigest()
    except (OSError, ValueError):
        return None


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
