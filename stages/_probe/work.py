"""What a probe is asked to run, and how it is told: with every path of the project moved to its working copy."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from amp_runtime import wire
from amp_runtime.wire import ALL, Request, Share
from stages._probe.isolation import AS_THE_MACHINE_HAS, Isolation
from stages._probe.limits import Limits, cage
from stages._probe.listing import list_project
from stages._probe.scratch import INSIDE, writable
from stages._probe.workcopy import WorkCopy, copy_project

if TYPE_CHECKING:
    from amp_runtime.wire import MeasureUnit, ModuleUnit, ScriptUnit, Witness, WorkloadUnit

_MOST_SHARED = 1000  # files, where it is not known which of them are imported at all

HARNESS = Path(wire.__file__).resolve().parent / "probes" / "bootstrap.py"


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What to run: one probe and its units. Every path is one of the user's tree; the child gets those of its copy.

    Args:
        output: is given what they print, as it comes.
        sources: files of the project that are copied whatever git says of them, and that nobody may rewrite.
        exclude: globs of what is not copied, where there is no git.
        replaced: what files of the copy hold instead of what stands in the user's tree, by path relative to the root.
        share: the part of the tests to run.
        halted: whether nobody wants the result any more; asked all the time.
    """

    probe: Literal["imports", "tests", "workloads", "scripts", "performance"]
    root: Path
    python: Path
    paths: tuple[str, ...]
    preload: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    modules: tuple[ModuleUnit, ...] = ()
    tests: tuple[str, ...] = ()
    share: Share = ALL
    measured: tuple[str, ...] = ()
    workloads: tuple[WorkloadUnit, ...] = ()
    pairs: tuple[WorkloadUnit, ...] = ()
    compared: tuple[WorkloadUnit, ...] = ()
    compiled: tuple[WorkloadUnit, ...] = ()
    scripts: tuple[ScriptUnit, ...] = ()
    measured_workloads: tuple[MeasureUnit, ...] = ()
    output: Callable[[bytes], None] = lambda _data: None
    isolation: Isolation = AS_THE_MACHINE_HAS
    sources: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    replaced: Mapping[str, bytes] = field(default_factory=dict)
    halted: Callable[[], bool] = lambda: False


@dataclass(frozen=True, slots=True, kw_only=True)
class Ends:
    """What one run has of its own: a secret, a folder, and its ends of two pipes."""

    nonce: str
    scratch: Path
    channel_fd: int
    lifeline_fd: int


def working_copy(work: Work, scratch: Path) -> WorkCopy:
    """Copy the project into the scratch folder.

    Raises:
        StageError: it cannot be copied.
    """
    listing = list_project(work.root, work.sources, work.exclude)
    copy = copy_project(work.root, scratch / INSIDE / "copy" / (work.root.name or "root"), listing, avoid=scratch)
    for path, data in work.replaced.items():
        copy.replace(path, data)
    return copy


def request_of(work: Work, limits: Limits, copy: WorkCopy, ends: Ends, witness: Witness) -> Request:
    inside = ends.scratch / INSIDE
    return Request(
        probe=work.probe,
        nonce=ends.nonce,
        root=str(copy.root),
        origin=str(work.root),
        installation=str(HARNESS.parent.parent.parent),
        scratch=str(inside),
        outer=str(ends.scratch),
        paths=_moved(work.paths, work, copy),
        preload=work.preload,
        needs=work.needs,
        phase_limit_s=limits.phase_s,
        limit_s=limits.time_s,
        flood_bytes=limits.flood_bytes,
        channel_fd=ends.channel_fd,
        lifeline_fd=ends.lifeline_fd,
        cage=cage(work.isolation, limits, writable(inside), witness),
        modules=tuple(replace(module, paths=_moved(module.paths, work, copy)) for module in work.modules),
        tests=work.tests,
        share=work.share,
        shared=_shared(work),
        measured=work.measured,
        workloads=work.workloads,
        pairs=work.pairs,
        compared=work.compared,
        compiled=work.compiled,
        measured_workloads=work.measured_workloads,
        scripts=tuple(replace(script, arguments=_named(script.arguments, work, copy)) for script in work.scripts),
    )


def _shared(work: Work) -> tuple[str, ...]:
    """Return the files that many processes of the probe are going to import."""
    if work.probe == "imports":
        return tuple(module.file for module in work.modules)
    if work.probe == "tests":  # one process runs them all
        return ()
    files = tuple(path for path in work.sources if path.endswith(".py"))
    return files if len(files) <= _MOST_SHARED else ()


def _named(arguments: tuple[str, ...], work: Work, copy: WorkCopy) -> tuple[str, ...]:
    """Return the arguments of a program with the project's folder, where one names it, replaced by the copy."""
    name = re.compile(rf"(?P<before>\A|=){re.escape(str(work.root))}(?=/|\Z)")
    return tuple(name.sub(lambda found: f"{found['before']}{copy.root}", argument) for argument in arguments)


def _moved(paths: tuple[str, ...], work: Work, copy: WorkCopy) -> tuple[str, ...]:
    """Return the places in the copy of folders of the project; others as they are."""
    return tuple(
        str(copy.root / Path(path).relative_to(work.root)) if Path(path).is_relative_to(work.root) else path
        for path in paths
    )
