"""Decides which facts `verify analyze` shows of each module, section by section."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.depth import deep
from stages._source.parsing import parse
from stages._source.program.project import Project
from stages.syntax.modules.importers import importers_of
from stages.syntax.modules.interface import interface
from stages.syntax.modules.maintainability import maintainability
from stages.syntax.modules.performance import performance
from stages.syntax.modules.robustness import robustness
from stages.syntax.modules.security import security
from verifier.api import rest_of_project

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from stages._source.program.project import Module
    from verifier.api import Json, StageContext


def module_facts(context: StageContext, facts: Mapping[str, Any]) -> dict[str, dict[str, Json]]:
    """Return path -> section -> facts, of every Python file of the task that parses.

    Args:
        facts: what the stages established, by their names; the table of imports is taken from there.
    """
    files = {file.path: file for file in context.sources.python() if not file.path.endswith((".pyi", ".ipynb"))}
    others = {file.path: file for file in rest_of_project(context.config, context.sources)}

    def read(path: str) -> tuple[ast.Module, Sequence[str]] | None:
        file = files.get(path) or others[path]
        tree = parse(file)
        return None if tree is None else (tree, file.text_lines)

    imports = facts.get("syntax", {}).get("imports", [])
    with deep():
        project = Project([*files, *others], read)
        users = importers_of(project, {**files, **others}, list(files))
        return {
            path: _sections(project, module, users[path], [row for row in imports if row["path"] == path])
            for path in files
            if (module := project.module(path)) is not None
        }


def _sections(
    project: Project, module: Module, users: list[Json], imports: Sequence[Mapping[str, Any]]
) -> dict[str, Json]:
    return {
        "purpose": _purpose(module, users),
        "interface": interface(project, module, imports),
        "robustness": robustness(module),
        "performance": performance(module),
        "security": security(project, module),
        "maintainability": maintainability(module),
    }


def _purpose(module: Module, users: list[Json]) -> dict[str, Json]:
    """Return what the module says of itself, whether it is run or imported, and by whom."""
    text = ast.get_docstring(module.tree) or ""
    guards = (node for node in module.tree.body if isinstance(node, ast.If))
    return {
        "module": module.name,
        "docstring": text.split("\n\n")[0].strip() or None,
        "is_script": any("__main__" in ast.unparse(node.test) for node in guards),
        "imported_by": users,
    }
