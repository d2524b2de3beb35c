"""Decides the gate `regression` by the saved runs of this machine class: PASS, FAIL, inconclusive, or deferred."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stages.performance.baselines.comparing import Compared, compare
from stages.performance.baselines.files import load, others, path_of
from stages.performance.baselines.measured import by_machine
from stages.performance.baselines.regression import LEAST, METHOD, Outcome
from stages.performance.rules import prf003_performance_regression, prf006_unusable_baseline
from verifier.api import BaselineError, Evidence, Finding, Gate, GateStatus, Location

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from stages.performance.baselines.files import Baseline, MachineKey
    from stages.performance.baselines.measured import Figures
    from verifier.api import Json

GATE = "regression"
_REMEDY = (
    "Find the change that did it (git bisect with `verify TASK --stage performance`), or, where it is wanted, keep the "
    'new figures: verify {task} --save-baseline-anyway "REASON".'
)


class _Word(enum.IntEnum):
    """What one part says; the largest decides."""

    SAME = 0
    DEFERRED = 1
    UNCLEAR = 2
    WORSE = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is asked of a run.

    Args:
        least: the smallest effect that matters, by workload; what is not named is not compared.
        text: of the requirement, as a reader writes it.
        place: where it is written.
    """

    task: str
    least: Mapping[str, float]
    text: str
    place: Location


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdicts:
    """The gate, the findings behind it, and what a report shows of the saved runs."""

    gate: Gate
    findings: tuple[Finding, ...]
    facts: list[Json]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """What one class of machines says."""

    word: _Word
    text: str
    fact: dict[str, Json]
    names: frozenset[str] = frozenset()
    findings: tuple[Finding, ...] = ()


