"""Decides whether reports are those of one run, each task once and none missing. Anything else is refused."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from verifier.errors import UsageError
from verifier.printable import one_line
from verifier.saved.checking import what_contradicts
from verifier.saved.report import read_report
from verifier.saved.shape import Reader
from verifier.shards.dealing import Shard, shard_of
from verifier.shards.stamp import KEY, Stamp, read_stamp
from verifier.sources import read_regular

if TYPE_CHECKING:
    from verifier.saved.report import SavedReport

REPORT = "report.json"
_SHOWN = 8
_LONGEST = 4000  # characters of a sentence; names in it may be anybody's


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One report of one shard, without what makes it large. `digest`: of its bytes; `made`: what all must agree in."""

    path: Path
    digest: str
    task: str
    stamp: Stamp
    made: Mapping[str, Any]
    files: Mapping[str, str]


def report_files(given: Sequence[Path]) -> list[Path]:
    """Return the reports that are named, and every report.json below folders that are.

    Raises:
        UsageError: there is no such file or folder, or no report in a folder.
    """
    found: list[Path] = []
    for path in given:
        if not os.path.lexists(path):
            raise UsageError(f"{path}: there is no such file or folder; name the report.json of every shard")
        below = sorted(path.rglob(REPORT)) if path.is_dir() else [path]
        if not below:
            raise UsageError(
                f"{path}: there is no {REPORT} below it, so nothing is proven; look at the shards' own runs"
            )
        found += below
    return found


def read_parts(paths: Iterable[Path]) -> list[Part]:
    """Return the reports, in the order of the run's tasks, once it is certain that they are those of one whole run.

    Raises:
        UsageError: one is missing, given twice, altered, of another commit or another run, or no report of a shard.
    """
    parts = [_part(path) for path in paths]
    for problem in _problems(parts):
        raise UsageError(one_line(problem, _LONGEST))
    order = {task: place for place, task in enumerate(parts[0].stamp.tasks)}
    return sorted(parts, key=lambda part: order[part.task])


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file.

    Raises:
        UsageError: it cannot be read.
    """
    try:
        return hashlib.sha256(read_regular(path, None)).hexdigest()
    except OSError as error:
        raise UsageError(f"{path}: it cannot be read: {error.strerror or error}") from None


def _part(path: Path) -> Part:
    digest = digest_of(path)
    report = read_report(path)
    if KEY not in report.tool:
        raise UsageError(f"{path}: it is no report of a shard; only what `--shard i/n` wrote can be merged")
    for problem in what_contradicts(report):
        raise UsageError(one_line(f"{path}: {problem}; run its shard again", _LONGEST))
    stamp = read_stamp(Reader(path, "tool", dict(report.tool)))
    return Part(path=path, digest=digest, task=report.task, stamp=stamp, made=_made(report), files=dict(report.files))


def _made(report: SavedReport) -> dict[str, Any]:
    """Return what has to be the same in every report, by the words in which a difference is told."""
    tool = report.tool
    configuration = tool.get("configuration")
    return {
        "commit": report.commit,
        "state of the tree (clean or changed since the commit)": report.dirty,
        "configuration": configuration.get("sha256") if isinstance(configuration, dict) else None,
        "version of verify": tool.get("version"),
        "set of plugins": tool.get("plugins"),
        "lowest severity that blocks": report.block_at.name,
    }


def _problems(parts: Sequence[Part]) -> Iterator[str]:
    """Say why these are not the reports of one whole run, the gravest first."""
    if not parts:
        yield "there is no report to merge, so nothing is proven"
        return
    first = parts[0]
    for part in parts[1:]:
        yield from _other_run(first, part)
    yield from _twice(parts)
    for part in parts:
        yield from _misplaced(part)
    yield from _missing(first.stamp, {part.task for part in parts})
    yield from _other_contents(parts)


def _other_run(first: Part, part: Part) -> Iterator[str]:
    for what, value in first.made.items():
        if part.made[what] != value:
            yield (
                f"{first.path} and {part.path} do not belong together: the {what} is {_said(value)} in one and "
                f"{_said(part.made[what])} in the other; run every shard on the same one"
            )
    for what, value, other in (
        ("number of shards", first.stamp.shard.of, part.stamp.shard.of),
        ("list of tasks", first.stamp.tasks, part.stamp.tasks),
        ("choice of options", first.stamp.choices, part.stamp.choices),
    ):
        if value != other:
            yield f"{first.path} and {part.path} come from two runs: the {what} differs; merge the reports of one run"


def _said(value: object) -> str:
    if isinstance(value, bool):
        return "changed" if value else "clean"
    return "none" if value is None else str(value)[:60]


def _twice(parts: Sequence[Part]) -> Iterator[str]:
    seen: dict[str, Path] = {}
    for part in parts:
        if part.task in seen:
            yield f"task {part.task} is given twice, by {seen[part.task]} and {part.path}; give each report once"
        seen[part.task] = part.path


def _misplaced(part: Part) -> Iterator[str]:
    stamp = part.stamp
    if part.task not in stamp.tasks:
        yield f"{part.path}: task {part.task} is none of the tasks that its run had; run its shard again"
    elif shard_of(part.task, stamp.tasks, stamp.shard.of) != stamp.shard:
        yield f"{part.path}: task {part.task} is not one of shard {stamp.shard}, as it says; run its shard again"


def _missing(stamp: Stamp, there: set[str]) -> Iterator[str]:
    shards: dict[Shard, list[str]] = {}
    for task in stamp.tasks:
        if task not in there:
            shards.setdefault(shard_of(task, stamp.tasks, stamp.shard.of), []).append(task)
    if not shards:
        return
    each = [f"shard {shard} (task {_listed(tasks)})" for shard, tasks in sorted(shards.items(), key=_by_number)]
    yield f"reports are missing, so nothing is proven: {'; '.join(each)}; run what is missing, and merge again"


def _by_number(item: tuple[Shard, list[str]]) -> int:
    return item[0].number


def _other_contents(parts: Sequence[Part]) -> Iterator[str]:
    seen: dict[str, tuple[str, Path]] = {}
    for part in parts:
        for path, digest in part.files.items():
            known, where = seen.setdefault(path, (digest, part.path))
            if known != digest:
                yield f"{path} is not the same file in {where} and in {part.path}; run every shard on the same tree"


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
