"""`verify merge REPORT…`: the reports of all shards of a run, joined as if one machine had made them."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from verifier.commands import exit_code, report_folder
from verifier.config import find_root
from verifier.errors import UsageError
from verifier.output import DEFAULT_FORMATS, parse_formats, print_document, write_report
from verifier.plugins import load_plugins
from verifier.saved.restoring import restored
from verifier.selection import MARKERS
from verifier.shards.joining import digest_of, read_parts, report_files
from verifier.shards.stamp import KEY, without_shard
from verifier.streams import complain, say
from verifier.terminal import make_terminal, summary

if TYPE_CHECKING:
    from verifier.model.report import Renderer, RunReport
    from verifier.plugins import Plugins
    from verifier.shards.joining import Part
    from verifier.terminal import Terminal


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeOptions:
    """The options of `verify merge`, by the names that click gives them."""

    formats: tuple[str, ...]
    output: str | None
    quiet: bool
    color: str


def run_merge(given: Sequence[Path], options: MergeOptions) -> int:
    """Join the reports and write one for each task; return the worst exit code of all.

    The reports are read twice, so that a thousand of them need no more memory than one.

    Raises:
        UsageError: they are not those of one whole run: nothing is written then.
    """
    plugins = load_plugins()
    formats = parse_formats(options.formats or DEFAULT_FORMATS, plugins.renderers)
    if options.output == "-" and len(formats) != 1:
        raise UsageError("--output - prints one document; choose one with --format")
    parts = read_parts(report_files(given))
    if options.output == "-" and len(parts) > 1:
        raise UsageError("--output - takes one task; give a folder for several")
    terminal = make_terminal(options.color, progress=False, quiet=options.quiet, verbose=False)
    codes: list[int] = []
    verdicts: Counter[str] = Counter()
    for part in parts:
        report = _whole(part, plugins)
        _deliver(report, formats, options, terminal, several=len(parts) > 1)
        codes.append(exit_code(report))
        verdicts[report.verdict] += 1
    if not options.quiet:
        told = ", ".join(f"{count} {verdict}" for verdict, count in sorted(verdicts.items(), reverse=True))
        shards = parts[0].stamp.shard.of
        complain(f"verify: merged {_counted(len(parts), 'task')} of {_counted(shards, 'shard')}: {told}")
    return max(codes)


def _whole(part: Part, plugins: Plugins) -> RunReport:
    """Return the report as a run without shards would have made it."""
    report = restored(part.path, plugins.rules)
    if digest_of(part.path) != part.digest:
        raise UsageError(f"{part.path}: it has changed while it was being merged; merge again")
    tool = {name: value for name, value in report.tool.items() if name != KEY}
    if isinstance(tool.get("command"), str):
        tool["command"] = without_shard(str(tool["command"]))
    return dataclasses.replace(report, tool=tool)


def _deliver(
    report: RunReport, formats: Sequence[Renderer], options: MergeOptions, terminal: Terminal, *, several: bool
) -> None:
    written: tuple[Path, ...] = ()
    if options.output == "-":
        print_document(report, formats[0])
    else:
        root = find_root(Path.cwd(), markers=MARKERS) or Path.cwd()
        folder = report_folder(options.output, root, report.task, several=several)
        written = write_report(report, formats, folder, ours=options.output is None)
    if not terminal.quiet:
        tell = complain if options.output == "-" else say
        tell(summary(report, terminal, written), colour=terminal.colour)


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
