"""What a validation of a workload's model found, in a form that crosses to another process. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class CompiledPass:
    """One pass in one precision. `worst_ratio`: largest error of a compiled tensor over the eager one's."""

    precision: str
    which: str
    tensors: int
    worst_ratio: float
    holds: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CompiledSpeed:
    """Seconds of an eager and a compiled step, and what compiling costs; `break_even_steps` None: it never pays."""

    precision: str
    eager_s: float
    compiled_s: float
    speedup: float
    low: float
    high: float
    confidence: float
    compile_time_s: float
    break_even_steps: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CompileChecked:
    """What came of compiling the model of a workload.

    Args:
        model: its class.
        validated: it was compiled, and is right in every pass.
        reason: why not; empty where it is.
        missing: what this machine lacks to compile at all; nothing else is known then.
    """

    model: str
    backend: str
    precisions: tuple[str, ...]
    validated: bool
    reason: str
    missing: str = ""
    passes: tuple[CompiledPass, ...] = ()
    speeds: tuple[CompiledSpeed, ...] = ()
    graphs: int = 0
    graph_breaks: dict[str, int] | None = None
    recompilations: tuple[str, ...] = ()
