"""A kernel's version of Landlock decides whether it is used at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from amp_runtime.probes import landlock


@pytest.mark.parametrize(
    ("version", "reason"),
    [(0, "the kernel does not offer Landlock"), (1, "forbids renames between folders"), (2, None), (7, None)],
)
def test_a_kernel_that_would_break_programs_is_not_used(
    version: int, reason: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(landlock, "abi", lambda: version)
    said = landlock.why_not()
    assert (said is None) if reason is None else (said is not None and reason in said)


@pytest.mark.skipif(landlock.why_not() is not None, reason="this kernel has no Landlock to test")
@pytest.mark.parametrize("version", [2, 3, 5, 7])
def test_every_version_up_to_the_kernels_can_be_spoken(
    version: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if version > landlock.abi():
        pytest.skip(f"this kernel speaks ABI {landlock.abi()}")
    monkeypatch.setattr(landlock, "abi", lambda: version)
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    inside.mkdir()
    outside.mkdir()
    pid = os.fork()
    if pid == 0:
        code = 9
        try:
            landlock.restrict([str(inside), str(tmp_path / "absent")], network=False)
            (inside / "a").touch()
            (inside / "folder").mkdir()
            (inside / "a").rename(inside / "folder" / "a")
            try:
                (outside / "a").touch()
            except PermissionError:
                code = 0
        finally:
            os._exit(code)
    assert os.waitpid(pid, 0)[1] == 0
    assert not list(outside.iterdir())
