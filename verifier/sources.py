"""The files under verification: found once, read once, digested once."""

from __future__ import annotations

import hashlib
import io
import re
import tokenize
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path


class SourceFile:
    """One file. `data` is None where it could not be read, and `problem` then says why."""

    def __init__(self, path: str, absolute: Path) -> None:
        self.path = path  # POSIX, relative to the root
        self.absolute = absolute
        self.data: bytes | None = None
        self.problem: str | None = None
        try:
            if not absolute.is_file():  # a FIFO would block for ever
                self.problem = "is not a regular file"
            else:
                self.data = absolute.read_bytes()
        except OSError as error:
            self.problem = f"cannot be read: {error.strerror or error}"

    @cached_property
    def sha256(self) -> str:
        return hashlib.sha256(self.data or b"").hexdigest()

    @cached_property
    def line_count(self) -> int:
        data = self.data or b""
        return data.count(b"\n") + (not data.endswith(b"\n") and bool(data))

    @property
    def text_lines(self) -> list[str]:
        """The lines as CPython counts them: in the declared encoding, and not split at form feeds."""
        data = self.data or b""
        try:
            encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
        except SyntaxError:
            encoding = "utf-8"
        return re.split(r"\r\n|\r|\n", data.decode(encoding, "replace"))


class SourceTree:
    """Every selected file, in path order. Forked workers inherit the bytes, so nothing is read twice."""

    def __init__(self, root: Path, files: Iterable[SourceFile]) -> None:
        self.root = root
        self.files: tuple[SourceFile, ...] = tuple(sorted(files, key=lambda file: file.path))
        self._by_path = {file.path: file for file in self.files}

    def __len__(self) -> int:
        return len(self.files)

    def __iter__(self) -> Iterator[SourceFile]:
        return iter(self.files)

    def get(self, path: str) -> SourceFile | None:
        return self._by_path.get(path)

    def python(self) -> tuple[SourceFile, ...]:
        """Return the files that are Python source by name."""
        return tuple(file for file in self.files if file.path.endswith((".py", ".pyi", ".pyw")))
