"""Diffs are what `git apply` takes, whatever bytes the files hold."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from verifier.fixing.diffs import unified

PAIRS = [
    (b"a\nb\n", b"a\nc\n"),
    (b"a\r\nb\r\n", b"a\r\nnew\r\nb\r\n"),
    (b"a\nb", b"a\nb\nc"),
    (b"a\nb", b"a\nc\n"),
    (b"\xef\xbb\xbfx = '\xe9'\n", b"\xef\xbb\xbfy = '\xe9'\n"),
    (b"a\x0cb\rc\n", b"a\x0cb\rd\n"),
]


@pytest.mark.parametrize(("old", "new"), PAIRS)
def test_git_makes_the_new_file_of_the_old_one(old: bytes, new: bytes, tmp_path: Path) -> None:
    (tmp_path / "pkg").mkdir()
    path = tmp_path / "pkg" / "a.py"
    path.write_bytes(old)
    (tmp_path / "change.diff").write_bytes(unified("pkg/a.py", old, new))
    subprocess.run(["git", "apply", "change.diff"], cwd=tmp_path, check=True, capture_output=True)
    assert path.read_bytes() == new


def test_no_change_is_no_diff() -> None:
    assert unified("a.py", b"same\n", b"same\n") == b""
