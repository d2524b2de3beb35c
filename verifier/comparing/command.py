"""`verify compare OLD NEW`: two reports in, what changed out."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from verifier.comparing.figures import compare_figures
from verifier.comparing.findings import sort_findings
from verifier.comparing.statuses import compare_statuses
from verifier.errors import ExitCode, UsageError
from verifier.model.comparison import Comparison
from verifier.nearest import suggestion
from verifier.plugins import load_plugins
from verifier.saved.report import read_report
from verifier.streams import standard_output

if TYPE_CHECKING:
    from verifier.saved.report import SavedReport


def run_compare(old: Path, new: Path, form: str) -> int:
    """Print what changed from OLD to NEW, and return 1 where something blocks now that did not before.

    Raises:
        UsageError: a file is no report, or they are of different tasks.
    """
    brought = load_plugins().manager.hook.verifier_comparison_formats()
    formats = {one.name: one for formats in brought for one in formats}
    if form not in formats:
        raise UsageError(f'`verify compare` has no format "{form}"{suggestion(form, formats)}')
    comparison = compare(read_report(old), read_report(new))
    data = formats[form].render(comparison).encode("utf-8", "backslashreplace")
    with standard_output():
        sys.stdout.flush()
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    return ExitCode.BLOCK if comparison.blocks else ExitCode.PASS


def compare(old: SavedReport, new: SavedReport) -> Comparison:
    """Put two reports side by side.

    Raises:
        UsageError: they are of different tasks.
    """
    if old.task != new.task:
        raise UsageError(
            f'{old.path} is of the task "{old.task}" and {new.path} of "{new.task}"; compare two reports of one task'
        )
    found = sort_findings(old, new)
    return Comparison(
        old=old,
        new=new,
        added=found.added,
        fixed=found.fixed,
        silenced=found.silenced,
        undecided=found.undecided,
        changed=found.changed,
        unchanged=found.unchanged,
        statuses=compare_statuses(old, new),
        figures=compare_figures(old, new),
        notes=tuple(_notes(old, new)),
    )


def _notes(old: SavedReport, new: SavedReport) -> Sequence[str]:
    """Say what differs besides the code: then a difference may come from there."""
    notes = []
    for name in ("version", "plugins"):
        before, after = old.tool.get(name), new.tool.get(name)
        if before != after:
            notes.append(f"{name} of verify: {_shown(before)} and {_shown(after)}")
    for name in sorted({*old.environment, *new.environment}):
        before, after = old.environment.get(name), new.environment.get(name)
        if before != after and isinstance(before, str | None) and isinstance(after, str | None):
            notes.append(f"{name}: {_shown(before)} and {_shown(after)}")
    if old.block_at != new.block_at:
        notes.append(f"block-at: {old.block_at.name} and {new.block_at.name}")
    for name in ("selection", "per_file_ignores"):
        if old.tool.get(name) != new.tool.get(name):
            notes.append(f"{name.replace('_', '-')} differs: other rules were reported")
    return notes


def _shown(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return "none" if value is None else str(value)
