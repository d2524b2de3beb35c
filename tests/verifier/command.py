"""Decides how a test runs `verify` in this process: exit code, standard output, standard error."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from verifier.cli import main

if TYPE_CHECKING:
    import pytest


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Command:
    """`verify` in a folder."""

    folder: Path
    patch: pytest.MonkeyPatch
    captured: pytest.CaptureFixture[str]

    def __call__(self, *arguments: str | Path, **environment: str) -> Done:
        with self.patch.context() as patch:
            patch.setattr(sys, "argv", ["verify", *map(str, arguments)])
            patch.chdir(self.folder)
            patch.delenv("CI", raising=False)
            for name, value in environment.items():
                patch.setenv(name, value)
            self.captured.readouterr()
            code = main()
        said = self.captured.readouterr()
        return Done(int(code), said.out, said.err)

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path
