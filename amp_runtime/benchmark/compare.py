"""Measure a workload that trains in FP32 and under AMP: memory, time, quality."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch.optim.optimizer import register_optimizer_step_pre_hook

from amp_runtime import rng
from amp_runtime.benchmark import intervals, memory, quality
from amp_runtime.benchmark.figures import Figure, counted, sampled
from amp_runtime.benchmark.pairing import Pairing, time_in_pairs
from amp_runtime.benchmark.quality import Budget, Quality, train_from_seeds
from amp_runtime.benchmark.requirements import Requirements, judge
from amp_runtime.benchmark.result import AmpBenchmark, Conditions, ModeResult
from amp_runtime.capability import capability_of

if TYPE_CHECKING:
    from amp_runtime.benchmark.memory import MemoryUse
    from amp_runtime.benchmark.pairing import Block
    from amp_runtime.capability import Capability
    from amp_runtime.workloads.contract import Workload, WorkloadFactory

_TIMING = "paired blocks in both orders, {blocks} of {steps} steps after {warm_up} of warm-up; " + intervals.METHOD


@dataclass(frozen=True, slots=True, kw_only=True)
class _Measured:
    """Raw figures; each pair is FP32's, then AMP's."""

    blocks: tuple[Block, ...]
    skipped: tuple[float, float]
    used: tuple[MemoryUse, MemoryUse]
    quality: tuple[Quality, Quality]


def benchmark_amp(
    factory: WorkloadFactory,
    *,
    pairing: Pairing | None = None,
    budget: Budget | None = None,
    requirements: Requirements | None = None,
    capability: Capability | None = None,
) -> AmpBenchmark:
    """Compare training in FP32, `factory(amp=False, seed=...)`, with training under AMP, `factory(amp=True, seed=...)`.

    `ModelSubject` makes such a factory of a model. Memory is measured on one run at a time, time on two in turn,
    quality after that. Random generators are given their state back.

    Args:
        budget: without seeds, quality is not compared; it is not either where `evaluate()` gives no loss.
        requirements: what is judged; default those of task T035.
        capability: of the device, where it is known already.

    Raises:
        ValueError: the two do not train in float32 and in a lower format.
        NoStepError: a run never steps an optimizer.
        QualityError: a run ends in inf or NaN. What the training itself raises is not caught.
    """
    pairing, budget = pairing or Pairing(), budget or Budget()
    before = rng.capture()
    try:
        used = _memory(factory, amp=False), _memory(factory, amp=True)
        fp32, amp = factory(amp=False, seed=pairing.seed), factory(amp=True, seed=pairing.seed)
        device, precision = _check(fp32, amp), amp.precision
        blocks, skipped = _time(fp32, amp, pairing, device)
        del fp32, amp
        seen = train_from_seeds(factory, budget, amp=False), train_from_seeds(factory, budget, amp=True)
    finally:
        rng.restore(before)
    measured = _Measured(blocks=blocks, skipped=skipped, used=used, quality=seen)
    conditions = _conditions(device, precision, budget, capability)
    return _result(conditions, pairing, measured, requirements or Requirements())


def _check(fp32: Workload, amp: Workload) -> torch.device:
    if fp32.precision != "fp32" or amp.precision not in ("bf16", "fp16"):
        raise ValueError(
            f"the workload trains in {fp32.precision} without AMP and in {amp.precision} with it; "
            "there is nothing to compare unless these are fp32 and bf16 or fp16"
        )
    parameter = next(fp32.model.parameters(), None)
    if parameter is None:
        raise ValueError("the model has no parameters, so there is nothing to train")
    return parameter.device


def _memory(factory: WorkloadFactory, *, amp: bool) -> MemoryUse:
    on_cuda = torch.cuda.is_available()
    there = torch.cuda.memory_allocated() if on_cuda else 0
    workload = factory(amp=amp, seed=0)
    device = next((parameter.device for parameter in workload.model.parameters()), torch.device("cpu"))
    found = memory.measure_memory(workload.step, workload.model)
    if device.type != "cuda":
        return found
    torch.cuda.reset_peak_memory_stats(device)
    workload.step()
    torch.cuda.synchronize(device)
    return memory.with_allocator_peak(found, torch.cuda.max_memory_allocated(device) - there)


class _Counted:
    """A workload's step, and for each call whether an optimizer ran in it."""

    def __init__(self, workload: Workload) -> None:
        self._workload = workload
        self.trained: list[bool] = []
        self._optimizers = 0

    def __call__(self) -> None:
        before = self._optimizers
        self._workload.step()
        self.trained.append(self._optimizers > before)

    @contextmanager
    def watching(self) -> Iterator[None]:
        handle = register_optimizer_step_pre_hook(self._note)
        try:
            yield
        finally:
            handle.remove()

    def _note(self, _optimizer: Any, _args: Any, _kwargs: Any) -> None:
        self._optimizers += 1

    def skipped(self, warm_up: int) -> float:
        timed = self.trained[warm_up:]
        return timed.count(False) / len(timed)


