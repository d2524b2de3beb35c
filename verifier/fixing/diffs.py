"""Decides how a change of a file is shown: a unified diff that `git apply` takes as it stands."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from verifier.sources import SourceTree

_NO_END = b"\\ No newline at end of file\n"


def changed(before: SourceTree, after: SourceTree) -> Iterator[tuple[str, bytes, bytes]]:
    """Yield (path, old bytes, new bytes) of every file that differs."""
    for file in after:
        old = before.get(file.path)
        if old is not None and old.data is not None and file.data is not None and old.data != file.data:
            yield file.path, old.data, file.data


def unified(path: str, old: bytes, new: bytes, *, context: int = 3) -> bytes:
    """Return the difference of a file's bytes, whatever they are encoded in; nothing where there is none."""
    name = path.encode("utf-8", "surrogateescape")
    lines = difflib.diff_bytes(
        difflib.unified_diff, _lines(old), _lines(new), b"a/" + name, b"b/" + name, n=context, lineterm=b"\n"
    )
    return b"".join(line if line.endswith(b"\n") else line + b"\n" + _NO_END for line in lines)


def _lines(data: bytes) -> list[bytes]:
    """Split at line feeds only, as `git` and `patch` do."""
    lines = data.split(b"\n")
    return [line + b"\n" for line in lines[:-1]] + ([lines[-1]] if lines[-1] else [])
