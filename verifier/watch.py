"""`--watch`: runs the same command again whenever a file that it reads has changed, until somebody ends it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from verifier.config import find_root
from verifier.discovery import walk
from verifier.errors import UsageError, VerifierError
from verifier.listings import static_stages
from verifier.selection import MARKERS, check_root, is_absent
from verifier.sources import NOTEBOOK, PYTHON
from verifier.streams import complain

_LOOK_EVERY_S = 0.3
_SHARE = 4  # of the time that a look takes: a large tree is looked at less often
_SETTLE_S = 0.2  # editors write a file in several steps, and version control many files
_SETTLE_AT_MOST_S = 5.0
_CONFIGURATION = (".toml", ".gitignore", ".cfg", ".ini")

Snapshot = Mapping[str, tuple[int, int, int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """What is run, as its words stand behind `verify`, and below what files are watched."""

    words: tuple[str, ...]
    paths: tuple[Path, ...]
    root: Path


def watch_check(words: Sequence[str], paths: Sequence[Path]) -> NoReturn:
    """Check files and folders again and again.

    Raises:
        UsageError: a path does not exist.
    """
    for path in paths:
        if is_absent(path):
            raise UsageError(f"{path}: there is no such file or folder")
    _run(Watch(words=tuple(words), paths=tuple(paths), root=check_root(paths)))


def watch_tasks(words: Sequence[str], stages: Sequence[str], named: Sequence[str]) -> NoReturn:
    """Verify tasks again and again: the stages that only read, unless others were asked for."""
    root = find_root(Path.cwd(), markers=MARKERS) or Path.cwd()
    chosen = () if stages else [word for name in static_stages() for word in ("--stage", name)]
    if not named and "--all" not in words and not any(word.startswith("--changed-since") for word in words):
        raise UsageError("name a task, or use --all")
    _run(Watch(words=(*words, *chosen), paths=(root,), root=root))


def without_watch(words: Iterable[str]) -> tuple[str, ...]:
    return tuple(word for word in words if word != "--watch")


def _run(watch: Watch) -> NoReturn:
    """Run, wait for a change, run again. Only an interrupt ends it, which the command line turns into exit code 130."""
    while True:
        before = _snapshot(watch)
        # `-P`: a folder `verifier` in the project must not be imported in the place of this one.
        subprocess.run([sys.executable, "-P", "-m", "verifier", *watch.words], check=False)
        complain(f"verify: watching {len(before)} files; Ctrl-C ends it")
        complain(f"verify: changed: {_wait(watch, before)}")


def _wait(watch: Watch, before: Snapshot) -> str:
    """Return what has changed, once nothing changes any more."""
    while True:
        begin = time.monotonic()
        now = _snapshot(watch)
        if now != before:
            return _named(before, _settled(watch, now))
        time.sleep(max(_LOOK_EVERY_S, _SHARE * (time.monotonic() - begin)))


def _settled(watch: Watch, now: Snapshot) -> Snapshot:
    end = time.monotonic() + _SETTLE_AT_MOST_S
    while time.monotonic() < end:
        time.sleep(_SETTLE_S)
        last, now = now, _snapshot(watch)
        if now == last:
            break
    return now


def _snapshot(watch: Watch) -> Snapshot:
    """Return size, time and identity of every file that counts; what vanishes meanwhile is not there."""
    found = {}
    for path in _files(watch):
        try:
            status = path.stat()
        except OSError:
            continue
        found[str(path)] = (status.st_mtime_ns, status.st_size, status.st_ino)
    return found


def _files(watch: Watch) -> Iterable[Path]:
    try:
        for path in watch.paths:
            if not os.path.isdir(path):  # noqa: PTH112 - never raises
                yield path
                continue
            yield from (
                found
                for found in walk(path.resolve(), root=watch.root)
                if found.suffix in (*PYTHON, NOTEBOOK, *_CONFIGURATION) or found.name == ".gitignore"
            )
    except (OSError, VerifierError):  # it is being replaced, or its .gitignore half written: the next look will tell
        return
    yield from (watch.root / name for name in MARKERS if name.endswith(".toml"))


def _named(before: Snapshot, after: Snapshot) -> str:
    changed = sorted(name for name in {*before, *after} if before.get(name) != after.get(name))
    shown = ", ".join(os.path.relpath(name) for name in changed[:3])
    more = f" and {len(changed) - 3} more" if len(changed) > 3 else ""
    return "".join(c if c.isprintable() else "?" for c in f"{shown or 'a file'}{more}")
