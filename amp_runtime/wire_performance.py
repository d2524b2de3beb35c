"""What stage 4 asks a child to measure, and the figures that it gets back.

Standard library only, and no torch: it is loaded on both sides, in the child under a private name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Mode = Literal["fp32", "amp", "fp32-compiled", "amp-compiled", "reference"]  # the last: work that is always the same
MODES: tuple[Mode, ...] = ("fp32", "amp", "fp32-compiled", "amp-compiled")


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasureUnit:
    """One workload to measure in FP32 and under AMP, in one process.

    Args:
        factory: `module:name`.
        seed: of the runs that are timed.
        budget_s: for timing FP32 against AMP where a bound has to be decided, and so for other comparisons.
        brief_s: where none has.
        speedup: by kind of device, FP32's time over AMP's that has to be shown; "any" is every other device.
        compiled: measure both under torch.compile too.
        compile_speedup: eager AMP's time over compiled AMP's that has to be shown; as before.
        seeds: for each of these, both are trained for `steps` steps and validated; empty: quality is not asked for.
        quality_s: after which no further seed is begun.
        reference: modes whose steps are timed against the reference work, so that runs of other days can be compared.
        again: nothing else is done, as this is one more process that has to bear out what another showed.
    """

    factory: str
    seed: int
    budget_s: float
    brief_s: float
    speedup: dict[str, float]
    compile_speedup: dict[str, float]
    compiled: bool = False
    seeds: tuple[int, ...] = ()
    steps: int = 40
    quality_s: float = 30.0
    reference: tuple[Mode, ...] = ("amp",)
    again: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceSeen:
    """Where a workload trains under AMP, and whether that device computes in its format.

    Args:
        precision: as the workload states it; None where it does not.
        native: None where nothing tells: no precision is stated, or torch is not there.
        samples: in one step, where the workload says so.
        machine_class: the name under which figures of machines like this one are kept; "" where it has none.
    """

    device: str
    name: str
    precision: str | None
    native: bool | None
    reason: str
    torch: str
    threads: int
    fp32_matmul: str
    samples: int | None = None
    machine_class: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """What it takes to get one mode going. `import_s` is the module's, once for all modes; 0 for all but the first."""

    mode: Mode
    import_s: float
    build_s: float
    first_step_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """Bytes of one training step, by kind, each storage once. `problem`: why they were not counted."""

    mode: Mode
    weights: int = 0
    gradients: int = 0
    optimizer_state: int = 0
    activations: int = 0
    weight_copies: int = 0
    allocator_peak: int | None = None
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Worked:
    """What one step computes and moves.

    Args:
        flops: of products, convolutions and attention, forward and backward; those of element-wise operators are none.
        bytes: the least that a step must move: see `amp_runtime.probes.work`.
        problem: why they were not counted.
    """

    mode: Mode
    flops: int = 0
    bytes: int = 0
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Roofline:
    """What this machine was measured to reach, in AMP's format. `problem`: why that is not known."""

    problem: str
    peak_gflops: float = 0.0
    bandwidth_gbps: float = 0.0
    profile: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timed:
    """Two modes, timed in pairs of random order in one process.

    Args:
        first_s, second_s: seconds per step of each pair, without those in which it waited for a processor.
        second_led: whether the second mode went first.
        calls: steps in one timed stretch.
        ratio: the second's time over the first's, with its interval; 0 where there were too few pairs.
        looks: counts of pairs at which the interval was looked at.
        skipped: share of the second mode's timed steps in which no optimizer stepped.
        warnings: what disturbed the series.
        reason: why sampling ended.
    """

    first: Mode
    second: Mode
    first_s: tuple[float, ...]
    second_s: tuple[float, ...]
    second_led: tuple[bool, ...]
    calls: int
    ratio: float
    low: float
    high: float
    confidence: float
    outcome: Literal["pass", "fail", "inconclusive"]
    looks: tuple[int, ...]
    elapsed_s: float
    method: str
    reason: str
    skipped: float
    noise: dict[str, float]
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Validated:
    """Both modes trained from one seed for the same steps: what `evaluate()` said of each, as far as it is finite."""

    seed: int
    steps: int
    fp32: dict[str, float]
    amp: dict[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimated:
    """A figure over all seeds: AMP's less FP32's, with its interval."""

    what: str
    value: float
    low: float
    high: float
    confidence: float
    samples: int
    unit: str
    method: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NotMeasured:
    """What was asked for and could not be had: `what` is the name of a figure."""

    what: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptTimed:
    """The training steps of one run of a script, timed from the end of one to the end of the next.

    Args:
        start_s: from the start of the program to the end of its first step.
        step_s: of every later step.
        losses: of the steps, as far as they are known and finite; None for the others.
    """

    start_s: float
    step_s: tuple[float, ...]
    losses: tuple[float | None, ...]
    skipped: int
    exit_code: int
    stopped: bool
