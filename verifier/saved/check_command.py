"""`verify check-report FILE`: does a report still hold for its tree, and does its verdict follow from what it lists."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from verifier import __version__
from verifier.commands import load_for
from verifier.config import find_root
from verifier.errors import ExitCode, UsageError
from verifier.git import commit_and_dirty
from verifier.model.report import Verdict
from verifier.plugins import load_plugins
from verifier.saved.checking import what_does_not_hold
from verifier.saved.report import read_report
from verifier.selection import MARKERS, task_sources
from verifier.streams import say

if TYPE_CHECKING:
    from verifier.plugins import Plugins
    from verifier.saved.report import SavedReport


def run_check_report(path: Path, root: Path | None) -> int:
    """Say whether the report holds for the tree at `root`; return 0 only where it does and its verdict is PASS.

    Args:
        root: None: the nearest project at or above the report, else at or above the current folder.

    Raises:
        UsageError: the file is no report, or there is no such folder.
    """
    report = read_report(path)
    tree = _root(path, root)
    plugins = load_plugins()
    problems = what_does_not_hold(report, tree, _selected(report, tree, plugins))
    lines = [f"note: {note}" for note in _notes(report, tree, plugins)]
    if problems:
        lines += [f"  {problem}" for problem in problems]
        lines.append(f"does not hold for {tree}: {report.task} {report.verdict} {report.score}/100; run verify again")
    else:
        parts = [f"{len(report.files)} file{'' if len(report.files) == 1 else 's'}"]
        parts += [f"not run: {', '.join(report.not_run)}"] if report.not_run else []
        lines.append(f"holds for {tree}: {report.task} {report.verdict} {report.score}/100, {'; '.join(parts)}")
    say("\n".join(map(_printable, lines)))
    return ExitCode.PASS if not problems and report.verdict is Verdict.PASS else ExitCode.BLOCK


def _root(path: Path, root: Path | None) -> Path:
    if root is not None:
        if not root.is_dir():
            raise UsageError(f"--root {root}: there is no such folder")
        return root.resolve()
    above = find_root(path.resolve(), markers=MARKERS)
    return above or find_root(Path.cwd(), markers=MARKERS) or Path.cwd()


def _selected(report: SavedReport, root: Path, plugins: Plugins) -> list[str] | None:
    """Return the files that the task of the report selects now; None for a report that belongs to no declared task."""
    config = load_for(root, None, plugins)
    task = config.tasks.get(report.task)
    return None if task is None else [file.path for file in task_sources(config, task)]


def _notes(report: SavedReport, root: Path, plugins: Plugins) -> list[str]:
    """Say what is not as it was, and yet takes nothing from the report: its files and its verdict are checked."""
    notes = []
    version = report.tool.get("version")
    if version != __version__:
        notes.append(f"it was judged by verify {version}, and this is {__version__}")
    if report.tool.get("plugins") != list(plugins.third_party):
        notes.append("it was judged with other plugins than those installed here")
    commit, _ = commit_and_dirty(root)
    if commit != report.commit:
        notes.append(f"it was judged at commit {report.commit or 'none'}, and this is {commit or 'none'}")
    return notes


def _printable(line: str) -> str:
    """Write what does not print as Python escapes: the report may be anybody's."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in line)
