"""The command line as a fixture."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.verifier.command import Command


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Command:
    """`verify` in an empty folder."""
    return Command(tmp_path, monkeypatch, capfd)
