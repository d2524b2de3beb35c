"""Decides how a test makes a finding, a stage result or a report in one line."""

from __future__ import annotations

import ast
import functools
import hashlib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from stages.syntax.inventory import inventory
from verifier.api import (
    Config,
    FileRecord,
    Finding,
    Location,
    Related,
    Reported,
    RuleInfo,
    RunOptions,
    RunReport,
    Severity,
    Source,
    SourceTree,
    Stage,
    StageContext,
    StageOutcome,
    StageResult,
    StageStatus,
    Stash,
    Task,
    Verdict,
)
from verifier.plugins import load_plugins
from verifier.selection import source_file

_PLACE = re.compile(r"(?P<path>.*?)(?::(?P<line>[0-9]+))?(?::(?P<column>[0-9]+))?", re.DOTALL)


def location(place: str) -> Location:
    """Read `path`, `path:line` or `path:line:column`."""
    read = _PLACE.fullmatch(place)
    assert read is not None
    return Location(path=read["path"], line=int(read["line"] or 1), column=int(read["column"] or 1))


def finding(
    rule: str = "SCP001", at: str = "pkg/a.py:1", severity: str = "CRITICAL", message: str = "", **fields: Any
) -> Finding:
    related = tuple(Related(location=location(place), message=text) for place, text in fields.pop("related", ()))
    return Finding(
        rule=rule,
        severity=Severity[severity],
        message=message or f"{rule} happened",
        location=fields.pop("location", None) or location(at),
        related=related,
        **fields,
    )


def reported(item: Finding | None = None, name: str = "undefined-name", **fields: Any) -> Reported:
    made = item or finding()
    blocking = fields.pop("blocking", made.severity >= Severity.HIGH)
    text = f"{made.rule} {made.location.path} {made.message}".encode("utf-8", "backslashreplace")
    return Reported(finding=made, name=name, blocking=blocking, fingerprint=hashlib.sha256(text).hexdigest()[:16])


def stage_result(*findings: Reported, number: int = 1, name: str = "syntax", **fields: Any) -> StageResult:
    fails = any(item.blocking for item in findings)
    defaults: dict[str, Any] = {
        "title": name.capitalize(),
        "status": StageStatus.FAILED if fails else StageStatus.PASSED,
        "score": 42 if fails else 100,
        "checks_run": 10,
        "duration_s": 0.25,
    }
    return StageResult(number=number, name=name, findings=findings, **(defaults | fields))


def run_report(*stages: StageResult, **fields: Any) -> RunReport:
    passes = all(stage.status in (StageStatus.PASSED, StageStatus.DEFERRED) for stage in stages)
    files = fields.pop("files", {"pkg/a.py": 10})
    defaults: dict[str, Any] = {
        "task": "T035",
        "title": "Mixed precision training (AMP)",
        "verdict": Verdict.PASS if passes else Verdict.BLOCK,
        "score": min((stage.score for stage in stages), default=100),
        "block_at": "HIGH",
        "tool": {"version": "0.1.0", "plugins": [], "command": "verify T035"},
        "source": Source(commit="0123abc", dirty=False, files=file_records(files)),
        "environment": {"python": "3.11.9", "torch": "2.13.0", "device": "cpu"},
    }
    return RunReport(stages=stages, **(defaults | fields))


def file_records(lines: dict[str, int]) -> tuple[FileRecord, ...]:
    return tuple(
        FileRecord(path=path, sha256=hashlib.sha256(path.encode("utf-8", "surrogatepass")).hexdigest(), lines=count)
        for path, count in lines.items()
    )


def syntax_facts(files: Mapping[str, str]) -> dict[str, Any]:
    """Read the inventory of a small task: sources by path without the suffix, a leading line break dropped."""
    sources = {f"{path}.py": text.removeprefix("\n") for path, text in files.items()}
    return inventory([(path, ast.parse(text), text.splitlines()) for path, text in sorted(sources.items())])


def stage_context(
    root: Path,
    paths: Iterable[str],
    *,
    config: Config | None = None,
    options: RunOptions | None = None,
    **task: Any,
) -> StageContext:
    """A context over files that exist below `root`."""
    sources = SourceTree(root, [source_file(path, root / path) for path in paths])
    return StageContext(
        root=root,
        task=Task(name="T", title="T", files=tuple(file.path for file in sources), **task),
        config=config or Config(root=root),
        sources=sources,
        options=options or RunOptions(),
        stash=Stash(),
        progress=lambda _line: None,
        rules=_every_rule(),
    )


@functools.cache
def _every_rule() -> Mapping[str, RuleInfo]:
    """Return the rules of all plugins: a stage that runs code reports some that another one declares."""
    return load_plugins().rules


def run_stage(stage: Stage, root: Path, paths: Iterable[str], **context: Any) -> StageOutcome:
    """Run one stage over files that exist below `root`, without the core around it."""
    return stage.run(stage_context(root, paths, **context))
