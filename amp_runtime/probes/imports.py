"""Import each module as the first one of the project in a fresh process."""

from __future__ import annotations

import functools
import importlib
import importlib.machinery
import os
import sys
from typing import TYPE_CHECKING

from ..wire import Imported, ModuleUnit
from .child import Unit

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..wire import Request
    from .child import Reporter


def units(request: Request, startup: frozenset[str]) -> Iterable[Unit]:
    return [
        Unit(name=module.name, body=functools.partial(_import, module, request.root, startup))
        for module in request.modules
    ]


def _import(module: ModuleUnit, root: str, startup: frozenset[str], reporter: Reporter) -> None:
    sys.path.extend(path for path in module.paths if path not in sys.path)
    forget(module.name.partition(".")[0], root, startup)
    reporter.phase("import")
    importlib.import_module(module.name)
    origin = _origin(module, root)
    reporter.item(Imported(origin=origin))


def forget(top: str, root: str, startup: frozenset[str]) -> None:
    """Drop a module that only the harness has loaded, so that a project file of its name is found as usual.

    What every Python process loads before its first line stays: there the project's file is never found either.
    """
    if top in startup or top not in sys.modules:  # what is below a package is never loaded without it
        return
    for name in [name for name in sys.modules if name.partition(".")[0] == top]:
        del sys.modules[name]


def _origin(module: ModuleUnit, root: str) -> str | None:
    """Return the file the module came from, as absolute path. A module may replace itself: then ask the path again."""
    wanted = os.path.realpath(os.path.join(root, module.file))
    loaded = sys.modules.get(module.name)
    seen = None
    for candidate in (getattr(getattr(loaded, "__spec__", None), "origin", None), getattr(loaded, "__file__", None)):
        if isinstance(candidate, str):
            seen = seen or os.path.realpath(candidate)
            if os.path.realpath(candidate) == wanted:
                return wanted
    return _found_on_path(module.name) or seen


def _found_on_path(name: str) -> str | None:
    parent = sys.modules.get(name.rpartition(".")[0])
    search = None if parent is None else list(getattr(parent, "__path__", ()))
    if name in sys.builtin_module_names:
        return "built-in"
    spec = importlib.machinery.PathFinder.find_spec(name, search)
    return None if spec is None or spec.origin is None else os.path.realpath(spec.origin)
