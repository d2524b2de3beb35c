"""Which files of a tree count."""

from __future__ import annotations

import os
from pathlib import Path

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
    assert SourceFile("pipe.py", tmp_path / "pipe.py").problem == "is not a regular file"
