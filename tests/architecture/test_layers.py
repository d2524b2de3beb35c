"""Imports point one way, static code stays free of torch, and files stay small."""

from __future__ import annotations

import ast
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import networkx as nx
import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("verifier", "stages", "amp_runtime", "reports")
MAY_IMPORT = {
    "verifier": set(),
    "amp_runtime": set(),
    "reports": {"verifier.api"},
    "stages": {"verifier.api", "amp_runtime.wire", "amp_runtime.calibration"},
}
SHARED_BY_STAGES = {"stages._source", "stages._probe"}


def _modules(package: str) -> Iterator[tuple[str, Path]]:
    for path in sorted((ROOT / package).rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


def _only_for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


def _nodes(tree: ast.AST, *, types_too: bool) -> Iterator[ast.AST]:
    for node in ast.iter_child_nodes(tree):
        if types_too or not _only_for_types(node):
            yield node
            yield from _nodes(node, types_too=types_too)


def _imports(module: str, path: Path, *, types_too: bool) -> Iterator[str]:
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    for node in _nodes(ast.parse(path.read_text("utf-8")), types_too=types_too):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = package.split(".")
                base = ".".join([*parts[: len(parts) - node.level + 1], *([base] if base else [])])
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


MODULES = {name: path for package in PACKAGES for name, path in _modules(package)}


def _edges(*, types_too: bool) -> set[tuple[str, str]]:
    return {
        (name, target)
        for name, path in MODULES.items()
        for target in _imports(name, path, types_too=types_too)
        if target in MODULES and target != name
    }


EDGES = _edges(types_too=True)


def _package(module: str) -> str:
    return module.split(".", 1)[0]


def test_packages_only_point_where_they_may() -> None:
    crossing = {(source, target) for source, target in EDGES if _package(source) != _package(target)}
    allowed = {(source, target) for source, target in crossing if target in MAY_IMPORT[_package(source)]}
    packages = {(source, target) for source, target in crossing if target in PACKAGES}  # `from pkg import x`
    assert crossing - allowed - packages == set()


def test_a_stage_imports_only_itself_and_what_stages_share() -> None:
    def folder(module: str) -> str:
        return ".".join(module.split(".")[:2])

    wrong = {
        (source, target)
        for source, target in EDGES
        if _package(source) == _package(target) == "stages"
        and folder(source) != folder(target)
        and folder(target) not in {*SHARED_BY_STAGES, "stages"}
    }
    assert wrong == set()


def test_no_module_imports_itself_in_a_circle() -> None:
    edges = _edges(types_too=False)
    graph = nx.DiGraph((source, target) for source, target in edges if not target.startswith(f"{source}."))
    assert [sorted(group) for group in nx.strongly_connected_components(graph) if len(group) > 1] == []


@pytest.mark.parametrize("package", ["verifier", "stages", "reports"])
def test_every_module_imports_without_torch_and_without_a_warning(package: str) -> None:
    names = [name for name in MODULES if _package(name) == package and not name.endswith("__main__")]
    code = f"import sys, importlib\nsys.modules['torch'] = None\nfor name in {names!r}: importlib.import_module(name)"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_files_are_small_and_the_median_smaller() -> None:
    lines = {name: len(path.read_text("utf-8").splitlines()) for name, path in MODULES.items()}
    assert {name: count for name, count in lines.items() if count > 400} == {}
    assert statistics.median(lines.values()) < 100


def test_functions_fit_on_a_screen() -> None:
    long = {
        f"{name}.{node.name}": length
        for name, path in MODULES.items()
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (length := (node.end_lineno or 0) - node.lineno + 1) > 60
    }
    assert long == {}