def everything(measurements: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Return the default: every workload, and the least effect that matters unless a requirement says otherwise."""
    return {str(one.get("name")): LEAST for one in measurements}


def has_any(root: Path, task: str, measurements: Sequence[Mapping[str, Any]]) -> bool:
    """Say whether there is a stored baseline of a machine class that was measured, usable or not."""
    return any((root / path_of(task, key)).exists() for key in by_machine(measurements))


def decide(
    root: Path,
    asked: Asked,
    measurements: Sequence[Mapping[str, Any]],
    requirement: str,
    *,
    strict: bool,
    again: Sequence[Mapping[str, Any]] = (),
) -> Verdicts:
    """Compare a run with the stored baselines of its machine classes.

    Args:
        measurements: as in the facts of the stage.
        requirement: of the gate, in general.
        strict: where the figures do not decide, the gate fails.
        again: of further processes, for what was `suspects`.
    """
    more = [by_machine([one]) for one in again]
    parts = [
        _part(root, asked, key, figures, [found[key] for found in more if key in found])
        for key, figures in by_machine(measurements).items()
    ]
    compared = {name for part in parts for name in part.names}
    rest = [name for name in asked.least if name not in compared]
    word = max([part.word for part in parts], default=_Word.DEFERRED)
    said = [part.text for part in parts]
    if not parts:
        said.append("no step was timed against the reference work on a machine that can be named")
    elif rest and compared:
        word = max(word, _Word.DEFERRED)
        said.append(f"not in the baseline: {', '.join(rest)}; add it with --save-baseline")
    status = {_Word.SAME: GateStatus.PASS, _Word.DEFERRED: GateStatus.DEFERRED, _Word.WORSE: GateStatus.FAIL}
    gate = Gate(
        name=GATE,
        requirement=f"{requirement}: {asked.text}" if asked.text else requirement,
        status=status.get(word, GateStatus.FAIL if strict else GateStatus.WARN),
        evidence="; ".join(said),
    )
    findings = tuple(finding for part in parts for finding in part.findings)
    return Verdicts(gate=gate, findings=findings, facts=[part.fact for part in parts])


def suspects(verdicts: Verdicts) -> list[str]:
    """Return the workloads that one process alone shows to be slower: two more have to bear it out."""
    rows = [row for fact in verdicts.facts if isinstance(fact, dict) for row in _rows(fact)]
    return list(dict.fromkeys(str(row["name"]) for row in rows if row["suspect"]))


def _rows(fact: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return list(fact["comparisons"])


def _part(root: Path, asked: Asked, key: MachineKey, figures: Figures, again: Sequence[Figures]) -> _Part:
    path = path_of(asked.task, key)
    fact: dict[str, Json] = {"path": path, "key": key.document(), "runs": 0, "method": METHOD, "comparisons": []}
    try:
        baseline = load(root, asked.task, key)
    except BaselineError as error:
        return _Part(
            word=_Word.WORSE, text=str(error), fact=fact | {"note": str(error)}, findings=(_unusable(path, error),)
        )
    if baseline is None:
        why = _absent(root, asked.task, key)
        return _Part(word=_Word.DEFERRED, text=why, fact=fact | {"note": why})
    compared = compare(baseline, figures, asked.least, again)
    outcomes = [one.outcome(asked.least[one.name]) for one in compared]
    fact |= {
        "runs": len(baseline.runs),
        "comparisons": [one.fact(asked.least[one.name]) for one in compared],
        "history": _history(baseline),
        "now": [
            {"name": name, "mode": mode, "step": saved.step, "low": saved.low, "high": saved.high}
            for name, modes in figures.items()
            for mode, saved in modes.items()
        ],
    }
    return _Part(
        word=_word(outcomes),
        text=_said(compared, outcomes),
        fact=fact,
        names=frozenset(one.name for one in compared),
        findings=tuple(_worse(asked, one) for one, outcome in zip(compared, outcomes, strict=True) if _bad(outcome)),
    )


def _bad(outcome: Outcome) -> bool:
    return outcome is Outcome.WORSE


def _word(outcomes: Sequence[Outcome]) -> _Word:
    words = {Outcome.SAME: _Word.SAME, Outcome.INCONCLUSIVE: _Word.UNCLEAR, Outcome.WORSE: _Word.WORSE}
    return max((words[outcome] for outcome in outcomes), default=_Word.DEFERRED)


def _said(compared: Sequence[Compared], outcomes: Sequence[Outcome]) -> str:
    """Return what decides first; of what is unclear, what would help."""
    worst = sorted(
        zip(compared, outcomes, strict=True), key=lambda pair: (pair[1] is Outcome.SAME, -pair[0].change.ratio)
    )
    said = [f"{one.text()}: {outcome.value}" for one, outcome in worst]
    if Outcome.INCONCLUSIVE in outcomes:
        few = min(one.change.runs for one in compared)
        said.append(
            f"{'few runs are saved' if few < 3 else 'runs differ much here'}: save more with --save-baseline, or "
            "measure on a calmer machine"
        )
    return "; ".join(said) or "nothing that was measured is in the baseline"


def _absent(root: Path, task: str, key: MachineKey) -> str:
    count = others(root, task, key)
    elsewhere = f", only of {count} other{'' if count == 1 else 's'}" if count else ""
    return (
        f"there is no baseline of this machine class ({key.machine}, torch {key.torch}, {key.threads} threads)"
        f"{elsewhere}; save one: verify {task} --save-baseline"
    )


def _history(baseline: Baseline) -> list[Json]:
    """Return the saved runs figure by figure, oldest first."""
    found: dict[tuple[str, str], list[Json]] = {}
    for run in baseline.runs:
        for name, modes in run.figures.items():
            for mode, saved in modes.items():
                found.setdefault((name, mode), []).append(
                    {
                        "saved_at": run.saved_at,
                        "commit": run.commit,
                        "step": saved.step,
                        "low": saved.low,
                        "high": saved.high,
                        "level": saved.level,
                    }
                )
    return [{"name": name, "mode": mode, "points": points} for (name, mode), points in sorted(found.items())]


def _worse(asked: Asked, one: Compared) -> Finding:
    rule, least = prf003_performance_regression.RULE, asked.least[one.name]
    return Finding(
        rule=rule.code,
        severity=rule.severity,
        message=f"{one.text()}, and {100 * least:.3g} % matter.",
        location=asked.place,
        symbol=f"{one.name} {one.mode}",
        evidence=(Evidence(kind="measurement", summary=METHOD, data=one.fact(least)),),
        why=rule.why,
        remediation=_REMEDY.format(task=asked.task),
    )


def _unusable(path: str, error: BaselineError) -> Finding:
    rule = prf006_unusable_baseline.RULE
    return Finding(
        rule=rule.code,
        severity=rule.severity,
        message=f"{error}.",
        location=Location(path=path),
        symbol=path,
        evidence=(Evidence(kind="source", summary=str(error)),),
        why=rule.why,
        remediation="Restore the file from version control, or remove it and save a new one with --save-baseline.",
    )
