"""Decides which files differ from the commit that REF and HEAD share, by plumbing that runs nothing of theirs.

Trees and the index are compared, and contents only where git has to, with every filter that the repository names taken
away (`verifier.git`): no filter, textconv or diff driver of a hostile repository is started. A file that a filter would
find unchanged counts as changed, and a renamed file counts under both names.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from verifier.errors import UsageError
from verifier.git import Answer, asked

_PLAIN = ("--no-ext-diff", "--no-textconv", "--no-renames", "--name-only", "-z")
_DIFF_INDEX = ("diff-index", "--cached", *_PLAIN, "--ignore-submodules=none")
_DIFF_FILES = ("diff-files", *_PLAIN, "--ignore-submodules=dirty")  # "none" would start git inside of them
_UNTRACKED = ("ls-files", "--others", "--exclude-standard", "-z")
_GITLINK = b"160000 "


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What has changed since `base`, the merge base. Paths are absolute; a file may be gone."""

    base: str
    paths: frozenset[Path]


def changed_since(root: Path, ref: str) -> Changes:
    """Return what differs, in the working tree too, from the merge base of `ref` and HEAD.

    Raises:
        UsageError: there is no git, no repository, no such commit, or no commit that both share.
    """
    top = Path(os.fsdecode(_must(root, "rev-parse", "--show-toplevel").rstrip(b"\n")))
    base = _merge_base(top, ref)
    return Changes(base=base, paths=frozenset(_differing(top, base)))


def _merge_base(top: Path, ref: str) -> str:
    head, other = _commit(top, "HEAD"), _commit(top, ref)
    if head is None:
        raise UsageError(f"--changed-since {ref}: the repository at {top} has no commit yet")
    shallow = _must(top, "rev-parse", "--is-shallow-repository").strip() == b"true"
    remedy = "git fetch --unshallow, or `fetch-depth: 0` in a GitHub workflow" if shallow else ""
    if other is None:
        more = f", and this is a shallow clone: {remedy}" if shallow else "; fetch it, or correct the name"
        raise UsageError(f"--changed-since {ref}: there is no such commit in {top}{more}")
    answer = _asked(top, "merge-base", other, head)
    base = answer.out.decode("ascii", "replace").strip()
    if answer.code == 0 and base:
        return base
    if shallow:
        raise UsageError(
            f"--changed-since {ref}: this shallow clone does not reach the commit that {ref} and HEAD share: {remedy}"
        )
    raise UsageError(f"--changed-since {ref}: {ref} and HEAD share no commit, so nobody can say what has changed")


def _commit(top: Path, name: str) -> str | None:
    answer = _asked(top, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
    return answer.out.decode("ascii", "replace").strip() if answer.code == 0 else None


def _differing(top: Path, base: str) -> set[Path]:
    asked_for = ((*_DIFF_INDEX, base, "--"), (*_DIFF_FILES, "--"), (*_UNTRACKED, "--"))
    names = {name for question in asked_for for name in _names(_must(top, *question))}
    paths = {Path(top, name) for name in names if not name.endswith("/")}
    for name in names:
        if name.endswith("/"):  # a repository inside of this one, and no submodule: nobody recorded what was in it
            paths |= {path for path in Path(top, name).rglob("*") if path.is_file()}
    for name, commit in _submodules(top, base).items():
        paths |= _differing_in(Path(top, name), commit)
    return paths


def _submodules(top: Path, base: str) -> dict[str, str | None]:
    """Return the submodules that are checked out, each with the commit that `base` recorded of it, if it did."""
    before = {}
    for entry in _must(top, "ls-tree", "-r", "-z", base, "--").split(b"\0"):
        if entry.startswith(_GITLINK):
            facts, _, name = entry.partition(b"\t")
            before[os.fsdecode(name)] = facts.split()[2].decode("ascii")
    now = [entry for entry in _must(top, "ls-files", "--stage", "-z", "--").split(b"\0") if entry.startswith(_GITLINK)]
    names = [os.fsdecode(entry.partition(b"\t")[2]) for entry in now]
    return {name: before.get(name) for name in names if os.path.lexists(Path(top, name, ".git"))}


def _differing_in(folder: Path, commit: str | None) -> set[Path]:
    """Return what differs in a submodule; all its files where the commit that it was at is not there."""
    if commit is not None and _commit(folder, commit) is not None:
        return _differing(folder, commit)
    questions = (("ls-files", "-z", "--"), (*_UNTRACKED, "--"))
    return {Path(folder, name) for question in questions for name in _names(_must(folder, *question))}


def _names(data: bytes) -> list[str]:
    return [os.fsdecode(name) for name in data.split(b"\0") if name]


def _asked(folder: Path, *question: str) -> Answer:
    answer = asked(folder, *question)
    if answer is None:
        raise UsageError("--changed-since needs git, and there is none on the PATH; install it, or name the tasks")
    return answer


def _must(folder: Path, *question: str) -> bytes:
    answer = _asked(folder, *question)
    if answer.code != 0:
        said = next((line for line in answer.error.splitlines() if line.strip()), "it gave no reason")
        raise UsageError(f"--changed-since: git cannot say what has changed in {folder}: {said}")
    return answer.out
