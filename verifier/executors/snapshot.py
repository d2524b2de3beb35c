"""Decides what of a project travels to another machine: what git tracks or would track, as one bounded archive."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from verifier.discovery import walk
from verifier.errors import MachineError, UsageError
from verifier.git import ask_git

LIMIT_BYTES = 512 << 20
_LS = ("ls-files", "-z", "--cached", "--others", "--exclude-standard")
_ADD = ("-c", "core.hooksPath=/dev/null", "-c", "core.autocrlf=false", "add", "--all", "--force")


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A project as it is now. `by_git`: git said what belongs to it, and is to say the same where it is unpacked."""

    data: bytes
    by_git: bool


def take(root: Path, *, limit_bytes: int = LIMIT_BYTES) -> Snapshot:
    """Return the project at `root`: contents and rights, links as links unless they lead out of it.

    Raises:
        UsageError: it is too large, or a file of it cannot be read.
    """
    listed = ask_git(root, *_LS)
    if listed is None:
        names = [path.relative_to(root).as_posix() for path in walk(root, root=root)]
    else:
        names = sorted({os.fsdecode(name) for name in listed.split(b"\0") if name})
    paths = [name for name in names if os.path.lexists(root / name)]  # one that is deleted is still listed
    _check_size(root, paths, limit_bytes)
    return Snapshot(data=_packed(root, paths), by_git=listed is not None)


def unpack(snapshot: Snapshot, folder: Path) -> None:
    """Put a project into an empty folder.

    Raises:
        MachineError: it cannot be written there.
    """
    try:
        with tarfile.open(fileobj=io.BytesIO(snapshot.data)) as archive:
            archive.extractall(folder, filter="data")
        if snapshot.by_git:
            for arguments in (("init", "--quiet"), _ADD):
                subprocess.run(["git", "-C", str(folder), *arguments], check=True, capture_output=True)
    except (OSError, tarfile.TarError, subprocess.CalledProcessError) as error:
        raise MachineError(f"the snapshot of the project cannot be unpacked in {folder}: {error}") from error


def _check_size(root: Path, paths: Iterable[str], limit_bytes: int) -> None:
    sizes = {path: (root / path).lstat().st_size for path in paths}
    if sum(sizes.values()) <= limit_bytes:
        return
    largest = max(sizes, key=lambda path: sizes[path])
    raise UsageError(
        f"--executor ray: the project has more than {limit_bytes / (1 << 20):g} MiB of files that git does not ignore, "
        f"{largest} alone {sizes[largest] / (1 << 20):.0f} MiB; have .gitignore leave out what tasks do not need"
    )


def _packed(root: Path, paths: Iterable[str]) -> bytes:
    buffer = io.BytesIO()
    real_root = os.path.realpath(root)
    with tarfile.open(fileobj=buffer, mode="w:gz", compresslevel=1) as archive:
        for path in paths:
            try:
                _add(archive, root, path, real_root)
            except OSError as error:
                raise UsageError(f"--executor ray: {path} cannot be read: {error.strerror or error}") from None
    return buffer.getvalue()


def _add(archive: tarfile.TarFile, root: Path, path: str, real_root: str) -> None:
    source = root / path
    info = archive.gettarinfo(str(source), arcname=path)
    if info.issym() and not _stays_inside(source, real_root):
        info = archive.gettarinfo(os.path.realpath(source), arcname=path)
    if info.isdir():  # a repository in the repository: git lists it by its name alone
        for inner in sorted(walk(source, root=root)):
            _add(archive, root, inner.relative_to(root).as_posix(), real_root)
    elif info.issym():
        archive.addfile(info)
    elif info.isreg() or info.islnk():
        info.type, info.linkname = tarfile.REGTYPE, ""
        info.size = source.stat().st_size
        with source.open("rb") as file:
            archive.addfile(info, file)


def _stays_inside(link: Path, real_root: str) -> bool:
    return not link.readlink().is_absolute() and Path(os.path.realpath(link)).is_relative_to(real_root)
