"""What travels: what git does not ignore, with rights and links, and no more than is sensible."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.verifier.changes.repository import ENVIRONMENT, repository
from verifier.errors import MachineError, UsageError
from verifier.executors.snapshot import Snapshot, take, unpack
from verifier.git import ask_git


def _files(root: Path) -> dict[str, str]:
    return {
        path.relative_to(root).as_posix(): path.read_text()
        for path in sorted(root.rglob("*"))
        if path.is_file() and ".git" not in path.relative_to(root).parts
    }


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    root = tmp_path / "project"
    for name in (".gitignore", "a.py", "pkg/b.py", ".hidden/c.txt", "data/big.bin", "kept/d.bin"):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("*.bin\n" if name == ".gitignore" else name)
    (root / "a.py").chmod(0o755)
    (tmp_path / "outside.txt").write_text("outside")
    (root / "pkg/inner.py").symlink_to("b.py")
    (root / "pkg/outer.txt").symlink_to(tmp_path / "outside.txt")
    return root


@pytest.fixture
def target(tmp_path: Path) -> Path:
    folder = tmp_path / "there"
    folder.mkdir()
    return folder


def test_a_repository_arrives_as_git_knows_it(project: Path, target: Path) -> None:
    made = repository(project)
    made.git("add", "--force", "kept/d.bin")
    made.commit()
    made.write("new.py", "new")
    (project / ".hidden/c.txt").unlink()
    unpack(take(project), target)
    assert _files(target) == {
        ".gitignore": "*.bin\n",
        "a.py": "a.py",
        "kept/d.bin": "kept/d.bin",
        "new.py": "new",
        "pkg/b.py": "pkg/b.py",
        "pkg/inner.py": "pkg/b.py",
        "pkg/outer.txt": "outside",
    }
    assert os.access(target / "a.py", os.X_OK)
    assert (target / "pkg/inner.py").is_symlink()
    assert not (target / "pkg/outer.txt").is_symlink()
    listed = ask_git(target, "ls-files", "--cached")
    assert listed is not None
    assert set(listed.decode().split()) == set(_files(target))


def test_without_git_it_is_what_the_verifier_reads(project: Path, target: Path) -> None:
    snapshot = take(project)
    unpack(snapshot, target)
    assert not snapshot.by_git
    assert sorted(_files(target)) == [".gitignore", "a.py", "pkg/b.py", "pkg/inner.py", "pkg/outer.txt"]


def test_a_project_that_is_too_large_is_refused_with_its_largest_file(project: Path) -> None:
    (project / "pkg/b.py").write_bytes(b"#" * (2 << 20))
    with pytest.raises(UsageError, match=r"more than 1 MiB .*, pkg/b.py alone 2 MiB; have .gitignore leave out"):
        take(project, limit_bytes=1 << 20)


def test_an_archive_that_leads_out_of_its_folder_is_refused(target: Path, tmp_path: Path) -> None:
    import io
    import tarfile

    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        archive.addfile(tarfile.TarInfo("../out.txt"))
    with pytest.raises(MachineError, match="cannot be unpacked"):
        unpack(Snapshot(data=buffer.getvalue(), by_git=False), target)
    assert not (tmp_path / "out.txt").exists()
