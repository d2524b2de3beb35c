"""Looks at modules that need not speak of AMP: what is wrong with the training code itself, and with code like it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stages._source.program.kinds import Kinds
from stages._source.versions import TorchVersions
from stages.logic.findings import finding_of
from stages.logic.view import View

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from stages._source.program.project import Project
    from stages.logic.survey import Surveyed
    from stages.logic.watch import Watchers
    from verifier.api import Finding, RuleInfo


def unsound(
    root: Path,
    project: Project,
    surveyed: Mapping[str, Surveyed],
    watching: Watchers,
    known: Mapping[str, RuleInfo],
) -> Iterator[Finding]:
    """Yield what rules about module soundness say. Tests are left out: they hold hazards on purpose."""
    kinds, versions = Kinds(project), TorchVersions(root)
    looks = {code: look for code, _, look in watching.soundness}
    for path, said in surveyed.items():
        module = project.module(path) if said.sound else None
        if module is None:
            continue
        view = View(project, module, kinds, versions)
        for code in said.sound:
            yield from (finding_of(known[code], problem) for problem in looks[code](view))
