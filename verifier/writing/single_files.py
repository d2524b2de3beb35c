"""Replace a report in a folder that also holds other people's files: only ours are touched, and one by one.

No system can replace several files of such a folder in one step, so there are three promises instead:
- at each name stands the old file or the new one, whole, at every moment;
- `report.sha256` is replaced last: while the files are not those of one report, they do not agree with it;
- what is replaced is kept until that is done: a run that fails puts the old report back, and after one that was
  killed the next run does.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

from verifier.writing.checksums import LIST, digest, read_list
from verifier.writing.staging import stage
from verifier.writing.workshop import discard, is_folder, sync, workshop

_NEW, _KEEPING, _OLD, _AGAIN = "new", "keeping", "old", "again"


def replace_files(files: Mapping[str, bytes], folder: Path, *, ours: bool) -> None:
    """Put these files, the list of them included, in the place of those of the same names.

    Args:
        ours: remove the files of the report before that this one does not have.

    Raises:
        OutputError: another run does not stop writing there.
        OSError: something could not be written; the old report stands, or the new one.
    """
    with workshop(folder, _tidy) as work:
        stage(files, work / _NEW)
        stale = read_list(folder / LIST).keys() - files.keys() if ours else set()
        _keep((*files, *stale), folder, work)
        for name in sorted(files, key=lambda name: name == LIST):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            if name == LIST:
                _remove(stale, folder)
                _sync_all(files, folder)
            (work / _NEW / name).replace(folder / name)
        sync(folder)


def _keep(names: Iterable[str], folder: Path, work: Path) -> None:
    """Give the old files a second name, from which they come back."""
    (work / _KEEPING).mkdir()
    for name in names:
        if (folder / name).is_file():
            kept = work / _KEEPING / name
            kept.parent.mkdir(parents=True, exist_ok=True)
            _second_name(folder / name, kept)
    sync(work / _KEEPING)
    (work / _KEEPING).rename(work / _OLD)  # from here on there is something to put back


def _tidy(work: Path) -> None:
    """Put back what was replaced, unless the new list stands already, and remove what is no more needed.

    Being killed in here does no harm: until everything is back, the next run finds all it needs to do it again.
    """
    new, old = work / _NEW, work / _OLD
    if is_folder(old) and is_folder(new) and (new / LIST).is_file():
        _put_back(work)
    for left in (new, old, work / _KEEPING, work / _AGAIN):
        discard(left)


def _put_back(work: Path) -> None:
    folder, old = work.parent, work / _OLD
    for name, written in read_list(work / _NEW / LIST).items():
        if not os.path.lexists(old / name) and digest(folder / name) == written:
            _remove([name], folder)
    for kept in [path for path in old.rglob("*") if path.is_symlink() or path.is_file()]:
        name = kept.relative_to(old).as_posix()
        if _is_inside(name, folder):
            discard(work / _AGAIN)
            _second_name(kept, work / _AGAIN)
            (work / _AGAIN).replace(folder / name)


def _second_name(path: Path, other: Path) -> None:
    try:
        os.link(path, other, follow_symlinks=False)
    except OSError:  # a file system without hard links; if that is not why, copying fails too
        shutil.copy2(path, other, follow_symlinks=False)


def _remove(names: Iterable[str], folder: Path) -> None:
    for name in names:
        if _is_inside(name, folder):
            (folder / name).unlink(missing_ok=True)


def _is_inside(name: str, folder: Path) -> bool:
    """Say whether no link on the way leads elsewhere: the list may be a hostile project's, and so may the folder be."""
    return (folder / name).parent.resolve().is_relative_to(folder.resolve())


def _sync_all(names: Iterable[str], folder: Path) -> None:
    for parent in {(folder / name).parent for name in names}:
        sync(parent)
