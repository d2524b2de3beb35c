"""Decides what a report must admit: each line follows from what this run did not do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reports.facts import section, text, texts, whole
from reports.figures import listed, plural, sentence
from verifier.api import StageStatus

if TYPE_CHECKING:
    from collections.abc import Iterable

    from reports.facts import Row
    from verifier.api import RunReport, StageResult

_EXECUTES = ("integration", "performance")


def limitations(report: RunReport, stages: Iterable[StageResult], *, task: bool) -> tuple[str, ...]:
    """Return the lines of a task's page, or of a stage's page where `task` is false."""
    ran = [stage for stage in stages if stage.status in (StageStatus.PASSED, StageStatus.FAILED)]
    said = [*_rules_left_out(report), *_ignored_in_files(report)]
    said += [sentence(line) for stage in ran for line in texts(stage.facts, "limitations")]
    if task:
        said += [sentence(f"Stage `{stage.name}` was not run: {stage.reason}") for stage in report.not_run]
        executed = any(stage.name in _EXECUTES for stage in ran)
        if not executed:
            said.append("No code was run: imports, tests and training were judged by reading only.")
        device = text(report.environment, "device")
        if executed and device and "cuda" not in device.lower():
            said.append(f"Measured on {device} only: nothing here says how the code behaves on CUDA.")
        said += _of_source(report)
    return tuple(said)


def narrowed(report: RunReport) -> tuple[str, ...]:
    """Say in one line, for the head of a page, that the command line left rules out."""
    chosen = section(report.tool, "selection")
    if not chosen:
        return ()
    blocking = whole(chosen, "blocking")
    worse = f", and {plural(blocking, 'finding')} of theirs would block" if blocking else ""
    rules = whole(chosen, "rules")
    return (f"{plural(rules, 'rule')} {'was' if rules == 1 else 'were'} left out by `{_asked(chosen)}`{worse}.",)


def _rules_left_out(report: RunReport) -> list[str]:
    chosen = section(report.tool, "selection")
    if not chosen:
        return []
    codes = listed(texts(chosen, "left_out"), 60)
    return [f"Neither shown nor counted, by `{_asked(chosen)}`: {codes}{_hidden(chosen)}."]


def _asked(chosen: Row) -> str:
    names = [(option, texts(chosen, option)) for option in ("select", "ignore")]
    return " ".join(f"--{option} {','.join(codes)}" for option, codes in names if codes)


def _ignored_in_files(report: RunReport) -> list[str]:
    ignored = section(report.tool, "per_file_ignores")
    if not ignored:
        return []
    files = listed([f"`{path}`" for path in texts(ignored, "files")], 5)
    codes = listed(texts(ignored, "rules"), 20)
    return [f"Neither shown nor counted, by `per-file-ignores`: {codes} in {files}{_hidden(ignored)}."]


def _hidden(hidden: Row) -> str:
    findings, blocking = whole(hidden, "findings"), whole(hidden, "blocking")
    worse = f", {blocking} of which would block" if blocking else ""
    return f"; {plural(findings, 'finding')}{worse}" if findings else "; they found nothing"


def _of_source(report: RunReport) -> list[str]:
    if report.source.commit is None:
        return ["The tree is not under git: only the digests in `report.json` say what was judged."]
    if report.source.dirty:
        return ["The tree holds uncommitted changes: the commit alone does not reproduce this report."]
    return []
