"""Decides how an output is compared with the accepted one; `GOLDEN=write pytest` accepts the new one."""

from __future__ import annotations

import os
from pathlib import Path


def check(file: Path, text: str) -> None:
    if os.environ.get("GOLDEN") == "write":
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, "utf-8")
    assert file.is_file(), f"{file.name} has never been accepted: GOLDEN=write pytest"
    assert text == file.read_text("utf-8")
