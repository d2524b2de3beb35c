"""Decides what does not fit between a project's declarations and its imports, for the report's facts alone.

No code of PRODUCT.md speaks of either kind: IMP002 is about what is not installed, at severities that are fixed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stages._source.distributions import Distributions
from stages.syntax.dependencies.misplaced import misplaced
from stages.syntax.dependencies.problem import problem_facts
from stages.syntax.dependencies.unused import unused

if TYPE_CHECKING:
    from stages.syntax.imports.judge import Imports
    from verifier.api import Json


def dependency_problems(imports: Imports) -> list[Json]:
    """Return one row for each requirement that is misplaced or unused."""
    dependencies = imports.dependencies
    distributions = Distributions(imports.request.environment.facts.path)
    found = misplaced(imports, dependencies, distributions)
    for folder, imported in sorted(_imported(imports).items()):
        stated = dependencies.stated_in(folder)
        if stated.installs or not folder:  # a list further down may be for code that lies elsewhere
            found += unused(imports.request.root, folder, stated, imported, distributions)
    return problem_facts(found)


def _imported(imports: Imports) -> dict[str, set[str]]:
    """Return the top-level modules that the files below each folder import."""
    found: dict[str, set[str]] = {"": set()}
    for path, scan in imports.scans.items():
        tops = {site.module.partition(".")[0] for site in scan.imports if not site.level}
        folder = path.rpartition("/")[0]
        while folder:
            found.setdefault(folder, set()).update(tops)
            folder = folder.rpartition("/")[0]
        found[""] |= tops
    return found
