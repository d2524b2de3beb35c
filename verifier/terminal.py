"""What a person sees while `verify` works and when it is done: progress on stderr, the summary on stdout."""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from verifier.app import Observer
from verifier.model.finding import Severity
from verifier.model.report import RunReport, Verdict
from verifier.model.stage import StageStatus
from verifier.printable import inert, one_line
from verifier.streams import complain

if TYPE_CHECKING:
    from verifier.model.stage import Gate, Reported, Stage, StageResult

_SHOWN = 10
_NAME = 120
_PATH = 400
_COLOURS = {
    "PASS": "green",
    "PASSED": "green",
    "BLOCK": "red",
    "FAILED": "red",
    "ERRORED": "red",
    "SKIPPED": "yellow",
    "DEFERRED": "yellow",
    "CRITICAL": "red",
    "HIGH": "red",
    "MEDIUM": "yellow",
    "LOW": "cyan",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Terminal:
    """How to speak to this terminal."""

    colour: bool
    progress: bool
    quiet: bool
    verbose: bool = False

    def paint(self, text: str, word: str | None = None, *, bold: bool = False) -> str:
        colour = _COLOURS.get(word or text)
        return click.style(text, fg=colour, bold=bold) if self.colour and (colour or bold) else text


def make_terminal(colour: str, *, progress: bool, quiet: bool, verbose: bool) -> Terminal:
    """Honour --color, NO_COLOR, and streams that are no terminals."""
    wanted = colour == "always" or (colour == "auto" and sys.stdout.isatty() and not os.environ.get("NO_COLOR"))
    return Terminal(colour=wanted, progress=progress, quiet=quiet, verbose=verbose)


@contextmanager
def watching(terminal: Terminal, task: str) -> Iterator[Observer]:
    """Yield an observer: a live line on a terminal, one plain line per stage elsewhere, nothing when quiet."""
    if terminal.quiet or not terminal.progress:
        yield Observer()
    elif sys.stderr.isatty() and not os.environ.get("CI"):
        with _live(task) as observer:
            yield observer
    else:
        yield _plain(task, verbose=terminal.verbose)


@contextmanager
def passing_on(terminal: Terminal, _task: str) -> Iterator[Observer]:
    """Yield an observer that passes on what the code prints, to stderr, as it comes; nothing when quiet."""

    def output(data: bytes) -> None:
        with suppress(OSError, ValueError):  # nobody reads any more: the run goes on, and its verdict counts
            sys.stderr.buffer.write(data)
            sys.stderr.buffer.flush()

    yield Observer() if terminal.quiet else Observer(output=output)


@contextmanager
def _live(task: str) -> Iterator[Observer]:
    from rich.console import Console  # noqa: PLC0415 - 37 ms that only a terminal is worth
    from rich.text import Text  # noqa: PLC0415 - not a string, in which rich would look for markup

    console = Console(stderr=True, highlight=False)
    current = ""
    with console.status(Text(one_line(f"{task}: starting"))) as status:

        def started(stage: Stage) -> None:
            nonlocal current
            current = one_line(f"{task}: stage {stage.number} {stage.name}")
            status.update(Text(current))

        def progress(line: str) -> None:
            status.update(Text(one_line(f"{current}: {line}")[: console.width - 4]))

        yield Observer(started=started, progress=progress)


def _plain(task: str, *, verbose: bool) -> Observer:
    begin = time.monotonic()

    def say(line: str) -> None:
        complain(f"verify: {one_line(task, _NAME)}: {one_line(line)}")

    def finished(result: StageResult) -> None:
        say(f"{result.name}: {result.status} after {time.monotonic() - begin:.1f} s")

    return Observer(
        started=lambda stage: say(f"{stage.name}: running"),
        finished=finished,
        progress=(say) if verbose else (lambda _line: None),
    )


def summary(report: RunReport, terminal: Terminal, written: tuple[Path, ...]) -> str:
    """Return the summary of one task for a person: verdict first, then what blocks, then where to read on."""
    paint = terminal.paint
    task, title = one_line(report.task, _NAME), one_line(report.title)
    lines = [f"{paint(report.verdict, bold=True)}  {task}  {report.score}/100  {title}", ""]
    for stage in report.stages:
        lines += [_stage_line(stage, paint), *_said(stage)]
    blocking = [item for stage in report.stages for item in stage.findings if item.blocking]
    if blocking:
        lines += ["", *(_finding_line(item, paint) for item in blocking[:_SHOWN])]
        if len(blocking) > _SHOWN:
            lines.append(f"  and {len(blocking) - _SHOWN} more that block")
    failed = [(stage, gate) for stage in report.stages for gate in stage.gates if gate.status == "FAIL"]
    if failed:
        lines += ["", *(_gate_line(stage, gate) for stage, gate in failed[:_SHOWN])]
    lines += ["", _closing(report)]
    lines += [f"report: {one_line(_short(path), _PATH)}" for path in written]
    return inert("\n".join(lines))


def internal_failures(report: RunReport) -> list[str]:
    """Return a sentence for each stage in which the verifier itself failed."""
    return [
        f"stage {one_line(stage.name, _NAME)} could not finish: {_first_line(stage.reason)}; "
        "this says nothing about the code"
        for stage in report.stages
        if stage.internal
    ]


def _said(stage: StageResult) -> list[str]:
    """Return the few lines in which a stage sums itself up, if it does (`facts["summary"]`)."""
    said = stage.facts.get("summary")
    lines = [line for line in said if isinstance(line, str)] if isinstance(said, Sequence) else []
    more = [f"      and {len(lines) - _SHOWN} more"] * (len(lines) > _SHOWN)
    return [f"      {one_line(line)}" for line in lines[:_SHOWN]] + more


def _stage_line(stage: StageResult, paint: object) -> str:
    assert callable(paint)
    counts = Counter(item.finding.severity for item in stage.findings)
    found = ", ".join(
        f"{counts[level]} {level.name.lower()}" for level in sorted(Severity, reverse=True) if counts[level]
    )
    score = "  -" if stage.status is StageStatus.SKIPPED else f"{stage.score:3d}"
    detail = _first_line(stage.reason) if stage.reason.strip() else f"{stage.checks_run} checks"
    status = paint(f"{stage.status:8s}", str(stage.status))
    return (
        f"  {stage.number} {one_line(stage.name, _NAME):12s} {status} {score}  {stage.duration_s:6.2f} s  {detail}"
        + (f"; {found}" if found else "")
    )


def _finding_line(item: Reported, paint: object) -> str:
    assert callable(paint)
    place = item.finding.location
    level = paint(item.finding.severity.name, item.finding.severity.name)
    path = one_line(place.path, _PATH)
    return f"  {path}:{place.line}:{place.column}: {item.finding.rule} {level} {one_line(item.finding.message)}"


def _gate_line(stage: StageResult, gate: Gate) -> str:
    return f"  gate {one_line(f'{stage.name}:{gate.name}', _NAME)} FAIL: {one_line(gate.evidence)}"


def _first_line(reason: str) -> str:
    return one_line(reason.strip().split("\n", maxsplit=1)[0]) or "no reason given"


def _closing(report: RunReport) -> str:
    parts = [f"verdict {report.verdict}"]
    if report.verdict is Verdict.PASS and report.not_run:
        parts.append(f"of the stages that ran; not run: {_named(item.name for item in report.not_run)}")
    elif report.not_run:
        parts.append(f"not run: {_named(item.name for item in report.not_run)}")
    if report.deferred:
        waiting = _named(f"{item.stage}:{item.gate}" for item in report.deferred)
        parts.append(f"{len(report.deferred)} gates deferred: {waiting}")
    if report.suppressed:
        parts.append(f"{len(report.suppressed)} findings suppressed")
    known = sum(item.baselined for stage in report.stages for item in stage.findings)
    if known:
        parts.append(f"{known} finding{'' if known == 1 else 's'} in the baseline")
    chosen = report.tool.get("selection")
    if isinstance(chosen, Mapping):
        parts.append(f"{chosen['rules']} rules left out by --select or --ignore")
    return "; ".join(parts)


def _named(names: Iterable[str]) -> str:
    return ", ".join(one_line(name, _NAME) for name in names)


def _short(path: Path) -> str:
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
