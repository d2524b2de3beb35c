"""Decides whether the figures of a run are fit to be kept, and adds them to those of earlier runs."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from stages.performance.baselines.comparing import series_of
from stages.performance.baselines.files import Baseline, MachineKey, SavedRun, load, path_of
from stages.performance.baselines.measured import by_machine, disturbed
from stages.performance.baselines.regression import LEAST, differs
from verifier.api import BaselineError, KeptFile

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from stages.performance.baselines.measured import Figures
    from stages.performance.baselines.regression import Series
    from verifier.api import RunReport

STAGE = "performance"
ANYWAY = '--save-baseline-anyway "REASON"'
_ENOUGH_RUNS = 3


def kept_files(report: RunReport, root: Path, reason: str | None) -> tuple[KeptFile, ...]:
    """Return the files of a run that is kept; none where it did not measure.

    Raises:
        BaselineError: the series are too wide to compare with, nothing tells the machine, or an older file is damaged.
    """
    measurements: list[Mapping[str, Any]] = [
        row
        for stage in report.stages
        if stage.name == STAGE and isinstance(rows := stage.facts.get("measurements"), list)
        for row in rows
        if isinstance(row, dict)
    ]
    if not measurements:
        return ()
    found = by_machine(measurements)
    if not found:
        raise BaselineError(
            "no baseline was saved: no step was timed against the reference work on a machine that can be named"
        )
    if reason is None and (wide := list(_too_wide(found))):
        seen = disturbed(measurements)
        because = f" ({seen[0]}{f'; and {len(seen) - 1} more' if len(seen) > 1 else ''})" if seen else ""
        raise BaselineError(
            f"no baseline was saved: the machine was too noisy{because}: {'; '.join(wide)}; run it again with less "
            f"beside it, or say why it is kept all the same: {ANYWAY}"
        )
    return tuple(_file(report, root, key, figures, reason) for key, figures in found.items())


def _too_wide(found: Mapping[MachineKey, Figures]) -> Iterator[str]:
    """Yield what is known less well than the effect that is to be found."""
    for figures in found.values():
        for name, modes in figures.items():
            for mode, saved in modes.items():
                if saved.high > saved.low * (1 + LEAST) ** 2:
                    off = max(saved.high / saved.step, saved.step / saved.low) - 1
                    yield f"the step of {name} ({mode}) is known to ±{100 * off:.0f} % only"


def _file(report: RunReport, root: Path, key: MachineKey, figures: Figures, reason: str | None) -> KeptFile:
    path = path_of(report.task, key)
    baseline = load(root, report.task, key) or Baseline(task=report.task, key=key, runs=())
    run = SavedRun(
        saved_at=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        commit=report.source.commit,
        dirty=report.source.dirty,
        verifier=str(report.tool.get("version", ""))[:60],
        figures=with_levels(baseline, figures),
        reason=None if reason is None else reason.strip()[:300],
    )
    extended = baseline.extended(run)
    return KeptFile(path=path, text=extended.text(), says=_says(extended))


def with_levels(baseline: Baseline, figures: Figures) -> Figures:
    """Return the figures with the level each belongs to: that of the runs before, or a new one where it differs."""
    series: dict[tuple[str, str], Series] = {}
    for name, modes in figures.items():
        for mode, saved in modes.items():
            if (found := series_of(baseline, (name, mode), (saved,))) is not None:
                series[name, mode] = found
    leveled: Figures = {}
    for name, modes in figures.items():
        leveled[name] = {
            mode: dataclasses.replace(saved, level=_level(baseline, (name, mode), series))
            for mode, saved in modes.items()
        }
    return leveled


def _level(baseline: Baseline, name: tuple[str, str], series: Mapping[tuple[str, str], Series]) -> int:
    if name not in series:
        return 1
    last = next(
        run.figures[name[0]][name[1]].level
        for run in reversed(baseline.runs)
        if name[1] in run.figures.get(name[0], {})
    )
    beside = {"\0".join(other): one for other, one in series.items() if other != name}
    return last + differs(series[name], beside)


def _says(baseline: Baseline) -> str:
    runs = len(baseline.runs)
    counted = "the first run" if runs == 1 else f"{runs} runs"
    more = "" if runs >= _ENOUGH_RUNS else f"; save {_ENOUGH_RUNS} at least, so that it is known how much runs differ"
    return f"{counted} of this machine class{more}"
