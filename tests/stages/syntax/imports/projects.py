"""Small projects on disk, judged as stage 1 would."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from stages._source.environment import environment
from stages._source.parsing import parse
from stages.syntax.imports.judge import Imports, ImportsOutcome, ImportsRequest, judge_imports
from stages.syntax.imports.tree_scan import scan_tree
from verifier.api import Finding, SourceFile, SourceTree

if TYPE_CHECKING:
    from stages._source.records import FileScan


def write(root: Path, files: Mapping[str, str]) -> Path:
    for path, text in files.items():
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(textwrap.dedent(text), "utf-8")
    return root


def request(
    root: Path,
    only: Sequence[str] | None = None,
    source_roots: tuple[str, ...] = (".",),
    *,
    want_full_facts: bool = True,
) -> ImportsRequest:
    """Return a request for all Python files below the root, or `only` some, the rest for `scan_more`."""
    everything = sorted(path.relative_to(root).as_posix() for path in root.rglob("*.py"))
    chosen = _read(root, everything if only is None else only)
    rest = _read(root, sorted(set(everything) - {file.path for file in chosen}))
    return ImportsRequest(
        root=root,
        source_roots=source_roots,
        files=SourceTree(root, chosen),
        scans=_scans(chosen),
        parse=parse,
        environment=environment(),
        scan_more=lambda: (rest, _scans(rest)),
        want_full_facts=want_full_facts,
    )


def judge(root: Path, files: Mapping[str, str], only: Sequence[str] | None = None) -> ImportsOutcome:
    return judge_imports(request(write(root, files), only))


def imports_of(root: Path, files: Mapping[str, str]) -> Imports:
    return Imports(request(write(root, files)))


def codes(outcome: ImportsOutcome) -> list[tuple[str, str]]:
    return [(finding.rule, finding.severity.name) for finding in outcome.findings]


def findings(outcome: ImportsOutcome, code: str) -> list[Finding]:
    return [finding for finding in outcome.findings if finding.rule == code]


def fails_from(outcome: ImportsOutcome) -> set[str]:
    return {name for cycle in outcome.cycles for name in cycle.fails_from}


def _read(root: Path, paths: Sequence[str]) -> list[SourceFile]:
    return [SourceFile(path, root / path) for path in paths]


def _scans(files: Sequence[SourceFile]) -> dict[str, FileScan]:
    return {file.path: scan_tree(file.path, parse(file)) for file in files}
