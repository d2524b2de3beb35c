"""What was found, as plain data for a report."""

from __future__ import annotations

import math
import statistics
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .compiler import CompilerReport
    from .deciding import TensorComparison
    from .equivalence import PassComparison
    from .results import ComparisonResult

_SHOWN = 5


def pass_fact(seen: PassComparison) -> dict[str, Any]:
    """Return one pass: how many tensors, the worst of them, and why it does not hold."""
    known = [one for one in seen.tensors if one.figures is not None]
    worst = sorted(known, key=_badness, reverse=True)[:_SHOWN]
    return {
        "precision": seen.precision,
        "pass": seen.which,
        "samples": seen.samples,
        "tensors": len(seen.tensors),
        "worst_ratio": seen.worst_ratio,
        "worst": [tensor_fact(one) for one in worst],
        "reasons": list(seen.reasons),
        "first_call_s": seen.first_call_s,
        "call_s": seen.call_s,
    }


def tensor_fact(one: TensorComparison) -> dict[str, Any]:
    """Return the figures of one tensor."""
    figures = one.figures
    if figures is None:
        return {"name": one.name, "reason": one.reason}
    return {
        "name": one.name,
        "elements": figures.elements,
        "rms": figures.rms,
        "rmse_eager": figures.rmse_eager,
        "rmse_compiled": figures.rmse_compiled,
        "rmse_ratio": _finite(one.rmse_ratio),
        "cosine_eager": _finite(figures.cosine_eager),
        "cosine_compiled": _finite(figures.cosine_compiled),
        "largest_difference": figures.difference,
        "common_error": figures.drift_compiled.size,
        "reason": one.reason,
    }


def speed_fact(found: ComparisonResult) -> dict[str, Any]:
    """Return the times of one precision."""
    return {
        "precision": found.precision,
        "eager_s": statistics.median(found.eager_s),
        "compiled_s": statistics.median(found.compiled_s),
        "speedup": found.speedup.value,
        "low": found.speedup.low,
        "high": found.speedup.high,
        "confidence": found.speedup.confidence,
        "blocks": len(found.eager_s),
        "compile_time_s": found.compile_time_s,
        "break_even_steps": found.break_even_steps,
    }


def compiler_facts(report: CompilerReport) -> dict[str, Any]:
    """Return what the compiler did; each reason once."""
    return {
        "graphs": report.graphs,
        "graph_breaks": dict(report.graph_breaks),
        "recompilation_count": len(report.recompilations),
        "recompilations": list(dict.fromkeys(report.recompilations)),
    }


def _badness(one: TensorComparison) -> tuple[bool, float]:
    return bool(one.reason), one.rmse_ratio if math.isfinite(one.rmse_ratio) else 0.0


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
