"""Judge the runs of training scripts: they come to their end, and train on the way."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from amp_runtime.wire import Emulated, SanitizerReport, ScriptEnd
from stages.integration.alarms import Watching, is_own
from stages.integration.causes import Cause, Subject, origin_of, place, raised_text, traceback_evidence
from stages.integration.endings import cause_of_probe, causes_of_ending
from stages.integration.gates import GATES, SCRIPTS
from stages.integration.judged import Judged
from stages.integration.remedies import remedy_for
from stages.integration.rules import (
    run004_timeout,
    run008_nonfinite_loss,
    run016_amp_without_effect,
    run019_script_fails,
    run020_no_training_step,
    run021_sanitizer_replaced,
)
from stages.integration.training_runs import IMPACT, NONFINITE
from verifier.api import Gate, GateStatus, Location, StageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from amp_runtime.wire import ScriptUnit
    from stages._probe.limits import Limits
    from stages._probe.records import ProbeReport, UnitReport
    from verifier.api import Json, RuleInfo

_ONE_PROCESS = (
    "Only the process that was started is watched: where the training runs in processes that it starts "
    "(torch.multiprocessing.spawn, a launcher), start one worker by itself."
)
_NO_CUDA = ("not compiled with CUDA", "Found no NVIDIA driver", "No CUDA GPUs are available")
_MODES = {"": "", "amp": " under AMP", "fp32": " in FP32"}
_EMULATED = " on an emulated CUDA device"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptRun:
    """One run of a script as it was reported. `causes` says what is wrong with it by itself."""

    script: ScriptUnit
    subject: Subject
    unit: UnitReport | None
    report: SanitizerReport | None
    end: ScriptEnd | None
    causes: tuple[Cause, ...]

    @property
    def finished(self) -> bool:
        """Whether it came to its end in order, and trained on the way."""
        return self.end is not None and not self.end.exit_code and not self.causes

    @property
    def watching(self) -> Watching:
        amp = self.script.mode != "fp32"
        return Watching(name=self.subject.name, start=self.subject.location, amp=amp, report=self.report)


def script_name(script: ScriptUnit) -> str:
    """Return what a reader calls the run: the script as it was named, and its mode."""
    return f"{script.shown}{_MODES[script.mode]}{_EMULATED if script.emulate else ''}"


def read_scripts(
    scripts: Sequence[ScriptUnit], places: Sequence[Location], report: ProbeReport, limits: Limits
) -> list[ScriptRun]:
    """Return what became of each script.

    Args:
        places: where each of them is written.

    Raises:
        StageError: a device was to be emulated, and cannot be here.
    """
    items = [item for unit in report.units.values() for item in unit.items if isinstance(item, Emulated)]
    for item in items:
        if item.problem:
            raise StageError(f"CUDA cannot be emulated here: {item.problem}")
    return [
        _read(script, location, report.units.get(str(number)), report, limits)
        for number, (script, location) in enumerate(zip(scripts, places, strict=True))
    ]


def judge_scripts(runs: Sequence[ScriptRun], report: ProbeReport, allowed: Limits) -> Judged:
    causes = [cause for run in runs for cause in (*run.causes, *_switch(run))]
    never = [run for run in runs if run.unit is None]
    if never and not causes:
        causes += filter(None, [cause_of_probe(report, never[0].subject, allowed)])
    emulated = [item for run in runs if run.unit for item in run.unit.items if isinstance(item, Emulated)]
    limits = [f"under emulation: {line}" for item in emulated for line in item.limits]
    problems = [problem for run in runs if run.report for problem in run.report.problems]
    return Judged(
        checks_run=len(runs) - len(never),
        causes=tuple(causes),
        gates=(
            Gate(
                name=SCRIPTS,
                requirement=GATES[SCRIPTS],
                status=GateStatus.PASS if all(run.finished for run in runs) else GateStatus.FAIL,
                evidence="; ".join(map(_said, runs)),
            ),
        ),
        facts=_device(runs),
        limitations=tuple(dict.fromkeys([*problems, *limits])),
    )


def _device(runs: Sequence[ScriptRun]) -> dict[str, Json]:
    devices = sorted({device for run in runs if run.end for device in run.end.devices})
    if any(run.script.emulate for run in runs):
        return {"device": "cpu, emulating cuda"}
    return {"device": ", ".join(devices)} if devices else {}


def _said(run: ScriptRun) -> str:
    name = run.subject.name
    if run.unit is None:
        return f"{name}: not run"
    steps = run.report.watched.steps if run.report else 0
    if not run.finished:
        why = run.causes[0].rule.name if run.causes else f"{run.unit.result.status} by what the sanitizer says below"
        return f"{name}: {why}, after {steps} steps"
    how = "ended there as asked" if run.end is not None and run.end.stopped else "ran to its end"
    return f"{name}: {steps} steps, {how}"


def _read(
    script: ScriptUnit, location: Location, unit: UnitReport | None, report: ProbeReport, limits: Limits
) -> ScriptRun:
    name = script_name(script)
    subject = Subject(name=name, doing=f"running {name}", location=location)
    items = unit.items if unit else ()
    reports = [item for item in items if isinstance(item, SanitizerReport)]
    end = next((item for item in items if isinstance(item, ScriptEnd)), None)
    run = ScriptRun(
        script=script, subject=subject, unit=unit, report=reports[-1] if reports else None, end=end, causes=()
    )
    if unit is None:
        return run
    causes = [_with_steps(cause) for cause in causes_of_ending(unit.result, subject, report, limits)]
    causes += _failed(run)
    causes = causes or _nothing_shown(run)
    return replace(run, causes=(*causes, *_replaced(run)))


def _with_steps(cause: Cause) -> Cause:
    if cause.rule is not run004_timeout.RULE:
        return cause
    more = "A training that is only long ends after N of its steps with `verify run --steps N`."
    return replace(cause, remediation=f"{cause.remediation} {more}")


def _cause(rule: RuleInfo, subject: Subject, message: str, remediation: str) -> Cause:
    key = (subject.location, message.removeprefix(subject.name))  # in FP32 and under AMP it is one cause
    at = subject.location
    return Cause(
        rule=rule, subject=subject, key=key, message=message, location=at, remediation=remediation, impact=IMPACT
    )


def _failed(run: ScriptRun) -> list[Cause]:
    assert run.unit is not None
    failure, subject = run.unit.result.failure, run.subject
    if failure is not None:
        if _is_told(run, place(failure.frames, subject.location)):
            return []
        message = f"{subject.name} raises {raised_text(failure)} ({run.unit.result.phase})."
        remedy = remedy_for(failure, "Correct the line shown.")
        if any(sign in failure.message for sign in _NO_CUDA):
            remedy = "It needs CUDA, which is not here; `verify run --emulate cuda` runs it on the CPU as if it were."
        cause = _cause(run019_script_fails.RULE, subject, message, remedy)
        location = place(failure.frames, subject.location)
        key = (failure.type, failure.message, location)
        evidence = (traceback_evidence(failure),)
        return [replace(cause, location=location, key=key, origin=origin_of(failure), evidence=evidence)]
    if run.end is not None and run.end.exit_code:
        steps = run.report.watched.steps if run.report else 0
        message = f"{subject.name} ended with exit code {run.end.exit_code}, after {steps} training steps."
        remedy = "Start it by hand as shown in the report, and read what it printed; wrong arguments end a script so."
        return [_cause(run019_script_fails.RULE, subject, message, remedy)]
    return []


def _is_told(run: ScriptRun, location: Location) -> bool:
    """Say whether the sanitizer names the line that raises: then torch refused what its alarm is about."""
    last = [alarm.frames[-1] for alarm in (run.report.alarms if run.report else ()) if alarm.frames]
    return any(is_own(frame.path) and (frame.path, frame.line) == (location.path, location.line) for frame in last)


def _nothing_shown(run: ScriptRun) -> list[Cause]:
    """Return what keeps a run that ended well from having shown anything."""
    assert run.unit is not None
    subject, report = run.subject, run.report
    if run.unit.result.status == "raised":
        return []
    if report is None or run.end is None:
        message = f"{subject.name} ended, and what the sanitizer saw of it is missing."
        remedy = "Find what ends the process or closes its files before Python itself comes to an end."
        return [_cause(run020_no_training_step.RULE, subject, message, remedy)]
    watched = report.watched
    if not watched.steps:
        why = "no backward ran in it" if not watched.backwards else "no torch optimizer was stepped in it"
        message = f"{subject.name} ended without a single training step: {why}."
        return [_cause(run020_no_training_step.RULE, subject, message, _ONE_PROCESS)]
    bad = [one for one in report.timeline if one.loss is not None and not math.isfinite(one.loss)]
    lost = next((one for one in bad if not one.skipped and not one.planted), None)
    if lost is None:
        return []
    message = f"{subject.name}: the loss of training step {lost.step} is {lost.loss}, and the optimizer was stepped."
    return [_cause(run008_nonfinite_loss.RULE, subject, message, NONFINITE)]


def _switch(run: ScriptRun) -> list[Cause]:
    """Return what is wrong where the arguments that switch AMP on or off do not do so."""
    if not run.finished or run.report is None or not run.script.mode:
        return []
    regions, amp = run.report.watched.autocast, run.script.mode == "amp"
    if bool(regions) == amp:
        return []
    did = "enters no autocast region" if amp else f"enters autocast regions ({', '.join(regions)}) all the same"
    remedy = "Correct `amp` and `fp32` of the script in the configuration, or pass the switch on to where autocast is."
    return [_cause(run016_amp_without_effect.RULE, run.subject, f"{run.subject.name} {did}.", remedy)]


def _replaced(run: ScriptRun) -> list[Cause]:
    if run.report is None or not run.report.replaced:
        return []
    message = f"{run.subject.name} replaces {', '.join(run.report.replaced)}, so that what goes through is not seen."
    remedy = "Wrap the original with functools.wraps and call it, or do not replace functions of torch."
    return [_cause(run021_sanitizer_replaced.RULE, run.subject, message, remedy)]
