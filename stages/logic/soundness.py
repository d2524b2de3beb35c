"""Looks at modules that need not speak of AMP: what is wrong with the training code itself, and with code like it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stages._source.program.kinds import Kinds
from stages._source.testfiles import is_test_file
from stages._source.versions import TorchVersions
from stages.logic.findings import finding_of
from stages.logic.view import View

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from stages._source.program.project import Project
    from stages.logic.watch import Watchers
    from verifier.api import Finding, RuleInfo, SourceFile


def unsound(
    root: Path,
    project: Project,
    files: Sequence[SourceFile],
    watching: Watchers,
    known: Mapping[str, RuleInfo],
) -> Iterator[Finding]:
    """Yield what rules about module soundness say. Tests are left out: they hold hazards on purpose."""
    kinds, versions = Kinds(project), TorchVersions(root)
    for file in files:
        data = file.data
        if data is None or is_test_file(file.path):
            continue
        torch = b"torch" in data
        asking = [
            (code, look)
            for code, wanted, look in watching.soundness
            if (torch or not wanted.torch) and wanted.within(data)
        ]
        module = project.module(file.path) if asking else None
        if module is None:
            continue
        view = View(project, module, kinds, versions)
        for code, look in asking:
            yield from (finding_of(known[code], problem) for problem in look(view))
