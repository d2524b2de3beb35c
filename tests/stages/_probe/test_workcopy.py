"""A working copy holds what running the project needs, links what is large, and tells who wrote to its sources."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from stages._probe import workcopy
from stages._probe.listing import list_project
from stages._probe.workcopy import WorkCopy, copy_project


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    return folder


def write(root: Path, *paths: str, text: str = "x = 1\n") -> None:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, encoding="utf-8")


def repository(root: Path, *tracked: str) -> None:
    git = ("git", "-C", str(root))
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "add", "--", *tracked], check=True)


def copied(root: Path, *own: str, exclude: tuple[str, ...] = ()) -> WorkCopy:
    scratch = root.parent / "scratch"
    return copy_project(root, scratch / root.name, list_project(root, own, exclude), avoid=scratch)


def files(copy: WorkCopy) -> list[str]:
    return sorted(path.relative_to(copy.root).as_posix() for path in copy.root.rglob("*") if not path.is_dir())


def test_git_says_what_belongs_to_the_project(root: Path) -> None:
    write(root, "a.py", "new.py", ".ci/run.py", "pkg/_version.py", "pkg/built.so", "notes/todo.txt", ".env", ".cache/x")
    write(root, "__pycache__/a.cpython-311.pyc", "env/pyvenv.cfg", "env/lib/big.py", "node_modules/m/index.js")
    write(root, ".gitignore", text="_version.py\n*.so\nnotes\n.env\n.cache\nenv\n__pycache__\nnode_modules\n")
    repository(root, "a.py", ".ci/run.py", ".gitignore")
    expected = [".ci/run.py", ".gitignore", "a.py", "new.py", "notes/todo.txt", "pkg/_version.py", "pkg/built.so"]
    copy = copied(root)
    assert files(copy) == expected
    assert (copy.files, copy.linked, copy.unreadable) == (len(expected), [], [])


def test_the_tasks_own_files_are_copied_whatever_git_says(root: Path) -> None:
    write(root, "a.py", ".hidden/task.py")
    write(root, ".gitignore", text=".hidden\n")
    repository(root, "a.py")
    assert ".hidden/task.py" in files(copied(root, ".hidden/task.py"))


def test_without_git_everything_but_the_excluded_the_hidden_and_environments_is_copied(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    write(root, "a.py", ".coveragerc", ".env", ".tox/b.py", "out/c.py", "venv/pyvenv.cfg", "venv/d.py", "sub/e.py")
    assert files(copied(root, exclude=("out/**",))) == [".coveragerc", "a.py", "sub/e.py"]


def test_large_files_and_large_folders_without_code_are_linked(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workcopy, "LARGE_FILE", 100)
    monkeypatch.setattr(workcopy, "LARGE_FOLDER", 3)
    monkeypatch.setattr(workcopy, "LARGE_FOLDER_BYTES", 500)
    write(root, *(f"data/{number}/image.bin" for number in range(4)), *(f"tests/{number}.txt" for number in range(4)))
    write(root, "tests/deep/test_a.py", "few/1.bin", "few/2.bin")
    write(root, "weights.bin", text="x" * 101)
    write(root, *(f"heavy/{number}.bin" for number in range(3)), text="x" * 200)
    copy = copied(root)
    assert copy.linked == ["data", "heavy", "weights.bin"]
    assert (copy.root / "data").readlink() == root / "data"
    assert (copy.root / "weights.bin").read_text("utf-8") == "x" * 101
    assert not (copy.root / "tests").is_symlink()
    assert not (copy.root / "few").is_symlink()


@pytest.mark.parametrize("with_git", [True, False])
def test_of_a_project_without_end_the_tasks_own_files_are_copied_first(
    root: Path, monkeypatch: pytest.MonkeyPatch, with_git: bool
) -> None:
    monkeypatch.setattr(workcopy, "MOST_FILES", 3)
    write(root, *(f"a{number}/x.py" for number in range(5)), "last/pkg/mine.py", "last/pkg/other.py", "z.py")
    if with_git:
        repository(root, ".")
    copy = copied(root, "last/pkg/mine.py", "z.py")
    assert copy.stamps.keys() == {"last/pkg/mine.py", "last/pkg/other.py", "z.py"}
    assert copy.linked == ["a0", "a1", "a2", "a3", "a4"]
    assert (copy.root / "a4/x.py").is_file()


def test_links_stay_within_the_copy_or_point_where_they_did(root: Path, tmp_path: Path) -> None:
    write(root, "pkg/a.py")
    write(tmp_path, "outside/b.txt")
    (root / "near.py").symlink_to("pkg/a.py")
    (root / "pkg/full.py").symlink_to(root / "pkg/a.py")
    (root / "far").symlink_to("../outside")
    (root / "gone").symlink_to("nowhere")
    copy = copied(root)
    assert (copy.root / "near.py").resolve() == (copy.root / "pkg/full.py").resolve() == copy.root / "pkg/a.py"
    assert (copy.root / "far").resolve() == tmp_path / "outside"
    assert (copy.root / "gone").is_symlink()


def test_permissions_and_times_are_kept_and_special_files_left_out(root: Path) -> None:
    write(root, "run.sh")
    (root / "run.sh").chmod(0o555)
    os.utime(root / "run.sh", ns=(1_000_000_007, 2_000_000_011))
    os.mkfifo(root / "pipe")
    copy = copied(root)
    assert files(copy) == ["run.sh"]
    status = (copy.root / "run.sh").stat()
    assert (status.st_mode & 0o777, status.st_mtime_ns) == (0o755, 2_000_000_011)


def test_a_copy_below_the_project_does_not_hold_itself(root: Path) -> None:
    write(root, "a.py")
    scratch = root / "tmp" / "verify"
    copy = copy_project(root, scratch / "copy", list_project(root, ()), avoid=scratch)
    assert files(copy) == ["a.py"]


def test_a_source_that_was_written_to_is_named_whatever_its_times_and_content_say(root: Path) -> None:
    write(root, "same.py", "changed.py", "gone.py", "restored.py", "replaced.py")
    copy = copied(root)
    status = (copy.root / "changed.py").stat()
    (copy.root / "changed.py").write_text("y = 2\n", encoding="utf-8")
    os.utime(copy.root / "changed.py", ns=(status.st_atime_ns, status.st_mtime_ns))
    (copy.root / "gone.py").unlink()
    for text in ("other", "x = 1\n"):
        (copy.root / "restored.py").write_text(text, encoding="utf-8")
    os.utime(copy.root / "restored.py", ns=(status.st_atime_ns, status.st_mtime_ns))
    (copy.root / "new.py").write_text("z = 3\n", encoding="utf-8")
    (copy.root / "new.py").rename(copy.root / "replaced.py")
    sources = ("same.py", "changed.py", "gone.py", "restored.py", "replaced.py", "never-copied.py")
    assert copy.rewritten(sources) == ("changed.py", "gone.py", "restored.py", "replaced.py")


def test_a_file_that_cannot_be_read_is_named(root: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root reads every file")
    write(root, "a.py", "secret.txt")
    (root / "secret.txt").chmod(0)
    assert copied(root).unreadable == ["secret.txt"]


def test_a_file_is_replaced_in_the_copy_alone_also_where_the_project_has_a_link(root: Path, tmp_path: Path) -> None:
    write(root, "a.py")
    (tmp_path / "outside.py").write_text("x = 1\n")
    (root / "b.py").symlink_to(tmp_path / "outside.py")
    copy = copied(root)
    for path in ("a.py", "b.py"):
        copy.replace(path, b"x = 2\n")
        assert (copy.root / path).read_text() == "x = 2\n"
    assert (root / "a.py").read_text() == (tmp_path / "outside.py").read_text() == "x = 1\n"
    assert copy.rewritten(["a.py", "b.py"]) == ()
    (copy.root / "a.py").write_text("x = 3\n")
    assert copy.rewritten(["a.py", "b.py"]) == ("a.py",)


@pytest.mark.parametrize("git", [False, True])
def test_what_hypothesis_has_worked_out_is_copied_and_not_what_failed_before(root: Path, git: bool) -> None:
    kept = [".hypothesis/constants/a0", ".hypothesis/unicode_data/14.0.0/charmap.json.gz"]
    write(root, "a.py", *kept, ".hypothesis/examples/b1/c2", ".hypothesis/patches/x", "pkg/.hypothesis/constants/a0")
    if git:
        write(root, ".gitignore", text=".hypothesis\n")
        repository(root, "a.py")
    assert [path for path in files(copied(root)) if "hypothesis" in path] == kept


def test_examples_of_hypothesis_that_git_tracks_are_copied_as_anything_else(root: Path) -> None:
    write(root, "a.py", ".hypothesis/examples/b1/c2", ".hypothesis-notes/x.txt")
    repository(root, "a.py", ".hypothesis/examples/b1/c2", ".hypothesis-notes/x.txt")
    assert files(copied(root)) == [".hypothesis-notes/x.txt", ".hypothesis/examples/b1/c2", "a.py"]
