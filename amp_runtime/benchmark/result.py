"""What a benchmark of FP32 against AMP found: one frozen value, as a flat mapping, or as text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from amp_runtime.benchmark.requirements import RequirementStatus

if TYPE_CHECKING:
    from amp_runtime.benchmark.figures import Figure
    from amp_runtime.benchmark.memory import MemoryUse
    from amp_runtime.benchmark.pairing import Block
    from amp_runtime.benchmark.requirements import Requirement

Scalar = bool | int | float | str


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """Under what the figures hold.

    Args:
        device: as PyTorch names it. device_name: as its maker does.
        precision: the format compared with fp32; `native`: the device computes in it, `native_reason` says how that
            is known.
        fp32_matmul: `torch.get_float32_matmul_precision()`; anything but "highest" lets FP32 products run in TF32 or
            bfloat16, and the baseline is then not plain FP32.
        threads: of PyTorch on the CPU.
        budget: training steps before each evaluation, for each of `seeds`.
    """

    device: str
    device_name: str
    precision: str
    native: bool
    native_reason: str
    torch: str
    threads: int
    fp32_matmul: str
    budget: int
    seeds: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModeResult:
    """One of the two ways to train.

    Args:
        step_s: median seconds per step over the blocks.
        skipped: share of the timed steps in which no optimizer stepped.
        losses, accuracies: of validation after the budget, one per seed; empty where they were not measured.
    """

    precision: str
    step_s: float
    skipped: float
    memory: MemoryUse
    losses: tuple[float, ...]
    accuracies: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AmpBenchmark:
    """FP32 against AMP.

    Args:
        speedup: FP32's time per step over AMP's.
        memory_reduction: share of the activations kept for backward that AMP saves; negative where it keeps more.
        whole_reduction: the same of weights, gradients, optimizer state, activations and copies of weights together.
        accuracy_difference: AMP's validation accuracy less FP32's, after the same budget from the same seeds.
        loss_difference: the same of the validation loss.
        blocks: the raw times; `first` is FP32, `second` AMP.
    """

    conditions: Conditions
    fp32: ModeResult
    amp: ModeResult
    speedup: Figure
    memory_reduction: Figure
    whole_reduction: Figure
    accuracy_difference: Figure | None
    loss_difference: Figure | None
    requirements: tuple[Requirement, ...]
    blocks: tuple[Block, ...]

    @property
    def requirements_met(self) -> bool:
        """Whether every requirement was shown to be met here; a deferred or inconclusive one was not."""
        return all(requirement.status is RequirementStatus.MET for requirement in self.requirements)

    def as_dict(self) -> dict[str, Scalar]:
        """Return all under flat names, as `Tracker.config` takes it; what was not measured has no key."""
        found: dict[str, Scalar] = {
            "device": self.conditions.device_name,
            "precision": self.conditions.precision,
            "native": self.conditions.native,
            "memory_reduction_percent": 100 * self.memory_reduction.value,
            "whole_memory_reduction_percent": 100 * self.whole_reduction.value,
            "requirements_met": self.requirements_met,
        }
        for name in ("speedup", "accuracy_difference", "loss_difference"):
            figure: Figure | None = getattr(self, name)
            if figure is not None:
                found |= {name: figure.value, f"{name}_low": figure.low, f"{name}_high": figure.high}
                found |= {f"{name}_confidence": figure.confidence, f"{name}_samples": figure.samples}
        for prefix, mode in (("fp32", self.fp32), ("amp", self.amp)):
            found |= {f"{prefix}_{name}": value for name, value in _mode(mode).items()}
        for requirement in self.requirements:
            found[f"requirement_{requirement.name}"] = requirement.status.value
        return found

    def figures(self) -> dict[str, float]:
        """Return the numbers of `as_dict`, as `Tracker.log` takes them; true is 1."""
        return {name: float(value) for name, value in self.as_dict().items() if not isinstance(value, str)}

    def table(self) -> str:
        """Return the comparison as text, with everything that is needed to judge or repeat it."""
        rows = [("", "fp32", f"amp ({self.conditions.precision})"), *_rows(self.fp32, self.amp)]
        widths = [max(len(row[column]) for row in rows) for column in range(3)]
        lines = [
            f"{name:{widths[0]}}  {left:>{widths[1]}}  {right:>{widths[2]}}".rstrip() for name, left, right in rows
        ]
        lines += ["", *_figures(self)]
        lines += [f"{r.name} {r.wanted}: {r.status.value.upper()} ({r.evidence})" for r in self.requirements]
        known = self.conditions
        native = "native" if known.native else "emulated"
        lines += [
            f"device: {known.device_name} ({known.device}), {known.threads} threads, torch {known.torch}",
            f"{known.precision} is {native}: {known.native_reason}",
            f"float32 matmul precision: {known.fp32_matmul}; quality after {known.budget} steps, seeds "
            f"{', '.join(map(str, known.seeds)) or 'none'}",
        ]
        return "\n".join(lines)


def _mode(mode: ModeResult) -> dict[str, Scalar]:
    memory = mode.memory
    found: dict[str, Scalar] = {
        "step_ms": 1000 * mode.step_s,
        "skipped_share": mode.skipped,
        "weight_bytes": memory.weights,
        "gradient_bytes": memory.gradients,
        "optimizer_state_bytes": memory.optimizer_state,
        "activation_bytes": memory.activations,
        "weight_copy_bytes": memory.weight_copies,
        "whole_bytes": memory.whole,
    }
    if memory.allocator_peak is not None:
        found["allocator_peak_bytes"] = memory.allocator_peak
    for name, values in (("loss", mode.losses), ("accuracy", mode.accuracies)):
        if values:
            found[name] = sum(values) / len(values)
    return found


_LABELS = {
    "step_ms": "step, ms (median)",
    "weight_bytes": "weights, bytes",
    "gradient_bytes": "gradients, bytes",
    "optimizer_state_bytes": "optimizer state, bytes",
    "activation_bytes": "activations for backward, bytes",
    "weight_copy_bytes": "copies of weights for backward, bytes",
    "whole_bytes": "all of it, bytes",
    "allocator_peak_bytes": "peak of the allocator, bytes",
    "loss": "validation loss (mean)",
    "accuracy": "validation accuracy (mean)",
}


def _rows(fp32: ModeResult, amp: ModeResult) -> list[tuple[str, str, str]]:
    left, right = _mode(fp32), _mode(amp)
    return [(label, _cell(left[name]), _cell(right[name])) for name, label in _LABELS.items() if name in left]


def _cell(value: Scalar) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"


def _figures(found: AmpBenchmark) -> list[str]:
    figures = {
        "speedup": found.speedup,
        "memory reduction, activations": found.memory_reduction,
        "memory reduction, whole": found.whole_reduction,
        "accuracy difference": found.accuracy_difference,
        "loss difference": found.loss_difference,
    }
    return [f"{name}: {figure.as_text()}" for name, figure in figures.items() if figure is not None]
