"""Decides the few sentences that open a page: what was found, which gates failed, what stays undecided."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reports.figures import listed, plural
from reports.findings import counted
from reports.rows import StageGate, gates_of
from verifier.api import GateStatus, StageStatus

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reports.findings import Judged
    from verifier.api import StageResult

_UNDECIDED = (StageStatus.ERRORED, StageStatus.SKIPPED)


def summary(stages: Sequence[StageResult], judged: Sequence[Judged], silenced: int, *, whole: bool) -> tuple[str, ...]:
    lines = [_findings(judged), _gates(gates_of(stages), whole=whole)]
    undecided = [f"`{stage.name}` {stage.status.value}" for stage in stages if stage.status in _UNDECIDED]
    if undecided:
        lines.append(f"Not decided, and so not passed: {listed(undecided)}.")
    known = sum(item.reported.baselined for item in judged)
    if known:
        lines.append(f"{plural(known, 'finding')} accepted in the baseline: shown, not counted against this run.")
    if silenced:
        lines.append(f"{plural(silenced, 'finding')} silenced by a comment in the code.")
    return tuple(line for line in lines if line)


def _findings(judged: Sequence[Judged]) -> str:
    blocking = [item for item in judged if item.reported.blocking]
    other = [item for item in judged if not item.reported.blocking]
    if not judged:
        return "No findings."
    if not blocking:
        return f"Nothing found blocks ({counted(other)})."
    verb = "blocks" if len(blocking) == 1 else "block"
    if not other:
        return f"{plural(len(blocking), 'finding')} {verb} ({counted(blocking)})."
    rest = f"; {counted(other)} {'does' if len(other) == 1 else 'do'} not" if other else ""
    return f"{len(blocking):,} of {plural(len(judged), 'finding')} {verb} ({counted(blocking)}){rest}."


def _gates(gates: Sequence[StageGate], *, whole: bool) -> str:
    if not gates:
        return ""
    failed = [pair for pair in gates if pair.gate.status is GateStatus.FAIL]
    deferred = sum(pair.gate.status is GateStatus.DEFERRED for pair in gates)
    wait = f", {deferred} deferred" if deferred else ""
    if failed:
        named = listed(f"`{pair.label if whole else pair.gate.name}`" for pair in failed)
        return f"{len(failed)} of {plural(len(gates), 'gate')} failed{wait}: {named}."
    warned = sum(pair.gate.status is GateStatus.WARN for pair in gates)
    warning = f" ({warned} with a warning)" if warned else ""
    return f"{len(gates) - deferred} of {plural(len(gates), 'gate')} passed{warning}{wait}."
