"""AMP128: a scheduler advances in every turn, also where the scaler left the step out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..events import ScalerStepped, SchedulerStepped
from ..phrases import kind
from ..run import NOTHING, Check, Found

if TYPE_CHECKING:
    from ..run import Findings, Run


@dataclass(slots=True)
class _Turns:
    """Of one optimizer: how often it was stepped or left out, and how often it was left out of these."""

    attempts: int = 0
    skipped: int = 0
    last_skipped: bool = False


@dataclass(slots=True)
class _Schedule:
    """Of one scheduler: the attempt at which it stepped last; whether it steps in every turn; what waits for that."""

    at: int = 0
    every_turn: bool = False
    waiting: Found | None = None


def _stepped(event: ScalerStepped, run: Run) -> Findings:
    turns = run.memory("AMP128").setdefault(id(event.optimizer), _Turns())
    turns.attempts += 1
    turns.skipped += event.skipped
    turns.last_skipped = event.skipped
    return None


def _advanced(event: SchedulerStepped, run: Run) -> Findings:
    kept = run.memory("AMP128")
    turns = kept.get(id(event.optimizer))
    if turns is None or not turns.attempts:
        return None  # no scaler steps it
    schedule = kept.setdefault(("scheduler", id(event.scheduler)), _Schedule())
    in_turn = turns.attempts - schedule.at == 1
    known = schedule.every_turn and in_turn  # a second time in a row: not once an epoch
    schedule.at, schedule.every_turn = turns.attempts, in_turn
    found, schedule.waiting = schedule.waiting, None
    if in_turn and turns.last_skipped:
        found = _found(event, turns)
    if found is None:
        return NOTHING
    if known:
        return [found]
    schedule.waiting = found if in_turn else None
    return NOTHING


def _found(event: SchedulerStepped, turns: _Turns) -> Found:
    message = (
        f"{kind(event.scheduler)} advances although the scaler left the step of {kind(event.optimizer)} out:"
        f" {turns.attempts} turns of the schedule are {turns.attempts - turns.skipped} steps so far."
    )
    return Found(message=message, values={"turns": float(turns.attempts), "skipped": float(turns.skipped)})


CHECK = Check(
    code="AMP128",
    remedy="Advance the schedule only if scaler.get_scale() did not fall in scaler.update().",
    hears={ScalerStepped: _stepped, SchedulerStepped: _advanced},
)
