"""What the sanitizer said of a run, as findings: their place in the project, their evidence, their values."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from stages.integration.training_runs import json_number
from verifier.api import Evidence, Finding, Location

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from amp_runtime.wire import Alarm, Frame, SanitizerReport
    from verifier.api import Json, RuleInfo

_PLANTED = "It needs an overflow or a NaN in a batch; the sanitizer planted one, as every long training has them."
_INSTALLED = "site-packages/"
_MOST_RUNS = 3  # whose evidence stands with one finding


@dataclass(frozen=True, slots=True, kw_only=True)
class Watching:
    """One run under the sanitizer.

    Args:
        name: as a reader knows the run: "train.py", "work:toy under AMP".
        start: the line to name where an alarm has none in the project.
        amp: the run is one in which mixed precision is to be seen; False for FP32.
        report: None where none came.
    """

    name: str
    start: Location
    amp: bool
    report: SanitizerReport | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Hazard:
    """One hazard at one place, in every run in which it was seen. `frames` is the first stack, project lines only."""

    code: str
    location: Location
    frames: tuple[Frame, ...]
    seen: tuple[tuple[Watching, Alarm], ...]

    @property
    def alarm(self) -> Alarm:
        return self.seen[0][1]

    def evidence(self) -> tuple[Evidence, ...]:
        return tuple(run_evidence(run, alarm) for run, alarm in self.seen[:_MOST_RUNS])


def is_own(path: str) -> bool:
    """Say whether a frame lies in the project: the harness gives those relative to the root."""
    return not path.startswith("/")


def hazards(runs: Sequence[Watching]) -> tuple[Hazard, ...]:
    """Return what was seen, each hazard once, in the order of the runs; what runs under AMP show comes first."""
    found: dict[tuple[str, str, int], Hazard] = {}
    for run in sorted(runs, key=lambda run: not run.amp):
        for alarm in run.report.alarms if run.report else ():
            frames = tuple(frame for frame in alarm.frames if is_own(frame.path))
            place = Location(path=frames[-1].path, line=max(1, frames[-1].line)) if frames else run.start
            key = (alarm.code, place.path, place.line)
            known = found.get(key)
            if known is None:
                found[key] = Hazard(code=alarm.code, location=place, frames=frames, seen=((run, alarm),))
            else:
                found[key] = replace(known, seen=(*known.seen, (run, alarm)))
    return tuple(found.values())


def finding_of(hazard: Hazard, rule: RuleInfo) -> Finding:
    first, alarm = hazard.seen[0]
    others = [run.name for run, _ in hazard.seen[1:]]
    more = f" and {len(others) - _MOST_RUNS} more" if len(others) > _MOST_RUNS else ""
    also = f" It happens in {', '.join(others[:_MOST_RUNS])}{more} too." if others else ""
    planted = f" {_PLANTED}" if all(alarm.planted for _, alarm in hazard.seen) else ""
    return Finding(
        rule=rule.code,
        severity=rule.severity,
        message=f"{alarm.message} Seen in {when(alarm)} of {first.name}.{also}{planted}",
        location=hazard.location,
        symbol=hazard.frames[-1].function if hazard.frames and hazard.frames[-1].function else first.name,
        evidence=hazard.evidence(),
        why=rule.why,
        remediation=alarm.remedy,
    )


def when(alarm: Alarm) -> str:
    if alarm.count == 1:
        return f"step {alarm.step}"
    if alarm.last_step == alarm.step:
        return f"step {alarm.step}, {alarm.count} times,"
    return f"steps {alarm.step} to {alarm.last_step}, {alarm.count} times,"


def run_evidence(run: Watching, alarm: Alarm, **more: Json) -> Evidence:
    data: dict[str, Json] = {"run": run.name, "step": alarm.step, "last_step": alarm.last_step, "count": alarm.count}
    data |= more
    data |= {name: json_number(value) for name, value in alarm.values.items()}
    data |= alarm.notes
    if alarm.planted:
        data["planted"] = True
    if alarm.frames:
        data["stack"] = stack_text(alarm.frames)
    return Evidence(kind="run", summary=f"seen in {when(alarm)} of {run.name}", data=data)


def stack_text(frames: Sequence[Frame]) -> str:
    """Write a stack, outermost first; what lies in installed packages by its place among them."""
    return "\n".join(f"{_shown(frame.path)}:{frame.line} {frame.function}".rstrip() for frame in frames)


def _shown(path: str) -> str:
    before, found, inside = path.rpartition(_INSTALLED)
    return f"{found}{inside}" if before else path


def facts_of(run: Watching) -> Mapping[str, Json]:
    """Return what the report keeps of a run: what there was to watch, the timeline, and every alarm."""
    report = run.report
    if report is None:
        return {"run": run.name, "amp": run.amp, "reported": False}
    watched = report.watched
    steps = report.timeline
    return {
        "run": run.name,
        "amp": run.amp,
        "reported": True,
        "steps": watched.steps,
        "backwards": watched.backwards,
        "optimizer_steps": watched.optimizer_steps,
        "skipped_steps": watched.skipped_steps,
        "scalers": watched.scalers,
        "deep_steps": watched.deep_steps,
        "rested_steps": watched.rested_steps,
        "autocast": dict(watched.autocast),
        "events": dict(watched.events),
        "looked": {code: len(places) for code, places in watched.looked.items()},
        "alarms": [_alarm_fact(alarm) for alarm in report.alarms],
        "timeline": {
            "step": [one.step for one in steps],
            "loss": [_number(one.loss) for one in steps],
            "scale": [_number(one.scale) for one in steps],
            "seconds": [round(one.seconds, 6) for one in steps],
            "skipped": [one.step for one in steps if one.skipped],
            "planted": {str(one.step): one.planted for one in steps if one.planted},
            "deep": [one.step for one in steps if one.deep],
        },
        "problems": list(report.problems),
    }


def _number(value: float | None) -> Json:
    return None if value is None else json_number(value)


def _alarm_fact(alarm: Alarm) -> Json:
    return {
        "code": alarm.code,
        "message": alarm.message,
        "step": alarm.step,
        "last_step": alarm.last_step,
        "count": alarm.count,
        "planted": alarm.planted,
        "place": f"{alarm.frames[-1].path}:{alarm.frames[-1].line}" if alarm.frames else None,
        "values": {name: json_number(value) for name, value in alarm.values.items()},
        "notes": dict(alarm.notes),
    }
