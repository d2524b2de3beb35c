"""The folder of a checkpoint: written whole or not at all, every byte of it under a checksum, no code in it. No torch.

The manifest is the checkpoint: it names the data files and their digests, and is put in place in one move after they
are on the disk. Data files carry their digest in their name, so a new checkpoint never touches a file of the old one.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

FORMAT = 2
MANIFEST = "manifest.json"
_FILE = re.compile(r"(model-[0-9a-f]{16}\.safetensors|state-[0-9a-f]{16}\.pt)")
_BESIDE = re.compile(r"\.[0-9a-f]{32}\.tmp")
_KEYS = frozenset({"format", "files", "facts"})
_BLOCK = 1 << 20


class CheckpointError(ValueError):
    """A folder that is no checkpoint, a damaged one, or not one of this run."""


def write_folder(folder: Path, facts: Mapping[str, Any], writers: Mapping[str, Callable[[Path], None]]) -> None:
    """Write data files and then the manifest; a crash at any moment leaves the old checkpoint or the new one.

    Args:
        facts: plain JSON about the checkpoint, for `read_manifest`.
        writers: what writes each file, by name without digest: `model.safetensors`, `state.pt`.

    Raises:
        OSError: the disk is full, or the folder cannot be written.
    """
    created = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    beside = folder / f".{uuid.uuid4().hex}.tmp"
    files: dict[str, dict[str, Any]] = {}
    try:
        for name, write in writers.items():
            write(beside)
            digest, size = _settle(beside)
            stem, _, suffix = name.partition(".")
            files[name] = {"file": f"{stem}-{digest[:16]}.{suffix}", "sha256": digest, "bytes": size}
            beside.replace(folder / files[name]["file"])
        beside.write_bytes(_render({"format": FORMAT, "files": files, "facts": dict(facts)}))
        _settle(beside)
        _flush_folder(folder)
        beside.replace(folder / MANIFEST)
        _flush_folder(folder)
    except BaseException:
        beside.unlink(missing_ok=True)
        for entry in files.values():
            if entry["file"] not in _listed(folder):
                (folder / entry["file"]).unlink(missing_ok=True)
        if created and not any(folder.iterdir()):
            folder.rmdir()
        raise
    _remove_unlisted(folder)


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return what the manifest says, without looking at the data.

    Raises:
        FileNotFoundError: there is no such folder.
        CheckpointError: it is no checkpoint, of another format, or its manifest is damaged.
    """
    if folder.is_file():
        raise CheckpointError(f"{folder} is a file; a checkpoint is a folder with a {MANIFEST}")
    if not folder.is_dir():
        raise FileNotFoundError(f"there is no checkpoint {folder}")
    path = folder / MANIFEST
    if not path.is_file():
        raise CheckpointError(f"{folder} is not a checkpoint: it has no {MANIFEST}")
    return _parse(path, path.read_bytes())


def data_files(folder: Path) -> dict[str, Path]:
    """Return the data files by name, after every byte of them has been checked.

    Raises:
        CheckpointError: a file is missing, shorter than it was, or changed.
    """
    manifest = read_manifest(folder)
    found = {}
    for name, entry in manifest["files"].items():
        path = folder / entry["file"]
        if not path.is_file():
            raise CheckpointError(f"{folder} is incomplete: {entry['file']} is missing")
        if path.stat().st_size != entry["bytes"]:
            raise CheckpointError(f"{path} is damaged: it has {path.stat().st_size} bytes, not {entry['bytes']}")
        if _digest(path)[0] != entry["sha256"]:
            raise CheckpointError(f"{path} is damaged: its checksum is not the one in {MANIFEST}")
        found[name] = path
    return found


def _parse(path: Path, raw: bytes) -> dict[str, Any]:
    damaged = CheckpointError(f"{path} is damaged, or not the manifest of a checkpoint")
    try:
        sealed = json.loads(raw)
        manifest = {key: value for key, value in sealed.items() if key != "sha256"}
        whole = raw == _render(manifest)
    except (ValueError, AttributeError, RecursionError):  # not JSON, not an object, nested beyond reason
        raise damaged from None
    # The format comes first: a newer one may be sealed in another way.
    if isinstance(manifest.get("format"), int) and manifest["format"] != FORMAT:
        raise CheckpointError(f"{path} has format {manifest['format']}; this version reads {FORMAT}")
    if not whole or set(manifest) != _KEYS:
        raise damaged
    if not all(_FILE.fullmatch(entry["file"]) for entry in manifest["files"].values()):
        raise damaged
    return manifest


def _render(manifest: dict[str, Any]) -> bytes:
    """Give the one spelling of a manifest, sealed with its own digest: any other byte is damage."""
    seal = hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()
    return json.dumps({**manifest, "sha256": seal}, indent=2, sort_keys=True).encode() + b"\n"


def _settle(path: Path) -> tuple[str, int]:
    with path.open("rb") as file:
        os.fsync(file.fileno())
    return _digest(path)


def _digest(path: Path) -> tuple[str, int]:
    digest, size = hashlib.sha256(), 0
    for block in _blocks(path):
        digest.update(block)
        size += len(block)
    return digest.hexdigest(), size


def _blocks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            yield block


def _flush_folder(folder: Path) -> None:
    # A new name is on the disk only when its folder is.
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _listed(folder: Path) -> set[str]:
    try:
        return {entry["file"] for entry in read_manifest(folder)["files"].values()}
    except CheckpointError:
        return set()


def _remove_unlisted(folder: Path) -> None:
    """Delete the data of the checkpoint before and what a crash left; nothing that is not ours."""
    listed = _listed(folder)
    for path in folder.iterdir():
        ours = _FILE.fullmatch(path.name) or _BESIDE.fullmatch(path.name)
        if ours and path.name not in listed:
            path.unlink(missing_ok=True)


def remove_checkpoint(folder: Path) -> None:
    """Delete a checkpoint, its manifest first, so that a crash leaves none that looks whole; foreign files stay."""
    (folder / MANIFEST).unlink(missing_ok=True)
    _remove_unlisted(folder)
    if not any(folder.iterdir()):
        folder.rmdir()
