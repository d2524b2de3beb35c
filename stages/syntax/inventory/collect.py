"""Decides which facts a report shows about a task's files: AMP points and switch, signatures, tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stages._source.program.kinds import Kinds
from stages._source.program.project import read_project
from stages.syntax.inventory.amp_points import amp_points
from stages.syntax.inventory.amp_switch import amp_switch
from stages.syntax.inventory.signatures import signatures
from stages.syntax.inventory.test_modules import is_test_module, misnamed_tests
from stages.syntax.inventory.tests_inventory import read_fixtures, tests_of

if TYPE_CHECKING:
    import ast
    from collections.abc import Sequence

    from verifier.api import Json

    File = tuple[str, ast.Module, list[str]]  # path, tree, source lines


def inventory(files: Sequence[File]) -> dict[str, Json]:
    """Return the facts of a small task, and under `too_deep` the files that were left out because of their depth.

    Args:
        files: those that parse.

    Raises:
        RecursionError: not one file alone is the reason.
    """
    try:
        return _inventory(files) | {"too_deep": []}
    except RecursionError:
        too_deep = [file for file in files if not _is_readable(file)]
    kept = [file for file in files if file not in too_deep]
    return _inventory(kept) | {"too_deep": [path for path, _, _ in too_deep]}


def _is_readable(file: File) -> bool:
    try:
        _inventory([file])
    except RecursionError:
        return False
    return True


def _inventory(files: Sequence[File]) -> dict[str, Json]:
    project = read_project(files)
    kinds = Kinds(project)
    fixtures = read_fixtures(project)
    points: list[Json] = []
    switch: list[Json] = []
    offered: list[Json] = []
    tests: list[Json] = []
    misnamed: list[Json] = []
    for module in project.modules:
        points += amp_points(project, kinds, module)
        if module.path.endswith(".ipynb"):  # nobody imports it, and pytest does not collect it
            switch += amp_switch(project, module)
            continue
        if not is_test_module(module.path):  # what a test passes in is no switch of the code it tests
            switch += amp_switch(project, module)
            offered += signatures(project, module)
        tests += tests_of(project, module, fixtures)
        misnamed += misnamed_tests(project, module)
    return {
        "amp_points": points,
        "amp_switch": switch,
        "signatures": offered,
        "tests": tests,
        "misnamed_tests": misnamed,
    }
