"""The cache lies where the user's caches lie, never in the tree that is verified."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from verifier.cache.place import VARIABLE, cache_folder, is_ours


@pytest.fixture(autouse=True)
def _no_wish(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (VARIABLE, "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)


def test_the_variable_comes_first_then_what_xdg_says_then_the_home_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "project"
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    at_home = cache_folder(root)
    assert at_home is not None
    assert at_home.is_relative_to(tmp_path / "home")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    by_xdg = cache_folder(root)
    assert by_xdg is not None
    assert by_xdg.parent == tmp_path / "xdg" / "verify-amp"
    monkeypatch.setenv(VARIABLE, str(tmp_path / "own"))
    own = cache_folder(root)
    assert own is not None
    assert own.parent == tmp_path / "own"
    assert own.name.startswith("project-")


def test_an_empty_variable_switches_it_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "")
    assert cache_folder(tmp_path) is None


@pytest.mark.parametrize("inside", [".", ".cache", "a/b"])
def test_a_folder_in_the_tree_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, inside: str) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / inside))
    assert cache_folder(tmp_path) is None


def test_a_link_into_the_tree_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "project" / "cache").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "project" / "cache")
    monkeypatch.setenv(VARIABLE, str(tmp_path / "link"))
    assert cache_folder(tmp_path / "project") is None


def test_two_projects_of_one_name_have_two_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "cache"))
    assert cache_folder(tmp_path / "a" / "project") != cache_folder(tmp_path / "b" / "project")


@pytest.mark.skipif(sys.platform == "win32", reason="rights are those of POSIX")
def test_only_a_folder_that_nobody_else_writes_to_is_ours(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    assert is_ours(tmp_path)
    tmp_path.chmod(0o775)
    assert not is_ours(tmp_path)
    assert not is_ours(tmp_path / "absent")
