"""What fixes of this stage ask about a file: the names in it, and the torch it is to run with."""

from __future__ import annotations

import ast
from dataclasses import replace
from importlib import metadata
from typing import TYPE_CHECKING

from stages._source.program.kinds import Kinds
from stages._source.testfiles import is_test_file
from stages._source.versions import TorchVersions
from stages.logic.projects import project_of
from stages.logic.view import View
from verifier.api import Key, rest_of_project

if TYPE_CHECKING:
    from stages._source.program.project import Project
    from stages._source.program.scopes import Scope
    from stages._source.versions import Version
    from verifier.api import Finding, Fix, FixContext, Repair

_PROJECT: Key[Project] = Key("the project, for fixes")


def view_of(context: FixContext, path: str) -> View | None:
    """Return a file of the run as the rules of this stage see it; None where it does not parse."""
    project = context.stash.get(_PROJECT)
    if project is None:
        files = [file for file in context.sources.python() if not file.path.endswith(".pyi")]
        others = [file for file in rest_of_project(context.config, context.sources) if not file.path.endswith(".pyi")]
        project = project_of([*files, *others])
        context.stash.put(_PROJECT, project)
    module = project.module(path)
    return None if module is None else View(project, module, Kinds(project), TorchVersions(context.config.root))


def wary_of_tests(fix: Fix) -> Fix:
    """Return the fix as one that is never safe in a test file: a test may hold a hazard on purpose."""

    def repair(finding: Finding, context: FixContext) -> Repair | None:
        made = fix.repair(finding, context)
        if made is not None and is_test_file(finding.location.path):
            return replace(made, safety="unsafe")
        return made

    return replace(fix, repair=repair)


def scope_of(view: View, node: ast.AST) -> Scope:
    """Return the scope in which the names of a node are read."""
    scopes, parents = view.module.scopes.scopes, view.module.scopes.parents
    around: ast.AST | None = node
    while around is not None and around not in scopes:
        around = parents.get(around)
    return scopes[around] if around is not None else view.module.scopes.root


def runs_with(view: View, version: Version, context: FixContext) -> bool | None:
    """Say whether the file is to run with that version of torch or a newer one; None where nothing tells.

    What the project declares counts, and where it declares nothing, the torch that is installed here.
    """
    declared = view.torch
    if declared.least is not None:
        return declared.least >= version
    if declared.before is not None and declared.before <= version:
        return False
    if context.config.python is not None:
        return None
    try:
        installed = metadata.version("torch")
    except metadata.PackageNotFoundError:
        return None
    numbers = installed.partition("+")[0].split(".")[:2]
    return tuple(int(part) for part in numbers if part.isdigit()) >= version
