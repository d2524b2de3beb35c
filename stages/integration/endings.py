"""Judge how a process ended: only one that came to its own end, with all its evidence, is in order."""

from __future__ import annotations

import signal
from dataclasses import replace
from typing import TYPE_CHECKING

from amp_runtime.wire import CHANNEL_LOST, UnitResult
from stages._probe.records import STATUS_BY_ENDING
from stages.integration.causes import Cause, Subject, first_line, place
from stages.integration.rules import (
    run004_timeout,
    run005_early_exit,
    run006_killed_by_signal,
    run007_memory_limit,
    run012_import_shadowed,
    run013_output_flood,
    run014_process_left_behind,
    run015_evidence_forged,
    run018_process_limit,
    run022_source_rewritten,
)
from verifier.api import Evidence, Location

if TYPE_CHECKING:
    from stages._probe.limits import Limits
    from stages._probe.records import ProbeReport
    from verifier.api import Json, RuleInfo


def causes_of_ending(result: UnitResult, subject: Subject, report: ProbeReport, limits: Limits) -> list[Cause]:
    """Return what is wrong with the way a process ended, whatever it was doing. Empty: it came to its own end."""
    causes = []
    if cause := _ending(result, subject, report, limits):
        causes.append(cause)
    if result.survivors:
        causes.append(_left_behind(result, subject))
    if result.forged:
        causes.append(_forged(subject, result.forged))
    if result.strays:
        causes.append(_strayed(result, subject))
    return causes


def _ending(result: UnitResult, subject: Subject, report: ProbeReport, limits: Limits) -> Cause | None:
    if result.status == "timeout":
        return _timeout(result, subject, limits)
    if result.status == "exited":
        return _exited(result, subject)
    if result.status == "signal":
        return _signalled(result, subject, limits)
    if result.status == "memory":
        return _memory(result, subject, report, limits)
    if result.status == "flood":
        return _flood(result, subject, limits)
    if result.status == "processes":
        return _processes(result, subject, limits)
    if result.status == "lost":
        return _lost(result, subject, report)
    return None


def _cause(
    rule: RuleInfo, subject: Subject, message: str, remediation: str, result: UnitResult, impact: str = ""
) -> Cause:
    evidence: tuple[Evidence, ...] = ()
    if result.stack_text:
        evidence = (
            Evidence(
                kind="traceback",
                summary=f"the stack at that moment, innermost line first, during: {result.phase}",
                data={"traceback": result.stack_text, "phase": result.phase},
            ),
        )
    location = place(result.stack, subject.location)
    return Cause(
        rule=rule,
        subject=subject,
        key=(result.status, result.code, location if result.stack else subject.name),
        message=message,
        location=location,
        remediation=remediation,
        impact=impact,
        evidence=evidence,
    )


def _timeout(result: UnitResult, subject: Subject, limits: Limits) -> Cause:
    where = f"; it was executing line {result.stack[-1].line} of {result.stack[-1].path}" if result.stack else ""
    total = f"{limits.time_s:.0f} s were left of the stage's time"
    message = f"{_sentence_start(subject.doing)} did not end within {result.phase_s:.1f} s and was stopped{where}."
    if subject.doing.startswith("training"):
        message = f"{_sentence_start(subject.doing)}: {result.phase} did not end within {result.phase_s:.1f} s{where}."
    if result.out_of_time:
        message = f"The time of the stage ran out while {subject.doing} ({result.phase}){where}."
    if result.phase == "interpreter exit":
        message = f"{_sentence_start(subject.doing)} ended, but the process then hung at its exit{where}."
    remediation = (
        "Find what this line waits for: a loop without an end, a lock that is held, a queue or process that is gone. "
        f"If it is only slow, make it smaller or give more time with --time-limit ({limits.phase_s:.0f} s are allowed "
        f"for one step of work; {total})."
    )
    return _cause(
        run004_timeout.RULE, subject, message, remediation, result, "A merge gate or training job hangs here."
    )


def _exited(result: UnitResult, subject: Subject) -> Cause:
    if result.code >= CHANNEL_LOST and result.code <= CHANNEL_LOST + 1:
        what = "closed file descriptors that it did not open, or deleted its scratch folder"
        message = f"{_sentence_start(subject.doing)} {what}, so that its result was lost."
        remediation = "Close only what this code opened itself; look for os.closerange or close_fds in its own code."
        return _cause(run005_early_exit.RULE, subject, message, remediation, result)
    line = f" at {result.stack[-1].path}:{result.stack[-1].line}" if result.stack else ""
    message = (
        f"{_sentence_start(subject.doing)} ended the process with exit code {result.code}{line}, "
        f"before the check was complete."
    )
    remediation = "Remove the call that ends the process (os._exit, or an exit in C code); raise an exception instead."
    return _cause(
        run005_early_exit.RULE,
        subject,
        message,
        remediation,
        result,
        "Every program that runs this stops without a word.",
    )


def _signalled(result: UnitResult, subject: Subject, limits: Limits) -> Cause:
    name = signal_name(result.code)
    message = f"{_sentence_start(subject.doing)} was killed by {name}."
    remediation = "Run it under `python -X faulthandler` and follow the stack shown; native code called here crashed."
    if result.code == signal.SIGXCPU:
        message = f"{_sentence_start(subject.doing)} used more processor time than it may, and was stopped."
        remediation = f"Find the loop that does not end ({limits.time_s:.0f} s on every core were allowed)."
    if result.code == signal.SIGKILL:
        remediation = "The verifier did not send it: look for os.kill in the code, or for the kernel's memory limit."
    return _cause(run006_killed_by_signal.RULE, subject, message, remediation, result)


