"""Python loads this at the start of each process that a watched program starts: it puts the sanitizer behind torch.

The folder of this file stands first in their PYTHONPATH. Whatever `sitecustomize` they would have had is loaded, too.
"""

from __future__ import annotations

import importlib.machinery
import importlib.util
import os
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

SETTINGS = "VERIFY_RANKS"  # the environment variable that names the file with what is to be watched
_HERE = os.path.dirname(os.path.realpath(__file__))
_NAME = "sitecustomize"


class _BehindTorch:
    """Finds torch as it would be found without it, and starts the sanitizer when torch has been loaded."""

    def __init__(self, settings: str) -> None:
        self._settings = settings

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name != "torch":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader, self._settings)  # type: ignore[assignment]
        return spec


class _Loader:
    """Loads torch as its own loader does."""

    def __init__(self, loader: Any, settings: str) -> None:
        self._loader = loader
        self._settings = settings

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        created: ModuleType | None = self._loader.create_module(spec)
        return created

    def exec_module(self, module: ModuleType) -> None:
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        module.__loader__ = self._loader
        self._loader.exec_module(module)
        _watch(self._settings)


def _watch(settings: str) -> None:
    """Load the harness from beside this file, under its private name, and let it watch this process."""
    place = os.path.join(os.path.dirname(_HERE), "bootstrap.py")
    spec = importlib.util.spec_from_file_location("_verify_probe_bootstrap", place)
    assert spec is not None
    assert spec.loader is not None
    bootstrap = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(bootstrap)
    bootstrap.enter()
    importlib.import_module(f"{bootstrap.PRIVATE_NAME}.probes.rank").watch(settings)


def _step_aside() -> None:
    """Leave the search path, and load the next module of this name as Python would have done."""
    sys.path[:] = [entry for entry in sys.path if os.path.realpath(entry) != _HERE]
    spec = importlib.machinery.PathFinder.find_spec(_NAME)
    if spec is not None and spec.loader is not None:
        module = importlib.util.module_from_spec(spec)
        sys.modules[_NAME] = module
        spec.loader.exec_module(module)


if __name__ == _NAME and SETTINGS in os.environ:
    sys.meta_path.insert(0, _BehindTorch(os.environ[SETTINGS]))
    _step_aside()