def _time(
    fp32: Workload, amp: Workload, pairing: Pairing, device: torch.device
) -> tuple[tuple[Block, ...], tuple[float, float]]:
    baseline, candidate = _Counted(fp32), _Counted(amp)
    with baseline.watching(), candidate.watching():
        blocks = time_in_pairs(baseline, candidate, pairing, getattr(torch, device.type).synchronize)
    return blocks, (baseline.skipped(pairing.warm_up), candidate.skipped(pairing.warm_up))


def _conditions(device: torch.device, precision: str, budget: Budget, capability: Capability | None) -> Conditions:
    known = capability or capability_of(str(device))
    support = known.dtypes[precision]
    return Conditions(
        device=str(device),
        device_name=known.device.name,
        precision=precision,
        native=support.native,
        native_reason=support.reason,
        torch=str(torch.__version__),
        threads=torch.get_num_threads(),
        fp32_matmul=torch.get_float32_matmul_precision(),
        budget=budget.steps,
        seeds=budget.seeds,
    )


def _result(conditions: Conditions, pairing: Pairing, measured: _Measured, requirements: Requirements) -> AmpBenchmark:
    where = {"device": conditions.device_name, "dtype": conditions.precision}
    fp32_s = tuple(block.first_s for block in measured.blocks)
    amp_s = tuple(block.second_s for block in measured.blocks)
    timing = _TIMING.format(blocks=pairing.blocks, steps=pairing.steps, warm_up=pairing.warm_up)
    speedup = sampled(intervals.ratio(fp32_s, amp_s), unit="x", method=timing, **where)
    fp32_use, amp_use = measured.used
    kept = counted(_saved(fp32_use.activations, amp_use.activations), unit="share", method=memory.METHOD, **where)
    whole = counted(_saved(fp32_use.whole, amp_use.whole), unit="share", method=memory.METHOD, **where)
    exact, low = measured.quality
    accuracy = _difference(exact.accuracies, low.accuracies, unit="share", **where)
    return AmpBenchmark(
        conditions=conditions,
        fp32=_mode("fp32", fp32_s, measured, 0),
        amp=_mode(conditions.precision, amp_s, measured, 1),
        speedup=speedup,
        memory_reduction=kept,
        whole_reduction=whole,
        accuracy_difference=accuracy,
        loss_difference=_difference(exact.losses, low.losses, unit="nats", **where),
        requirements=judge(
            requirements,
            speedup=speedup,
            memory_reduction=kept,
            accuracy_difference=accuracy,
            not_native=None if conditions.native else _only_emulated(conditions),
            skipped=measured.skipped[1],
            no_accuracy=_no_accuracy(exact),
        ),
        blocks=measured.blocks,
    )


def _mode(precision: str, seconds: Sequence[float], measured: _Measured, which: int) -> ModeResult:
    return ModeResult(
        precision=precision,
        step_s=statistics.median(seconds),
        skipped=measured.skipped[which],
        memory=measured.used[which],
        losses=measured.quality[which].losses,
        accuracies=measured.quality[which].accuracies,
    )


def _saved(fp32: int, amp: int) -> float:
    return 1 - amp / fp32 if fp32 else 0.0


def _difference(fp32: Sequence[float], amp: Sequence[float], *, unit: str, device: str, dtype: str) -> Figure | None:
    if not fp32 or len(fp32) != len(amp):
        return None
    estimate = intervals.centre([low - exact for exact, low in zip(fp32, amp, strict=True)])
    method = f"{quality.METHOD}; {intervals.METHOD}"
    return sampled(estimate, unit=unit, method=method, device=device, dtype=dtype)


def _only_emulated(conditions: Conditions) -> str:
    return (
        f"{conditions.device_name} only emulates {conditions.precision} ({conditions.native_reason}), so its time "
        "says nothing about hardware that computes in it"
    )


def _no_accuracy(fp32: Quality) -> str:
    if fp32.losses:
        return "the validation counts no right predictions, so there is no accuracy to compare"
    return "there was no validation, so there is no accuracy to compare"