def _memory(result: UnitResult, subject: Subject, report: ProbeReport, limits: Limits) -> Cause:
    used, allowed = report.peak_bytes / 2**30, limits.memory_bytes / 2**30
    message = (
        f"{_sentence_start(subject.doing)} used {used:.2f} GiB where {allowed:.2f} GiB are allowed, and was stopped."
    )
    remediation = (
        "Find what grows: a list that keeps losses with their graphs, a cache without a bound, a batch too large. "
        "If this much is really needed, allow it with --memory-limit."
    )
    cause = _cause(run007_memory_limit.RULE, subject, message, remediation, result)
    summary = f"the process tree held {used:.2f} GiB during: {result.phase}"
    data: dict[str, Json] = {"used_bytes": report.peak_bytes, "limit_bytes": limits.memory_bytes}
    return replace(cause, evidence=(Evidence(kind="measurement", summary=summary, data=data), *cause.evidence))


def _flood(result: UnitResult, subject: Subject, limits: Limits) -> Cause:
    message = f"{_sentence_start(subject.doing)} printed more than {limits.flood_bytes >> 20} MiB and was stopped."
    remediation = "Find the loop that prints; log every n-th step instead of every one."
    return _cause(run013_output_flood.RULE, subject, message, remediation, result)


def _processes(result: UnitResult, subject: Subject, limits: Limits) -> Cause:
    message = f"{_sentence_start(subject.doing)} had more than {limits.processes} processes at once and was stopped."
    remediation = "Find the loop that starts processes; start a fixed number of workers and join them."
    return _cause(run018_process_limit.RULE, subject, message, remediation, result)


def _lost(result: UnitResult, subject: Subject, report: ProbeReport) -> Cause:
    how = (
        f"killed by {signal_name(report.code)}" if report.ending == "signal" else f"ended with exit code {report.code}"
    )
    message = (
        f"While {subject.doing}, the verifier's own harness process was {how}, which only this code can have done."
    )
    remediation = "Look for os.kill, os.killpg or a signal sent to the parent process."
    return _cause(run006_killed_by_signal.RULE, subject, message, remediation, result)


def _left_behind(result: UnitResult, subject: Subject) -> Cause:
    commands = "; ".join(first_line(command, 80) for command in result.survivors[:3])
    message = f"{_sentence_start(subject.doing)} left {len(result.survivors)} process(es) running: {commands}."
    cause = _cause(
        run014_process_left_behind.RULE,
        subject,
        message,
        "Stop what was started: terminate() and join() in a fixture or finally block, or use a with statement.",
        result,
    )
    names: list[Json] = [first_line(command) for command in result.survivors]
    evidence = Evidence(kind="command", summary="processes alive 2 s after it had ended", data={"processes": names})
    return replace(cause, key=("survivors", subject.name), evidence=(evidence,))


def _forged(subject: Subject, count: int) -> Cause:
    return Cause(
        rule=run015_evidence_forged.RULE,
        subject=subject,
        key=("forged", subject.name),
        message=f"While {subject.doing}, {count} record(s) not written by the harness came through its result channel.",
        location=subject.location,
        remediation="Find the code that writes to file descriptors it did not open, and remove it.",
    )


def _strayed(result: UnitResult, subject: Subject) -> Cause:
    names = ", ".join(result.strays[:5]) + (" and more" if len(result.strays) > 5 else "")
    return Cause(
        rule=run012_import_shadowed.RULE,
        subject=subject,
        key=("strays",),
        message=f"{_sentence_start(subject.doing)} loaded {names} from the project's folder, not from the copy "
        "that is verified.",
        location=subject.location,
        remediation="Remove what puts the folder on sys.path by its absolute name; build the path from __file__.",
    )


def causes_of_rewriting(report: ProbeReport, doing: str) -> list[Cause]:
    """Return a cause for each source file of the copy that was written to."""
    return [
        Cause(
            rule=run022_source_rewritten.RULE,
            subject=Subject(name=path, doing=doing, location=Location(path=path)),
            key=(path,),
            message=f"While {doing}, something wrote to {path}, or replaced it.",
            location=Location(path=path),
            remediation="Write what is generated to a file of its own, outside the sources under review.",
        )
        for path in report.rewritten
    ]


def cause_of_probe(report: ProbeReport, subject: Subject, limits: Limits) -> Cause | None:
    """Return why a probe as a whole ended early, or None."""
    if report.foreign:
        return _forged(subject, report.foreign)
    if report.ending == "complete":
        return None
    status = STATUS_BY_ENDING.get(report.ending, "lost")
    result = UnitResult(
        unit="", status=status, phase="between two units", duration_s=report.duration_s, code=report.code
    )
    return _ending(result, subject, report, limits)


def signal_name(number: int) -> str:
    try:
        return f"{signal.Signals(number).name} ({signal.strsignal(number) or 'no description'})"
    except ValueError:
        return f"signal {number}"


def _sentence_start(text: str) -> str:
    return text[:1].upper() + text[1:]
