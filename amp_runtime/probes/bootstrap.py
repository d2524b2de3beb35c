"""Start the harness from our installation under a private name, before any path of the project is known.

Run as `PYTHON -P bootstrap.py REQUEST`. Nothing here may import `amp_runtime` by its name: the project under
verification may be a broken copy of it.
"""

from __future__ import annotations

import sys

STARTUP = frozenset(sys.modules)  # what every Python process has loaded before the first line of a program

import builtins  # noqa: E402
import importlib  # noqa: E402
import importlib.machinery  # noqa: E402
import types  # noqa: E402
from pathlib import Path  # noqa: E402

PRIVATE_NAME = "_verify_probe"
_BUILTINS = dict(vars(builtins))


class _Loader(importlib.machinery.SourceFileLoader):
    """Gives each module of the harness built-in functions of its own: the project may replace the others."""

    def exec_module(self, module: types.ModuleType) -> None:
        vars(module)["__builtins__"] = _BUILTINS
        super().exec_module(module)


class _Finder:
    """Finds the modules of the harness, and nothing else."""

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> importlib.machinery.ModuleSpec | None:
        if not name.startswith(f"{PRIVATE_NAME}."):
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path)  # type: ignore[arg-type]
        if spec is not None and spec.origin is not None:
            spec.loader = _Loader(name, spec.origin)
        return spec


def enter() -> None:
    """Make the modules of the harness known to this process, under the private name."""
    package = types.ModuleType(PRIVATE_NAME)
    package.__path__ = [str(Path(__file__).resolve().parent.parent)]
    sys.modules[PRIVATE_NAME] = package
    sys.meta_path.insert(0, _Finder)


def start(request_path: str) -> int:
    enter()
    main = importlib.import_module(f"{PRIVATE_NAME}.probes.main")
    code: int = main.run(request_path, STARTUP)
    return code


if __name__ == "__main__":
    sys.exit(start(sys.argv[1]))
