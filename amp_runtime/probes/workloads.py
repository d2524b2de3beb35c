"""Train each workload for a number of steps and report every loss."""

from __future__ import annotations

import functools
import math
import numbers
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from ..wire import Evaluated, Made, Rejected, Stepped, WorkloadUnit
from .child import Unit
from .compiled import check_compiled
from .emulated import emulate_cuda
from .factories import device_of, find_factory, precision_of, seed_generators
from .failure import safe_text
from .observe import Watch
from .pairs import time_pair
from .updates import compare_runs
from .watched import watched

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ..wire import Request
    from .child import Reporter
    from .watched import Progress


def units(request: Request, startup: frozenset[str]) -> Iterable[Unit]:
    training = [
        Unit(name=f"{number}", body=functools.partial(_train, workload, request.root, startup))
        for number, workload in enumerate(request.workloads)
    ]
    timing = [
        Unit(name=f"pair {number}", body=functools.partial(time_pair, workload, request.root, startup))
        for number, workload in enumerate(request.pairs)
    ]
    comparing = [
        Unit(name=f"updates {number}", body=functools.partial(compare_runs, workload, request.root, startup))
        for number, workload in enumerate(request.compared)
    ]
    compiling = [
        Unit(
            name=f"compiled {number}",
            body=functools.partial(check_compiled, workload, request.root, startup, request.scratch),
        )
        for number, workload in enumerate(request.compiled)
    ]
    return training + comparing + timing + compiling


def _train(workload: WorkloadUnit, root: str, startup: frozenset[str], reporter: Reporter) -> None:
    if workload.on_cpu:
        os.environ["CUDA_VISIBLE_DEVICES"] = ""  # read when CUDA is first used, which is after this fork
    if workload.emulate and not emulate_cuda(reporter):
        return
    with watched(root, reporter, faults=workload.faults) as progress:
        _train_watched(workload, root, startup, progress, reporter)


def _train_watched(
    workload: WorkloadUnit, root: str, startup: frozenset[str], progress: Progress, reporter: Reporter
) -> None:
    factory, path, line = find_factory(workload, root, startup, reporter)
    if not callable(factory):
        reporter.item(Rejected(message=_no_factory(workload.factory, factory), path=path, line=line))
        return
    reporter.phase(f"building {workload.factory}(amp={workload.amp}, seed={workload.seed})")
    seed_generators(workload.seed)
    training = factory(amp=workload.amp, seed=workload.seed)
    step = getattr(training, "step", None)
    device = device_of(training)
    reporter.item(Made(precision=precision_of(training), device=device, path=path, line=line))
    if not callable(step):
        message = f"{workload.factory}(...) returned {type(training).__name__}, which has no step() method"
        reporter.item(Rejected(message=message, path=path, line=line))
        return
    watch = Watch(device, progress.quiet)
    with watch.installed():
        problem = _steps(step, workload, watch, reporter)
    reporter.item(watch.observed(training))
    if problem is not None:
        reporter.item(Rejected(message=problem, path=path, line=line))
    elif watch.finite and not workload.faults:
        _evaluate(training, path, line, reporter)


def _steps(step: Callable[[], object], workload: WorkloadUnit, watch: Watch, reporter: Reporter) -> str | None:
    """Run the steps up to the first loss that is not finite. Returns what is wrong with what a step returned."""
    for number in range(1, workload.steps + 1):
        reporter.phase(f"step {number} of {workload.steps}")
        with watch.step():
            loss = step()
        if isinstance(loss, bool) or not isinstance(loss, numbers.Real):
            return f"step() returned {type(loss).__name__} and not a number; return the loss as float, `loss.item()`"
        reporter.item(Stepped(step=number, loss=float(loss)))
        watch.finite = math.isfinite(float(loss))
        if not watch.finite and not workload.faults:
            break
    return None


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


def _no_factory(name: str, found: object) -> str:
    module, _, attribute = name.partition(":")
    if found is None:
        return f"module {module} has no {attribute!r}"
    return f"{name} is {type(found).__name__} and cannot be called"
