"""Which files of a tree count."""

from __future__ import annotations

import contextlib
import os
import subprocess
from pathlib import Path

import pytest

from verifier.discovery import walk


def _tree(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")


def _found(root: Path, start: Path | None = None, exclude: tuple[str, ...] = ()) -> list[str]:
    return [path.relative_to(root).as_posix() for path in walk(start or root, root=root, exclude=exclude)]


def test_hidden_folders_caches_and_virtual_environments_do_not_count(tmp_path: Path) -> None:
    _tree(tmp_path, "a.py", ".venv/b.py", "env/pyvenv.cfg", "env/lib/c.py", "pkg/__pycache__/d.py", "pkg/e.py")
    assert _found(tmp_path) == ["a.py", "pkg/e.py"]


def test_what_git_ignores_does_not_count_and_a_deeper_file_can_take_it_back(tmp_path: Path) -> None:
    _tree(tmp_path, "a.py", "out/b.py", "pkg/gen_x.py", "pkg/gen_keep.py")
    (tmp_path / ".git").mkdir()
    (tmp_path / ".gitignore").write_text("out/\ngen_*\n")
    (tmp_path / "pkg/.gitignore").write_text("!gen_keep.py\n")
    assert [name for name in _found(tmp_path) if name.endswith(".py")] == ["a.py", "pkg/gen_keep.py"]


def test_rules_of_the_repository_above_hold_below_it(tmp_path: Path) -> None:
    _tree(tmp_path, "pkg/a.py", "pkg/gen.py")
    (tmp_path / ".git").mkdir()
    (tmp_path / ".gitignore").write_text("gen.py\n")
    assert _found(tmp_path, tmp_path / "pkg") == ["pkg/a.py"]


def test_a_folder_that_is_named_counts_even_if_ignored(tmp_path: Path) -> None:
    _tree(tmp_path, ".venv/lib/a.py")
    (tmp_path / ".git").mkdir()
    (tmp_path / ".gitignore").write_text(".venv/\n")
    assert _found(tmp_path, tmp_path / ".venv/lib") == [".venv/lib/a.py"]


def test_what_git_cannot_read_in_its_ignore_file_is_passed_over(tmp_path: Path) -> None:
    _tree(tmp_path, "a.py", "gen.py")
    (tmp_path / ".git").mkdir()
    (tmp_path / ".gitignore").write_text("!\n[z-a]\na\\\n" + "*a" * 40 + "\ngen.py\n")
    assert [name for name in _found(tmp_path) if name.endswith(".py")] == ["a.py"]


@pytest.mark.parametrize("target", ["/dev/zero", ".gitignore", "pipe"])
def test_an_ignore_file_that_is_no_file_is_not_waited_for(tmp_path: Path, target: str) -> None:
    _tree(tmp_path, "a.py")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / ".gitignore").symlink_to(target)
    assert "a.py" in _found(tmp_path)


def test_folders_nested_deeper_than_a_path_may_be_long_are_told(tmp_path: Path) -> None:
    told: list[str] = []
    with contextlib.chdir(tmp_path):
        for _ in range(2500):
            Path("d").mkdir()
            os.chdir("d")
    try:
        found = list(walk(tmp_path, root=tmp_path, unlisted=lambda _folder, error: told.append(error.strerror or "")))
    finally:
        subprocess.run(["rm", "-rf", tmp_path / "d"], check=True)
    assert (found, told) == ([], ["File name too long"])


def test_exclude_prunes_folders_and_files(tmp_path: Path) -> None:
    _tree(tmp_path, "a.py", "build/x/b.py", "pkg/skip.py")
    assert _found(tmp_path, exclude=("build/**", "pkg/skip.py")) == ["a.py"]


def test_a_loop_of_links_ends(tmp_path: Path) -> None:
    _tree(tmp_path, "pkg/a.py")
    (tmp_path / "pkg/loop").symlink_to(tmp_path, target_is_directory=True)
    assert _found(tmp_path) == ["pkg/a.py"]


def test_a_fifo_is_listed_and_later_reported_not_opened(tmp_path: Path) -> None:
    from verifier.sources import SourceFile

    os.mkfifo(tmp_path / "pipe.py")
    assert _found(tmp_path) == ["pipe.py"]
    assert SourceFile("pipe.py", tmp_path / "pipe.py").problem == "it is not a regular file"
