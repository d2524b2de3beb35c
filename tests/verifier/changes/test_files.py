"""What git says has changed, in repositories of every kind, and that asking it runs nothing of theirs."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.verifier.changes.repository import ENVIRONMENT, Repository, repository
from verifier.changes.files import changed_since
from verifier.errors import UsageError
from verifier.git import commit_and_dirty


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def repo(tmp_path: Path) -> Repository:
    return repository(tmp_path / "repo", "a.py", "pkg/b.py", "c.py")


def _changed(repo: Repository, ref: str = "main", below: str = "") -> set[str]:
    paths = changed_since(repo.root / below, ref).paths
    return {path.relative_to(repo.root).as_posix() for path in paths}


def test_nothing_has_changed(repo: Repository) -> None:
    assert _changed(repo) == set()


def test_committed_staged_unstaged_and_untracked_all_count(repo: Repository) -> None:
    repo.git("switch", "--quiet", "--create", "topic")
    repo.write("pkg/b.py", "x = 2\n")
    repo.commit()
    repo.write("a.py", "x = 3\n")
    repo.git("add", "a.py")
    repo.write("c.py", "x = 4\n")
    repo.write("new/d.py")
    repo.write(".gitignore", "*.log\n")
    repo.write("e.log")
    assert _changed(repo) == {"a.py", "c.py", "pkg/b.py", "new/d.py", ".gitignore"}
    assert _changed(repo, below="pkg") == _changed(repo)


def test_a_renamed_file_counts_under_both_names_and_a_deleted_one_under_its_own(repo: Repository) -> None:
    repo.git("switch", "--quiet", "--create", "topic")
    repo.git("mv", "a.py", "pkg/moved.py")
    repo.commit()
    (repo.root / "c.py").unlink()
    assert _changed(repo) == {"a.py", "pkg/moved.py", "c.py"}


def test_what_the_other_branch_did_since_does_not_count(repo: Repository) -> None:
    base = repo.git("rev-parse", "HEAD")
    repo.git("switch", "--quiet", "--create", "topic")
    repo.write("a.py", "x = 2\n")
    repo.commit()
    repo.git("switch", "--quiet", "main")
    repo.write("c.py", "x = 2\n")
    repo.commit()
    repo.git("switch", "--quiet", "topic")
    assert _changed(repo) == {"a.py"}
    assert changed_since(repo.root, "main").base == base


def test_names_that_are_no_ascii_hold_spaces_or_line_breaks(repo: Repository) -> None:
    names = {"über.py", "a b.py", "line\nbreak.py", '"quoted".py', "-dash.py"}
    for name in names:
        repo.write(name)
    assert _changed(repo) == names


def test_a_worktree_has_changes_of_its_own(repo: Repository, tmp_path: Path) -> None:
    repo.git("worktree", "add", "--quiet", str(tmp_path / "tree"), "-b", "topic")
    tree = Repository(tmp_path / "tree")
    tree.write("a.py", "x = 2\n")
    assert _changed(tree) == {"a.py"}
    assert _changed(repo) == set()


def test_a_shallow_clone_says_what_it_lacks(repo: Repository, tmp_path: Path) -> None:
    first = repo.git("rev-parse", "HEAD")
    repo.git("switch", "--quiet", "--create", "topic")
    repo.write("a.py", "x = 2\n")
    repo.commit()
    repo.git("clone", "--quiet", "--depth", "1", "--no-single-branch", f"file://{repo.root}", str(tmp_path / "clone"))
    clone = Repository(tmp_path / "clone")
    with pytest.raises(UsageError, match="shallow clone does not reach the commit that origin/main and HEAD share"):
        changed_since(clone.root, "origin/main")
    with pytest.raises(UsageError, match=r"no such commit .* shallow clone: git fetch --unshallow"):
        changed_since(clone.root, "0" * 40)
    clone.git("fetch", "--quiet", "--unshallow")
    assert _changed(clone, "origin/main") == {"a.py"}
    assert changed_since(clone.root, "origin/main").base == first


def test_histories_that_share_nothing(repo: Repository) -> None:
    repo.git("switch", "--quiet", "--orphan", "other")
    repo.write("z.py")
    repo.commit()
    with pytest.raises(UsageError, match="main and HEAD share no commit"):
        changed_since(repo.root, "main")


@pytest.mark.parametrize("ref", ["nowhere", "--help", "main:a.py", "", "HEAD~9"])
def test_a_ref_that_is_no_commit(repo: Repository, ref: str) -> None:
    with pytest.raises(UsageError, match="there is no such commit"):
        changed_since(repo.root, ref)


def test_no_repository_no_commit_and_no_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "none").mkdir()
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    with pytest.raises(UsageError, match="not a git repository"):
        changed_since(tmp_path / "none", "main")
    (tmp_path / "empty").mkdir()
    Repository(tmp_path / "empty").git("init", "--quiet")
    with pytest.raises(UsageError, match="has no commit yet"):
        changed_since(tmp_path / "empty", "main")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError, match="needs git, and there is none on the PATH"):
        changed_since(tmp_path / "empty", "main")


def test_what_changes_in_a_submodule_counts(repo: Repository, tmp_path: Path) -> None:
    repository(tmp_path / "library", "lib/one.py", "lib/two.py")
    repo.git("submodule", "--quiet", "add", f"file://{tmp_path / 'library'}", "vendor")
    repo.commit()
    assert _changed(repo, "HEAD") == set()
    inside = Repository(repo.root / "vendor")
    inside.write("lib/one.py", "x = 2\n")
    assert _changed(repo, "HEAD") == {"vendor/lib/one.py"}
    inside.commit()
    inside.write("lib/three.py")
    assert _changed(repo, "HEAD") == {"vendor", "vendor/lib/one.py", "vendor/lib/three.py"}
    repo.commit()
    assert _changed(repo, "HEAD~1") == {"vendor", "vendor/lib/one.py", "vendor/lib/three.py"}
    assert "vendor/lib/two.py" in _changed(repo, "main~2")


def test_a_repository_inside_that_is_no_submodule_counts_whole(repo: Repository) -> None:
    repository(repo.root / "inner", "one.py")
    assert "inner/one.py" in _changed(repo)


def test_asking_runs_nothing_that_the_repository_configures(repo: Repository, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    evil = tmp_path / "evil.sh"
    evil.write_text(f'#!/bin/sh\necho "$0 $*" >> {ran}\ncat\n')
    evil.chmod(0o755)
    repo.write(".gitattributes", "*.py diff=evil filter=evil\n")
    head = repo.commit()
    keys = ("core.fsmonitor", "core.pager", "core.editor", "diff.external", "diff.evil.command", "diff.evil.textconv",
            "filter.evil.clean", "filter.evil.smudge", "core.sshCommand", "credential.helper")  # fmt: skip
    for key in keys:
        repo.git("config", key, str(evil))
    hooks = repo.root / ".git/hooks"
    for name in ("post-index-change", "fsmonitor-watchman", "reference-transaction", "pre-auto-gc"):
        (hooks / name).write_text(evil.read_text())
        (hooks / name).chmod(0o755)
    (repo.root / "a.py").write_text("x = 22\n")
    (repo.root / "c.py").touch()
    assert {"a.py"} <= _changed(repo, "HEAD") <= {"a.py", "c.py"}
    assert commit_and_dirty(repo.root) == (head, True)
    assert not ran.exists(), ran.read_text()
