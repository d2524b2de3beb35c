"""Measure a workload in FP32 and under AMP, in one process: start, memory, work, time, quality."""

from __future__ import annotations

import functools
import sys
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ..wire import Kept, Prepared, Rejected, Worked
from .child import Unit
from .compiling import time_compiled
from .devices import device_seen
from .factories import device_of, find_factory, precision_of, seed_generators
from .failure import safe_text
from .rooflines import roofline_of
from .script_times import time_script
from .timing import time_modes, wanted_on
from .validating import validate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ..wire import MeasureUnit, Mode, Request
    from .child import Reporter

_now = time.perf_counter  # bound before the project can replace it


def units(request: Request, startup: frozenset[str]) -> Iterable[Unit]:
    measuring = [
        Unit(name=f"{number}", body=functools.partial(_measure, workload, request, startup))
        for number, workload in enumerate(request.measured_workloads)
    ]
    timing = [
        Unit(name=f"script {number}", body=functools.partial(time_script, script, request, startup))
        for number, script in enumerate(request.scripts)
    ]
    return [*measuring, *timing]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ready:
    """A training run that has taken its first step. `base`: bytes that CUDA's allocator held before it was built."""

    mode: Mode
    training: Any
    device: str
    base: int


def _measure(unit: MeasureUnit, request: Request, startup: frozenset[str], reporter: Reporter) -> None:
    begin = _now()
    factory, path, line = find_factory(unit, request.root, startup, reporter)
    import_s = _now() - begin
    if not callable(factory):
        reporter.item(Rejected(message=f"{unit.factory} cannot be called", path=path, line=line))
        return
    make = functools.partial(_make, factory, unit)
    if unit.again:
        _measure_again(unit, make, reporter)
        return
    ready = []
    for mode in ("fp32", "amp"):
        one = _prepare(mode, make, import_s, reporter)
        if one is None:
            reporter.item(Rejected(message=f"{unit.factory}(...) has no step() method", path=path, line=line))
            return
        import_s = 0.0
        reporter.phase(f"counting the memory and the work of a step, {mode}")
        kept = _kept(one)
        reporter.item(kept)
        reporter.item(_worked(one, kept))
        ready.append(one)
    fp32, amp = ready
    seen = device_seen(amp.device, precision_of(amp.training), getattr(amp.training, "samples_per_step", None))
    reporter.item(seen)
    reporter.item(roofline_of(request.origin, seen))
    reporter.phase("steps in FP32 and under AMP, in turn")
    steps = fp32.training.step, amp.training.step
    gain = None if seen.native is False else wanted_on(amp.device, unit.speedup)  # what is emulated decides nothing
    reporter.item(time_modes(("fp32", "amp"), steps, gain, unit, amp.device))
    for one in ready:
        if one.mode in unit.reference:
            _against_reference(one.mode, one.training.step, unit, one.device, reporter)
    if unit.compiled:
        time_compiled(unit, make, steps, amp.device, reporter)
    del ready, one, fp32, amp, steps
    if unit.seeds:
        validate(unit, make, reporter)


def _measure_again(unit: MeasureUnit, make: Callable[[bool], Any], reporter: Reporter) -> None:
    """Time steps against the reference work in this process too."""
    for mode in unit.reference:
        one = _prepare(mode, make, 0.0, reporter)
        if one is not None:
            reporter.item(device_seen(one.device, precision_of(one.training)))
            _against_reference(mode, one.training.step, unit, one.device, reporter)


def _against_reference(
    mode: Mode, step: Callable[[], object], unit: MeasureUnit, device: str, reporter: Reporter
) -> None:
    """Time a step against work that is always the same, so that runs of different days can be compared."""
    if sys.modules.get("torch") is None:
        return
    from ..benchmark.reference import ReferenceKernel  # noqa: PLC0415 - needs torch

    reporter.phase(f"steps ({mode}) and reference work, in turn")
    reference = ReferenceKernel(device)
    longer = replace(unit, brief_s=2 * unit.brief_s)  # as later runs are judged by it
    reporter.item(time_modes(("reference", mode), (reference, step), None, longer, device))


def _make(factory: Callable[..., Any], unit: MeasureUnit, amp: bool, seed: int | None = None) -> Any:
    seed = unit.seed if seed is None else seed
    seed_generators(seed)
    return factory(amp=amp, seed=seed)


def _prepare(mode: Mode, make: Callable[[bool], Any], import_s: float, reporter: Reporter) -> _Ready | None:
    """Build a run and take its first step; None where it has none."""
    reporter.phase(f"building the workload, {mode}")
    base, begin = _allocated(), _now()
    training = make(mode == "amp")
    build_s = _now() - begin
    if not callable(getattr(training, "step", None)):
        return None
    reporter.phase(f"the first step, {mode}")
    begin = _now()
    training.step()
    reporter.item(Prepared(mode=mode, import_s=import_s, build_s=build_s, first_step_s=_now() - begin))
    return _Ready(mode=mode, training=training, device=device_of(training), base=base)


def _allocated() -> int:
    torch = sys.modules.get("torch")
    return int(torch.cuda.memory_allocated()) if torch is not None and torch.cuda.is_initialized() else 0


def _kept(one: _Ready) -> Kept:
    torch = sys.modules.get("torch")
    if torch is None:
        return Kept(mode=one.mode, problem="torch is not loaded, so it does not train with it")
    from ..benchmark.memory import NoStepError, measure_memory, with_allocator_peak  # noqa: PLC0415 - needs torch

    model = getattr(one.training, "model", None)
    try:
        use = measure_memory(one.training.step, model if isinstance(model, torch.nn.Module) else torch.nn.Module())
    except (NoStepError, TypeError) as error:
        return Kept(mode=one.mode, problem=safe_text(error))
    if one.device.startswith("cuda"):
        torch.cuda.reset_peak_memory_stats(one.device)
        one.training.step()
        torch.cuda.synchronize(one.device)
        use = with_allocator_peak(use, torch.cuda.max_memory_allocated(one.device) - one.base)
    return Kept(
        mode=one.mode,
        weights=use.weights,
        gradients=use.gradients,
        optimizer_state=use.optimizer_state,
        activations=use.activations,
        weight_copies=use.weight_copies,
        allocator_peak=use.allocator_peak,
    )


def _worked(one: _Ready, kept: Kept) -> Worked:
    if kept.problem:
        return Worked(mode=one.mode, problem=kept.problem)
    from .work import bytes_of, flops_of  # noqa: PLC0415 - needs torch

    try:
        return Worked(mode=one.mode, flops=flops_of(one.training.step), bytes=bytes_of(kept))
    except Exception as error:
        return Worked(mode=one.mode, problem=f"{type(error).__name__}: {safe_text(error)}")
