"""Says why a process that measured did not bring what it was asked for: the true cause, at the project's own line."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

from stages.performance.measurement import Problem
from verifier.api import Evidence, Location

if TYPE_CHECKING:
    from amp_runtime.wire import Failure, Frame, UnitResult
    from stages._probe.limits import Limits
    from stages._probe.records import ProbeReport, UnitReport

_SLOW = "Find what it waits for; if it is only slow, make it smaller, or give more time with --time-limit."
_CORRECT = "Correct the line shown; FP32 and AMP live in one process while they are timed against each other."
_LARGE = "Make the workload smaller, or allow more with --memory-limit."


def problem_of_unit(name: str, unit: UnitReport, limits: Limits, otherwise: Location) -> Problem | None:
    """Return why a unit ended before its work was done; None where it came to its end."""
    result = unit.result
    if result.failure is not None:
        return _raised(name, result.failure, result.phase, otherwise)
    if result.status == "ok":
        return None
    said, remedy = _ended(result, limits)
    evidence: tuple[Evidence, ...] = ()
    if result.stack_text:
        summary = f"the stack at that moment, innermost line first, during: {result.phase}"
        evidence = (Evidence(kind="traceback", summary=summary, data={"traceback": result.stack_text}),)
    return Problem(
        message=f"{name} {said} during: {result.phase}",
        location=_place(result.stack, otherwise),
        remediation=remedy,
        evidence=evidence,
    )


def problem_of_probe(name: str, report: ProbeReport, otherwise: Location) -> Problem:
    """Return why a unit was never begun."""
    why = {
        "timeout": "the time of the stage was over",
        "memory": "what ran before it used more memory than is allowed",
        "flood": "what ran before it printed more than is allowed",
        "processes": "what ran before it started more processes than are allowed",
    }.get(report.ending, f"the harness ended early ({report.ending} {report.code})")
    if report.ending == "complete":
        why = "the time of the stage was over"
    remedy = "Measure less in one task, or give more time with --time-limit."
    return Problem(message=f"{name} was not begun: {why}", location=otherwise, remediation=remedy)


def _raised(name: str, failure: Failure, phase: str, otherwise: Location) -> Problem:
    text = next((line.strip() for line in failure.message.splitlines() if line.strip()), "")[:200]
    said = f"{failure.type}: {text}" if text else failure.type
    at = f" at {failure.frames[-1].path}:{failure.frames[-1].line}" if failure.frames else ""
    data = {"traceback": failure.text, "type": failure.type}
    return Problem(
        message=f"{name} raises {said} during: {phase}",
        location=_place(failure.frames, otherwise),
        remediation=_CORRECT,
        evidence=(Evidence(kind="traceback", summary=f"{failure.type} was raised{at}", data=data),),
    )


def _ended(result: UnitResult, limits: Limits) -> tuple[str, str]:
    if result.status == "timeout":
        if result.out_of_time:
            return "was stopped as the time of the stage was over,", _SLOW
        return f"did not end within {result.phase_s:.1f} s", _SLOW
    if result.status == "memory":
        return f"used more than {limits.memory_bytes / 2**30:.1f} GiB of memory", _LARGE
    if result.status == "signal":
        return f"was killed by {_signal(result.code)}", "Run it under `python -X faulthandler`; native code crashed."
    if result.status == "flood":
        return "printed more than is allowed", "Print less in a training step."
    if result.status == "processes":
        return "started more processes than are allowed", "Start fewer worker processes."
    remedy = "Remove what ends the process (os._exit, sys.exit, closed descriptors); raise an exception instead."
    return f"ended the process with exit code {result.code}", remedy


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _place(frames: tuple[Frame, ...], otherwise: Location) -> Location:
    return Location(path=frames[-1].path, line=max(1, frames[-1].line)) if frames else otherwise
