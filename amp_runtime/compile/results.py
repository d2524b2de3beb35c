"""What came of compiling a model, and what it is worth in time."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    import torch

    from ..benchmark.intervals import Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparisonResult:
    """Eager against compiled steps, timed in pairs, both in `precision`.

    Args:
        eager_s, compiled_s: seconds a step in each block.
        speedup: of compiled over eager; above 1 compiled is faster.
        compile_time_s: what the first call took beyond a later one.
    """

    precision: str
    eager_s: tuple[float, ...]
    compiled_s: tuple[float, ...]
    speedup: Estimate
    compile_time_s: float

    @property
    def improvement(self) -> float:
        """The speed-up less 1: 0.0 where compiling changes nothing, negative where it costs time."""
        return self.speedup.value - 1

    @property
    def break_even_steps(self) -> int | None:
        """Steps after which the time to compile is won back; None where it never is, or that is not established."""
        saved_s = statistics.median(self.eager_s) - statistics.median(self.compiled_s)
        if self.speedup.low <= 1 or saved_s <= 0:
            return None
        return math.ceil(self.compile_time_s / saved_s)

    def __str__(self) -> str:
        found = self.speedup
        even = self.break_even_steps
        pays = f"pays after {even} steps" if even is not None else "never pays, as no speed-up is established"
        return (
            f"{self.precision}: {1000 * statistics.median(self.eager_s):.3g} ms eager, "
            f"{1000 * statistics.median(self.compiled_s):.3g} ms compiled, {found.value:.2f}x "
            f"({found.low:.2f} to {found.high:.2f}, {found.confidence:.0%}); "
            f"compiling took {self.compile_time_s:.1f} s and {pays}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CompilationResult:
    """What came of one attempt to compile a model.

    Args:
        success: the model was compiled and nothing that was checked speaks against using it.
        compiled_model: what to use: the compiled model, or the eager one where `fallback_used`.
        error_message: why not: the phase, and an exception with its first line or the first tensor that is wrong.
        validation_passed: outputs, gradients and buffers were compared and are right; False where nothing was compared.
        performance_improvement: speed-up less 1 in the first precision; None where nothing was timed.
        metadata: plain data about passes, graphs, recompilations and times.
    """

    success: bool
    compiled_model: torch.nn.Module
    error_message: str | None = None
    fallback_used: bool = False
    validation_passed: bool = False
    performance_improvement: float | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        name = self.metadata.get("model", "the model")
        backend = self.metadata.get("backend", "the compiler")
        if not self.success:
            return f"{name} was not compiled with {backend}, the eager model is used: {self.error_message}"
        lines = [f"{name} is compiled with {backend}, {'validated' if self.validation_passed else 'not validated'}"]
        lines[0] += self._checked()
        if self.performance_improvement is not None:
            lines[0] += f"; {self.performance_improvement:+.1%} speed"
        lines += [f"  {line}" for line in self.metadata.get("speed_lines", ())]
        lines += [
            f"  graph break, {count} times: {reason}" for reason, count in self.metadata.get("graph_breaks", {}).items()
        ]
        lines += [f"  compiled again: {reason}" for reason in self.metadata.get("recompilations", ())]
        return "\n".join(lines)

    def _checked(self) -> str:
        passes = self.metadata.get("passes", ())
        if not passes:
            return ""
        tensors = sum(one["tensors"] for one in passes)
        worst = max(one["worst_ratio"] for one in passes)
        return f": {tensors} tensors in {len(passes)} passes, largest error {worst:.2f} times the eager one"
