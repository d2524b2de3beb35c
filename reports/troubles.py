"""Decides what a format must say besides findings: what blocks though no finding says it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from verifier.api import GateStatus, StageStatus, one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from verifier.api import StageResult


def unexplained(stages: Iterable[StageResult]) -> Iterator[tuple[str, str]]:
    """Yield what blocks and why: stages that did not end, and failed gates of stages in which no finding blocks."""
    for stage in stages:
        name = one_line(stage.name, 80)
        if stage.status in (StageStatus.ERRORED, StageStatus.SKIPPED):
            yield f"stage {name} {stage.status.value}", one_line(stage.reason) or "no reason given"
        elif not any(item.blocking for item in stage.findings):
            for gate in stage.gates:
                if gate.status is GateStatus.FAIL:
                    yield f"gate {name}:{one_line(gate.name, 80)} FAIL", one_line(gate.evidence)
