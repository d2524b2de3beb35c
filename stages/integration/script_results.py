"""Judge the runs of training scripts: they come to their end, and train on the way."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from amp_runtime.wire import Emulated, RankSeen, SanitizerReport, ScriptEnd
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

_SEEN = (
    "The process that is started is watched, and so are Python processes that it starts "
    "(torch.distributed.run, torch.multiprocessing); where it trains in others, start one worker by itself."
)
_WHOLE = (
    "Find what ends this process before Python itself comes to an end: os._exit, a signal, a launcher that kills it."
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
    ranks: tuple[RankSeen, ...] = ()

    @property
    def finished(self) -> bool:
        """Whether it came to its end in order, and trained on the way."""
        return self.end is not None and not self.end.exit_code and not self.causes

    @property
    def watching(self) -> tuple[Watching, ...]:
        """Each process that trained; the script itself also where none did."""
        amp, start = self.script.mode != "fp32", self.subject.location
        own = Watching(name=self.subject.name, start=start, amp=amp, report=self.report)
        ranks = [
            Watching(name=rank_name(self.subject, one), start=start, amp=amp, report=one.report) for one in self.ranks
        ]
        return (*([own] if trained(self.report) or not ranks else []), *ranks)

    @property
    def reports(self) -> tuple[SanitizerReport, ...]:
        """What was seen in each process that told."""
        return (*([self.report] if self.report else []), *(one.report for one in self.ranks))

    @property
    def steps(self) -> int:
        """The training steps of the process that did most of them: ranks do theirs together."""
        return max((report.watched.steps for report in self.reports), default=0)


def script_name(script: ScriptUnit) -> str:
    """Return what a reader calls the run: the script as it was named, and its mode."""
    return f"{script.shown}{_MODES[script.mode]}{_EMULATED if script.emulate else ''}"


def trained(report: SanitizerReport | None) -> bool:
    return report is not None and report.watched.steps > 0


def rank_name(subject: Subject, rank: RankSeen) -> str:
    """Return what a reader calls a process that a script started: by its rank, else by its number."""
    if rank.rank is None:
        return f"{subject.name}, process {rank.pid}"
    return f"{subject.name}, rank {rank.rank}" + (f" of {rank.world}" if rank.world else "")


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
    problems = [problem for run in runs for report in run.reports for problem in report.problems]
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
    if not run.finished:
        why = run.causes[0].rule.name if run.causes else f"{run.unit.result.status} by what the sanitizer says below"
        return f"{name}: {why}, after {run.steps} steps"
    how = "ended there as asked" if run.end is not None and run.end.stopped else "ran to its end"
    watched = f" in each of {len(run.watching)} processes" if run.ranks else ""
    return f"{name}: {run.steps} steps{watched}, {how}"


def _read(
    script: ScriptUnit, location: Location, unit: UnitReport | None, report: ProbeReport, limits: Limits
) -> ScriptRun:
    name = script_name(script)
    subject = Subject(name=name, doing=f"running {name}", location=location)
    items = unit.items if unit else ()
    reports = [item for item in items if isinstance(item, SanitizerReport)]
    end = next((item for item in items if isinstance(item, ScriptEnd)), None)
    ranks = tuple(item for item in items if isinstance(item, RankSeen))
    last = reports[-1] if reports else None
    run = ScriptRun(script=script, subject=subject, unit=unit, report=last, end=end, causes=(), ranks=ranks)
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
        message = f"{subject.name} ended with exit code {run.end.exit_code}, after {run.steps} training steps."
        remedy = "Start it by hand as shown in the report, and read what it printed; wrong arguments end a script so."
        return [_cause(run019_script_fails.RULE, subject, message, remedy)]
    return []


def _is_told(run: ScriptRun, location: Location) -> bool:
    """Say whether the sanitizer names the line that raises: then torch refused what its alarm is about."""
    last = [alarm.frames[-1] for report in run.reports for alarm in report.alarms if alarm.frames]
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
    if not run.steps:
        backwards = any(one.watched.backwards for one in run.reports)
        why = "no torch optimizer was stepped in it" if backwards else "no backward ran in it"
        message = f"{subject.name} ended without a single training step: {why}."
        return [_cause(run020_no_training_step.RULE, subject, message, _SEEN)]
    return _missing(run) or _lost(run)


def _missing(run: ScriptRun) -> list[Cause]:
    """Return what was not seen of the processes of a run in which several train together."""
    for rank in run.ranks:
        if not rank.complete:
            name, steps = rank_name(run.subject, rank), rank.report.watched.steps
            message = f"{name}, was ended from outside or by os._exit: what it did after step {steps} is not known."
            return [_cause(run020_no_training_step.RULE, run.subject, message, _WHOLE)]
    expected = max((rank.local_world or 0 for rank in run.ranks), default=0)
    if len(run.watching) < expected:
        message = f"{run.subject.name} trains on {expected} ranks here, and only {len(run.watching)} of them were seen."
        return [_cause(run020_no_training_step.RULE, run.subject, message, _SEEN)]
    return []


def _lost(run: ScriptRun) -> list[Cause]:
    """Return the first step with a loss that is not finite, after which the optimizer was stepped all the same."""
    for watching in run.watching:
        steps = watching.report.timeline if watching.report else ()
        bad = [one for one in steps if one.loss is not None and not math.isfinite(one.loss)]
        lost = next((one for one in bad if not one.skipped and not one.planted), None)
        if lost is not None:
            message = (
                f"{watching.name}: the loss of training step {lost.step} is {lost.loss}, and the optimizer was stepped."
            )
            return [_cause(run008_nonfinite_loss.RULE, run.subject, message, NONFINITE)]
    return []


def _switch(run: ScriptRun) -> list[Cause]:
    """Return what is wrong where the arguments that switch AMP on or off do not do so."""
    if not run.finished or run.report is None or not run.script.mode:
        return []
    amp = run.script.mode == "amp"
    regions = dict.fromkeys(region for report in run.reports for region in report.watched.autocast)
    if bool(regions) == amp:
        return []
    did = "enters no autocast region" if amp else f"enters autocast regions ({', '.join(regions)}) all the same"
    remedy = "Correct `amp` and `fp32` of the script in the configuration, or pass the switch on to where autocast is."
    return [_cause(run016_amp_without_effect.RULE, run.subject, f"{run.subject.name} {did}.", remedy)]


def _replaced(run: ScriptRun) -> list[Cause]:
    replaced = dict.fromkeys(name for report in run.reports for name in report.replaced)
    if not replaced:
        return []
    message = f"{run.subject.name} replaces {', '.join(replaced)}, so that what goes through is not seen."
    remedy = "Wrap the original with functools.wraps and call it, or do not replace functions of torch."
    return [_cause(run021_sanitizer_replaced.RULE, run.subject, message, remedy)]
