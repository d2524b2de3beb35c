"""Find a workload's factory, and what a workload says of itself."""

from __future__ import annotations

import importlib
import inspect
import random
import sys
from typing import TYPE_CHECKING, Any

from .failure import safe_text
from .imports import forget

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..wire import MeasureUnit, WorkloadUnit
    from .child import Reporter


def find_factory(
    workload: WorkloadUnit | MeasureUnit, root: str, startup: frozenset[str], reporter: Reporter
) -> tuple[Any, str | None, int]:
    """Import the module and return what its name stands for, None where there is nothing, and where that is written."""
    module_name, _, attribute = workload.factory.partition(":")
    forget(module_name.partition(".")[0], root, startup)
    reporter.phase(f"importing {module_name}")
    module = importlib.import_module(module_name)
    factory = getattr(module, attribute, None)
    return factory, *_place(factory, module, reporter)


def _place(factory: object, module: object, reporter: Reporter) -> tuple[str | None, int]:
    """Return where the factory is defined, else its module."""
    try:
        target = inspect.unwrap(factory) if callable(factory) else factory
        path = reporter.project.relative(inspect.getsourcefile(target) or "")  # type: ignore[arg-type]
        return path, inspect.getsourcelines(target)[1] or 1  # type: ignore[arg-type]
    except (TypeError, OSError, ValueError):
        path = getattr(module, "__file__", None)
        return (reporter.project.relative(path) if isinstance(path, str) else None), 1


def seed_generators(seed: int) -> None:
    random.seed(seed)
    if torch := sys.modules.get("torch"):
        torch.manual_seed(seed)


def precision_of(training: object) -> str | None:
    value = getattr(training, "precision", None)
    return None if value is None else safe_text(value)


def device_of(training: object) -> str:
    model = getattr(training, "model", None)
    parameters = getattr(model, "parameters", None)
    for parameter in parameters() if callable(parameters) else ():
        return safe_text(getattr(parameter, "device", "cpu"))
    return safe_text(getattr(training, "device", "cpu"))


def settle_on(device: str) -> Callable[[], object]:
    """Return what waits until a device has done all it was told; on a CPU there is nothing to wait for."""
    torch = sys.modules.get("torch")
    synchronize = getattr(getattr(torch, device.partition(":")[0], None), "synchronize", None)
    return synchronize if callable(synchronize) else lambda: None
