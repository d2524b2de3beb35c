"""Train each workload for a number of steps and report every loss."""

from __future__ import annotations

import functools
import importlib
import inspect
import math
import numbers
import random
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING

from ..wire import Evaluated, Made, Rejected, Stepped, WorkloadUnit
from .child import Unit
from .failure import safe_text
from .imports import forget

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ..wire import Request
    from .child import Reporter


def unit_name(workload: WorkloadUnit) -> str:
    return f"{workload.factory} [{'amp' if workload.amp else 'fp32'}]"


def units(request: Request, startup: frozenset[str]) -> Iterable[Unit]:
    return [
        Unit(name=f"{number}", body=functools.partial(_train, workload, request.root, startup))
        for number, workload in enumerate(request.workloads)
    ]


def _train(workload: WorkloadUnit, root: str, startup: frozenset[str], reporter: Reporter) -> None:
    module_name, _, attribute = workload.factory.partition(":")
    forget(module_name.partition(".")[0], root, startup)
    reporter.phase(f"importing {module_name}")
    module = importlib.import_module(module_name)
    factory = getattr(module, attribute, None)
    path, line = _place(factory, module, reporter)
    if not callable(factory):
        reporter.item(Rejected(message=_no_factory(module_name, attribute, factory), path=path, line=line))
        return
    reporter.phase(f"building {workload.factory}(amp={workload.amp}, seed={workload.seed})")
    _seed(workload.seed)
    training = factory(amp=workload.amp, seed=workload.seed)
    step = getattr(training, "step", None)
    reporter.item(Made(precision=_precision(training), device=_device(training), path=path, line=line))
    if not callable(step):
        message = f"{workload.factory}(...) returned {type(training).__name__}, which has no step() method"
        reporter.item(Rejected(message=message, path=path, line=line))
        return
    for number in range(1, workload.steps + 1):
        reporter.phase(f"step {number} of {workload.steps}")
        loss = step()
        if isinstance(loss, bool) or not isinstance(loss, numbers.Real):
            message = f"step() returned {type(loss).__name__} and not a number; return the loss as float, `loss.item()`"
            reporter.item(Rejected(message=message, path=path, line=line))
            return
        reporter.item(Stepped(step=number, loss=float(loss)))
        if not math.isfinite(float(loss)):
            return
    _evaluate(training, path, line, reporter)


def _evaluate(training: object, path: str | None, line: int, reporter: Reporter) -> None:
    evaluate: Callable[[], object] | None = getattr(training, "evaluate", None)
    if evaluate is None:
        return
    reporter.phase("evaluate()")
    metrics = evaluate()
    if not isinstance(metrics, Mapping) or not all(isinstance(value, numbers.Real) for value in metrics.values()):
        message = f"evaluate() returned {type(metrics).__name__}; it must map names to numbers"
        reporter.item(Rejected(message=message, path=path, line=line))
        return
    reporter.item(Evaluated(metrics={safe_text(name): float(value) for name, value in metrics.items()}))


def _no_factory(module: str, attribute: str, found: object) -> str:
    if found is None:
        return f"module {module} has no {attribute!r}"
    return f"{module}:{attribute} is {type(found).__name__} and cannot be called"


def _place(factory: object, module: object, reporter: Reporter) -> tuple[str | None, int]:
    """Return where the factory is defined, else its module."""
    try:
        target = inspect.unwrap(factory) if callable(factory) else factory
        path = reporter.project.relative(inspect.getsourcefile(target) or "")  # type: ignore[arg-type]
        return path, inspect.getsourcelines(target)[1] or 1  # type: ignore[arg-type]
    except (TypeError, OSError, ValueError):
        path = getattr(module, "__file__", None)
        return (reporter.project.relative(path) if isinstance(path, str) else None), 1


def _seed(seed: int) -> None:
    random.seed(seed)
    if torch := sys.modules.get("torch"):
        torch.manual_seed(seed)


def _precision(training: object) -> str | None:
    value = getattr(training, "precision", None)
    return None if value is None else safe_text(value)


def _device(training: object) -> str:
    model = getattr(training, "model", None)
    parameters = getattr(model, "parameters", None)
    for parameter in parameters() if callable(parameters) else ():
        return safe_text(getattr(parameter, "device", "cpu"))
    return safe_text(getattr(training, "device", "cpu"))
