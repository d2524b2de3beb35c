"""What stage 3 runs: which files are modules and under which names, and which folders Python searches."""

from __future__ import annotations

import ast
import os
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from amp_runtime.wire import ModuleUnit
from stages._probe.places import imports_torch, project_paths, search_folders
from stages._source.testfiles import is_test_file

if TYPE_CHECKING:
    from verifier.api import SourceFile, StageContext

_PROGRAM_CALLS = frozenset({"parse_args", "parse_known_args", "backward", "input"})
_PROGRAM_NAMES = frozenset({"main", "cli", "run", "train"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What will be run.

    Args:
        paths: project folders for sys.path, in order.
        not_imported: sentences about files that are no modules.
        uses_torch: some file of the task or its tests imports torch.
    """

    modules: tuple[ModuleUnit, ...]
    paths: tuple[str, ...]
    not_imported: tuple[str, ...]
    uses_torch: bool


def plan(context: StageContext) -> Plan:
    sources = context.sources.python()
    files = [file for file in sources if file.path.endswith(".py") and not _is_test(file.path, context.task.tests)]
    folders = search_folders(context.config.source_roots)
    packages = _packages(context)
    modules, scripts, unnamed = [], [], []
    for file in files:
        unit = _unit(file, context, folders, packages)
        if PurePosixPath(file.path).name == "__main__.py" or is_script(file):
            scripts.append(file.path)
        elif unit is None:
            unnamed.append(file.path)
        else:
            modules.append(unit)
    return Plan(
        modules=tuple(modules),
        paths=project_paths(context),
        not_imported=(
            *_sentence("programs that start work when imported, so they were not imported", scripts),
            *_sentence("files whose names no import statement can spell, so they were not imported", unnamed),
        ),
        uses_torch=imports_torch(context),
    )


def nothing_but_torch(context: StageContext) -> Plan:
    """Return the plan for a program that is run by itself: it finds what it finds under Python, and the project."""
    given = [os.path.abspath(folder) for folder in os.environ.get("PYTHONPATH", "").split(os.pathsep) if folder]  # noqa: PTH100
    paths = tuple(dict.fromkeys((*given, *project_paths(context))))
    return Plan(modules=(), paths=paths, not_imported=(), uses_torch=True)


def _unit(
    file: SourceFile, context: StageContext, folders: tuple[str, ...], packages: frozenset[str]
) -> ModuleUnit | None:
    """Return the module a file is: named from the folder above its top-most package, else from its search folder."""
    path = PurePosixPath(file.path)
    base = path.parent
    while base.as_posix() in packages:
        base = base.parent
    in_package = base != path.parent
    if not in_package:
        holders = [folder for folder in folders if folder == "." or path.is_relative_to(folder)]
        base = PurePosixPath(max(holders, key=len, default=".") if holders else ".")
    parts = path.relative_to(base).with_suffix("").parts
    if parts[-1] == "__init__":
        parts = parts[:-1]
    if not parts or not all(part.isidentifier() for part in parts):
        return None
    own = base if in_package else path.parent
    extra = () if own.as_posix() in folders else (str(context.root / own),)
    return ModuleUnit(name=".".join(parts), file=file.path, paths=extra)


def _packages(context: StageContext) -> frozenset[str]:
    """Return every folder on the way to a file that has an `__init__.py`, selected by the task or not."""
    folders = {folder for file in context.sources.python() for folder in PurePosixPath(file.path).parents}
    return frozenset(
        folder.as_posix()
        for folder in folders
        if folder.as_posix() != "." and (context.root / folder / "__init__.py").is_file()
    )


def _is_test(path: str, tests: tuple[str, ...]) -> bool:
    declared = any(PurePosixPath(path).is_relative_to(PurePosixPath(test)) for test in tests)
    return declared or is_test_file(path)


def is_script(file: SourceFile) -> bool:
    """Say whether the file is a program without a `__name__` guard, which starts its work when it is imported.

    Signs are a command line that is read, a training step that is taken, or `main()` and its like called bare, all
    outside functions and classes. Whatever is in doubt is a module, and gets imported.
    """
    try:
        body = ast.parse(file.data or b"").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False  # importing it will say what is wrong with it
    return not any(_is_main_guard(node) for node in body) and any(_starts_work(node) for node in body)


def _is_main_guard(node: ast.stmt) -> bool:
    return isinstance(node, ast.If) and any(
        isinstance(name, ast.Name) and name.id == "__name__" for name in ast.walk(node.test)
    )


def _starts_work(node: ast.AST) -> bool:
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)):
        return False
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) and _is_program_name(node.value.func):
        return True
    if isinstance(node, ast.Call) and _last_name(node.func) in _PROGRAM_CALLS:
        return True
    if isinstance(node, ast.Subscript) and ast.unparse(node.value) == "sys.argv":
        return True
    return any(_starts_work(child) for child in ast.iter_child_nodes(node))


def _is_program_name(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id in _PROGRAM_NAMES


def _last_name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _sentence(what: str, paths: list[str]) -> tuple[str, ...]:
    if not paths:
        return ()
    listed = ", ".join(paths[:10]) + (f" and {len(paths) - 10} more" if len(paths) > 10 else "")
    return (f"{what}: {listed}",)
