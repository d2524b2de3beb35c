"""Decides which files of a run are read, and has every rule look at those that it wants."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from stages._source.parsing import parse
from stages._source.program.project import Project
from stages._source.testfiles import is_test_file
from stages._source.versions import TorchVersions
from stages.security.delegated import LINTED
from stages.security.findings import findings_of
from stages.security.inventory import WANTED as TRACKED
from stages.security.inventory import tracked
from stages.security.view import View
from stages.security.watch import known_rules, lookers
from verifier.api import rest_of_project

if TYPE_CHECKING:
    import ast
    from collections.abc import Sequence

    from stages._source.versions import Version
    from stages._source.wanted import Wanted
    from stages.security.watch import Look
    from verifier.api import Finding, Json, SourceFile, StageContext


@dataclass(slots=True)
class Read:
    """What reading came to.

    Args:
        unread: files that do not parse.
        paths: files that are no tests, and whose text could concern the linter.
        secrets: texts that rules found, which no report may show.
    """

    findings: list[Finding] = field(default_factory=list)
    inventory: list[dict[str, Json]] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    secrets: list[str] = field(default_factory=list)
    files: int = 0
    parsed: int = 0


def project_of(files: Sequence[SourceFile]) -> Project:
    """Return the project that these files make, each parsed when somebody asks for it."""
    by_path = {file.path: file for file in files}

    def read(path: str) -> tuple[ast.Module, Sequence[str]] | None:
        tree = parse(by_path[path])
        return None if tree is None else (tree, by_path[path].text_lines)

    passes_on: dict[str, bool] = {}  # a large package asks each of its files for hundreds of names

    def names(path: str, name: str) -> bool:
        data = by_path[path].data or b""
        if path not in passes_on:
            passes_on[path] = b"import *" in data
        return passes_on[path] or name.encode() in data

    return Project(by_path, read, lambda path: path.endswith("__init__.py"), names)


def read_all(context: StageContext, installed: Version | None) -> Read:
    """Have the rules look at every Python file of the task that is no test: tests hold hazards on purpose."""
    files = [file for file in context.sources.python() if not file.path.endswith(".pyi")]
    rest = [file for file in rest_of_project(context.config, context.sources) if not file.path.endswith(".pyi")]
    project = project_of([*files, *rest])
    versions = TorchVersions(context.config.root)
    read = Read()
    for file in files:
        if file.data is None:
            read.unread.append(file.path)
        elif not is_test_file(file.path):
            _read_one(file, project, versions, installed, read)
    return read


def _read_one(
    file: SourceFile, project: Project, versions: TorchVersions, installed: Version | None, read: Read
) -> None:
    data = file.data or b""
    read.files += 1
    if LINTED.within(data):
        read.paths.append(file.path)
    asking = _asking(data)
    tracks = any(wanted is TRACKED for _, wanted, _ in asking)
    if not asking:
        return
    module = project.module(file.path)
    if module is None:
        read.unread.append(file.path)
        return
    read.parsed += 1
    view = View(project, module, versions.of(file.path), installed)
    for code, _, look in asking:
        problems = list(look(view))
        read.secrets += [problem.secret for problem in problems if problem.secret]
        read.findings += findings_of(known_rules()[code], view, problems)
    if tracks:
        read.inventory += tracked(view)


def _asking(data: bytes) -> list[tuple[str, Wanted, Look]]:
    """Return the rules that want to look at a text. What several of them want is searched once."""
    torch = b"torch" in data
    said: dict[int, bool] = {}
    for _, wanted, _ in lookers():
        if id(wanted) not in said:
            said[id(wanted)] = (torch or not wanted.torch) and wanted.within(data)
    return [rule for rule in lookers() if said[id(rule[1])]]
