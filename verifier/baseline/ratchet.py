"""Decides what becomes of a baseline after a run: it loses what is gone, and gains only what somebody accepts."""

from __future__ import annotations

import dataclasses
import os
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from verifier.baseline.document import Baseline, Entry, line_in, read_baseline, written
from verifier.baseline.matching import Cover
from verifier.errors import UsageError
from verifier.fingerprints import fingerprints
from verifier.model.finding import Evidence, Finding, Location, Related, Severity
from verifier.model.stage import Reported, StageResult, StageStatus
from verifier.own_rules import STALE_BASELINE
from verifier.scoring import stage_score
from verifier.sources import SourceTree
from verifier.writing.one_file import replace_file

if TYPE_CHECKING:
    from verifier.model.finding import Json

CHECK = "check"
_DECIDED = (StageStatus.PASSED, StageStatus.FAILED, StageStatus.DEFERRED)


class Ratchet:
    """The baseline of one command line, from reading to rewriting.

    Args:
        reason: of `--update-baseline`; None: nothing is added.
        checked: what `verify check` was given, relative to the root; () for tasks.
        running: names of the stages that run code.
    """

    def __init__(
        self, path: Path, root: Path, *, reason: str | None, checked: Sequence[str] = (), running: Collection[str] = ()
    ) -> None:
        if reason is not None and not reason.strip():
            raise UsageError("--update-baseline needs a reason: say why these findings may stay")
        self.path = path
        self._root = root
        self._reason = None if reason is None else " ".join(reason.split())
        self._checked = tuple(checked)
        self._running = frozenset(running)
        self._strict = self._reason is None and in_ci()
        fresh = self._reason is not None and not os.path.lexists(path)
        self._before = Baseline() if fresh else read_baseline(path)
        self._now = self._before
        self._gone: list[Entry] = []
        self._added: list[Entry] = []

    def cover(self, task: str) -> Cover:
        """Return what covers findings while this task is judged."""
        return Cover(self._now.entries, task, adopt=self._reason is not None)

    def settled(self, task: str, stages: tuple[StageResult, ...], left_out: Collection[str]) -> tuple[StageResult, ...]:
        """Take note of what is gone and what is new, and return the stages; in CI those say what is gone.

        Args:
            left_out: codes that this run did not report, about which it knows nothing.
        """
        device = device_of(stages)
        gone = self._gone_from(task, stages, left_out, device)
        self._gone += gone
        if self._strict:
            return tuple(self._with_stale(stage, gone) for stage in stages)
        entries = list((Counter(self._now.entries) - Counter(gone)).elements())
        added = list(self._new(task, stages, entries, device)) if self._reason else []
        self._added += added
        checked = {*self._now.checked, *self._checked} if self._reason else self._now.checked
        self._now = Baseline(entries=tuple(sorted([*entries, *added])), checked=tuple(sorted(checked)))
        return stages

    def facts(self, stages: Iterable[StageResult]) -> Mapping[str, Json]:
        """Return what a report says of the baseline it was judged with."""
        used = sum(item.baselined for stage in stages for item in stage.findings)
        adopted = {"adopted": self._reason} if self._reason else {}
        return {"file": self._shown(), "entries": len(self._before.entries), "findings": used, **adopted}

    def save(self) -> str:
        """Write what has changed, and return one sentence about it; empty where nothing has.

        Raises:
            OutputError: the file cannot be written.
        """
        if self._strict or written(self._now) == written(self._before):
            return ""
        replace_file(self.path, written(self._now))
        said = [f"{_counted(self._gone)} gone and taken out"] if self._gone else []
        said += [f"{_counted(self._added)} accepted"] if self._added else []
        return f"baseline {self.path}: {', '.join(said) or 'written'}; it holds {_counted(self._now.entries)} now"

    def _gone_from(
        self, task: str, stages: Sequence[StageResult], left_out: Collection[str], device: str
    ) -> list[Entry]:
        """Return the entries that this run could have confirmed and did not."""
        decided = {stage.name for stage in stages if stage.status in _DECIDED}
        there = Counter(item.fingerprint for stage in stages for item in stage.findings)
        gone = []
        for entry in self._now.entries:
            if entry.task != task or (task == CHECK and not self._covers_all()):
                continue
            if there[entry.fingerprint]:
                there[entry.fingerprint] -= 1
            elif entry.stage in decided and entry.rule not in left_out and entry.device in ("", device):
                gone.append(entry)
        return gone

    def _covers_all(self) -> bool:
        """Say whether this `verify check` looks at everything that was looked at when findings were accepted.

        What one file shows may depend on others: a smaller check must not take for gone what it could not see.
        """
        here = [PurePosixPath(name) for name in self._checked]
        return all(any(PurePosixPath(name).is_relative_to(path) for path in here) for name in self._now.checked)

    def _new(self, task: str, stages: Iterable[StageResult], entries: Sequence[Entry], device: str) -> Iterable[Entry]:
        known = Counter(entry.fingerprint for entry in entries if entry.task == task)
        for stage in stages:
            for item in stage.findings:
                if not item.baselined:
                    continue
                if known[item.fingerprint]:
                    known[item.fingerprint] -= 1
                    continue
                yield Entry(
                    path=item.finding.location.path,
                    rule=item.finding.rule,
                    severity=item.finding.severity.name,
                    task=task,
                    stage=stage.name,
                    fingerprint=item.fingerprint,
                    reason=self._reason or "",
                    device=device if stage.name in self._running else "",
                    places=1 + len(item.finding.related),
                )

    def _with_stale(self, stage: StageResult, gone: Sequence[Entry]) -> StageResult:
        entries = [entry for entry in gone if entry.stage == stage.name]
        if not entries:
            return stage
        finding = self._stale(entries)
        (mark,) = fingerprints([finding], SourceTree(self._root, ()))
        added = Reported(finding=finding, name=STALE_BASELINE.name, blocking=True, fingerprint=mark)
        findings = (*stage.findings, added)
        score = stage_score(item.finding.severity for item in findings if not item.baselined)
        return dataclasses.replace(stage, status=StageStatus.FAILED, findings=findings, score=score)

    def _stale(self, entries: Sequence[Entry]) -> Finding:
        first, *others = [Location(path=self._shown(), line=line_in(self.path, entry)) for entry in entries]
        text = f"The baseline {self._shown()} is stale: of what it holds, {_counted(entries)} gone."
        return Finding(
            rule=STALE_BASELINE.code,
            severity=Severity.CRITICAL,  # whatever `block-at` says
            message=text,
            location=first,
            related=tuple(Related(location=place, message="gone as well") for place in others),
            evidence=tuple(
                Evidence(kind="source", summary=f"{entry.rule} in {entry.path}, accepted because: {entry.reason}")
                for entry in entries
            ),
            why=STALE_BASELINE.why,
            remediation="Run the same command outside CI, which takes them out, and commit the file.",
        )

    def _shown(self) -> str:
        path = Path(os.path.abspath(self.path))  # noqa: PTH100 - a link stays a link
        inside = path.is_relative_to(self._root)
        return (path.relative_to(self._root) if inside else Path(os.path.relpath(path, self._root))).as_posix()


def in_ci() -> bool:
    """Say whether this is a build server: nobody would commit there what has been rewritten."""
    return os.environ.get("CI", "").lower() not in ("", "0", "false", "no")


def device_of(stages: Iterable[StageResult]) -> str:
    """Return the device on which code was run; empty where none was."""
    return next((str(stage.facts["device"]) for stage in stages if stage.facts.get("device")), "")


def _counted(entries: Sequence[Entry]) -> str:
    return "1 finding" if len(entries) == 1 else f"{len(entries)} findings"
