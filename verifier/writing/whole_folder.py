"""Replace a folder that is the verifier's alone: at its name stands the old report or the new one, each whole."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Mapping
from pathlib import Path

from verifier.writing.checksums import LIST, read_list
from verifier.writing.exchange import exchange
from verifier.writing.staging import stage
from verifier.writing.workshop import discard, is_folder, sync, workshop

_NEW, _ASIDE = "new", "aside"
_FIXED = (errno.EXDEV, errno.EBUSY)  # a layer of a container below it, or a mount point


def replace_folder(files: Mapping[str, bytes], folder: Path) -> bool:
    """Make `folder` hold exactly these files. False: it cannot be moved or is not ours alone, and is unchanged.

    The files are written and synced in a folder beside it, and the two swap their names in one step. Where the system
    cannot do that (Linux before 3.15, macOS, some network file systems), the old folder is moved aside first: a run
    that is killed between the two moves leaves no folder of the name, and the next run moves the old one back.

    Raises:
        OutputError: another run does not stop writing there.
        OSError: something could not be written; the old report stands, or the new one.
    """
    with workshop(folder.parent, _tidy) as work:
        if not _is_only_a_report(folder):
            return False
        new = work / _NEW
        stage(files, new)
        if folder.is_dir():
            new.chmod(stat.S_IMODE(folder.stat().st_mode))
        try:
            _put(new, folder, work)
        except OSError as error:
            if error.errno in _FIXED:
                return False
            raise
        sync(folder.parent)
    return True


def _is_only_a_report(folder: Path) -> bool:
    """Say whether nothing is lost with what stands there: nothing, or a folder with no file that is not on its list."""
    if folder.is_symlink() or not folder.is_dir():
        return not os.path.lexists(folder)
    listed = {*read_list(folder / LIST), LIST}
    return all(
        not path.is_symlink() and (path.is_dir() or path.relative_to(folder).as_posix() in listed)
        for path in folder.rglob("*")
    )


def _put(new: Path, folder: Path, work: Path) -> None:
    if not folder.exists():
        new.rename(folder)
    elif not exchange(new, folder):
        aside = work / _ASIDE / folder.name
        aside.parent.mkdir()
        folder.rename(aside)
        new.rename(folder)  # if this fails, tidying up moves the old one back


def _tidy(work: Path) -> None:
    aside = work / _ASIDE
    for old in aside.iterdir() if is_folder(aside) else ():
        if not (work.parent / old.name).exists():
            old.rename(work.parent / old.name)
    discard(aside)
    discard(work / _NEW)
