"""Decides which files pytest reads as tests, and which functions elsewhere it would take for tests."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from stages._source.program.scopes import Function

if TYPE_CHECKING:
    from stages._source.program.project import Module, Project
    from verifier.api import Json


def is_test_module(path: str) -> bool:
    """By pytest's own default pattern."""
    name = PurePosixPath(path).name
    return name.endswith(".py") and (name.startswith("test_") or name.endswith("_test.py"))


def misnamed_tests(project: Project, module: Module) -> list[Json]:
    """Return functions called `test_*` outside test modules, with the test modules into which they are imported.

    pytest collects a function by its name in the test module, whether it was defined or imported there.
    """
    if is_test_module(module.path) or PurePosixPath(module.path).name == "conftest.py":
        return []
    found: list[Json] = []
    for node in module.tree.body:
        if isinstance(node, Function) and node.name.startswith("test_"):
            collected = sorted(_collecting(project, module, node.name))
            note = (
                f"pytest collects it as a test in {', '.join(collected)}, which imports it"
                if len(collected) == 1
                else f"pytest collects it as a test in {', '.join(collected)}, which import it"
                if collected
                else "pytest collects it as a test in every test module that imports it by name"
            )
            found.append(
                {
                    "path": module.path,
                    "line": node.lineno,
                    "name": node.name,
                    "collected_by": [*collected],
                    "note": note,
                }
            )
    return found


def _collecting(project: Project, module: Module, name: str) -> set[str]:
    defined = f"{module.name}.{name}"
    found = set()
    for other in project.modules:
        if not is_test_module(other.path):
            continue
        root = other.scopes.root
        bound = [
            binding.origin
            for local, bindings in root.bindings.items()
            if local.startswith("test")
            for binding in bindings
            if binding.how == "import"
        ]
        bound += [f"{star}.{name}" for star in root.stars]
        if any(_leads_to(project, origin, defined) for origin in bound):
            found.add(other.path)
    return found


def _leads_to(project: Project, origin: str, defined: str) -> bool:
    """Follow re-exports: `from a import test_x` in b, `from b import test_x` in the test module."""
    for _ in range(8):
        split = project.split(origin)
        if split is None:
            return False
        module, rest = split
        if f"{module.name}.{rest}" == defined:
            return True
        following = [item.origin for item in module.scopes.root.bindings.get(rest, []) if item.how == "import"]
        following += [f"{star}.{rest}" for star in module.scopes.root.stars]
        if not following:
            return False
        origin = following[0]
    return False
