"""Decides whether everything that an earlier run looked at still is what it was."""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from verifier.cache.seen import Seen, look_at_folder
from verifier.cache.stamps import Stamp, kind_of, settled, stamp_of
from verifier.sources import read_with_status

if TYPE_CHECKING:
    from collections.abc import Callable


def still_true(seen: Seen, rest: Callable[[], str]) -> Seen | None:
    """Return the notes of a stage that would see the same now, None where it would not.

    They are the same notes, or new ones where stamps have become reliable since, or are others for the same content.

    Args:
        rest: gives the digest of the project's Python files outside the task.
    """
    if seen.spoiled or not all(kind_of(path) == kind for path, kind in seen.kinds.items()):
        return None
    folders, files = _folders(seen), _files(seen)
    if folders is None or files is None or (seen.rest is not None and seen.rest != rest()):
        return None
    if not folders and not files:
        return seen
    return replace(seen, folders={**seen.folders, **folders}, files={**seen.files, **files})


def _folders(seen: Seen) -> dict[str, tuple[Stamp | None, str]] | None:
    """Return what is to be noted anew of folders; None where one of them has changed."""
    renewed: dict[str, tuple[Stamp | None, str]] = {}
    for path, (stamp, digest) in seen.folders.items():
        if stamp is not None and _stamp(path) == stamp:
            continue
        now = look_at_folder(path)
        if now[1] != digest:
            return None
        if now[0] is not None:
            renewed[path] = now
    return renewed


def _files(seen: Seen) -> dict[str, tuple[Stamp | None, str | None]] | None:
    """Return what is to be noted anew of files; None where one of them has changed."""
    renewed: dict[str, tuple[Stamp | None, str | None]] = {}
    for path, (stamp, digest) in seen.files.items():
        now = _stamp(path)
        if stamp is not None and now == stamp:
            continue
        if digest is None:  # it could not be read: it must be the same one, or still not be there
            if now != stamp:
                return None
            continue
        read = _read(path)
        if read is None or read[1] != digest:
            return None
        if read[0] is not None:
            renewed[path] = read
    return renewed


def _stamp(path: str) -> Stamp | None:
    try:
        return stamp_of(os.stat(path))  # noqa: PTH116 - thousands of them
    except (OSError, ValueError):
        return None


def _read(path: str) -> tuple[Stamp | None, str] | None:
    try:
        data, status = read_with_status(Path(path), None)
    except (OSError, ValueError):
        return None
    return settled(status), hashlib.sha256(data).hexdigest()
