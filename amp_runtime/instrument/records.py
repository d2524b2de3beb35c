"""What the sanitizer found, as frozen facts that cross a process boundary. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass, field, replace


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One line of a program on a call stack. In reports `path` is relative to the root of the project."""

    path: str
    line: int
    function: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """One hazard, as it was seen. One cause is one alarm: further occurrences only raise `count`.

    Args:
        code: of AMP_RULES.md, such as AMP103.
        message: one sentence with the values seen.
        remedy: what to write instead.
        step: the training step in which it was seen first, from 1.
        last_step: the one in which it was seen last.
        frames: the stack of the offending call, outermost first, without frames of torch and of this package;
            paths are absolute. Empty where no call of the program belongs to it.
        values: what was measured, by name; may be non-finite.
        notes: what was seen that is no number, by name.
        planted: it needed a fault that the sanitizer planted; the program does this when that happens by itself.
    """

    code: str
    message: str
    remedy: str
    step: int
    last_step: int
    count: int = 1
    frames: tuple[Frame, ...] = ()
    values: dict[str, float] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)
    planted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class StepSeen:
    """One training step. `None` where it was not read, because reading would have made the device wait.

    Args:
        loss: of the backward roots, without the loss scale.
        scale: the loss scale the gradients carried; None without a scaler.
        skipped: an optimizer was not stepped because a gradient was not finite.
        planted: which fault was planted in it: "overflow", "nan-batch", or "".
        seconds: from the end of the step before to the end of this one.
    """

    step: int
    loss: float | None
    scale: float | None
    skipped: bool
    seconds: float
    deep: bool = False
    planted: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """What there was to watch. A report without steps has shown nothing.

    Args:
        steps: training steps seen to their end.
        rested_steps: those of them of which only the end, the loss scale and skips were heard. `backwards`,
            `optimizer_steps`, `autocast` and `events` are of the others.
        autocast: entered regions by "device dtype", of enabled ones.
        events: how often each kind of event was seen.
        looked: code -> places, as "path:line", where its condition was looked at. A hazard at a place that is not here
            was not reached, and is not refuted.
    """

    steps: int
    backwards: int
    optimizer_steps: int
    skipped_steps: int
    scalers: int
    deep_steps: int
    rested_steps: int
    autocast: dict[str, int]
    events: dict[str, int]
    looked: dict[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class SanitizerReport:
    """Everything one run under the sanitizer has shown.

    Args:
        problems: what the sanitizer could not do, in sentences.
        replaced: functions of torch that the program put its own in place of, so that calls were not seen.
        timeline: the steps; of long runs the first, the last and a thinned middle.
    """

    watched: Watched
    alarms: tuple[Alarm, ...] = ()
    timeline: tuple[StepSeen, ...] = ()
    problems: tuple[str, ...] = ()
    replaced: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """How the gradient that an optimizer received under AMP differs from the one in FP32, in one effective step.

    Args:
        optimizer: in the order of their first steps. tensor: its place among the optimizer's parameters; None: all of
            them together.
        elements: how many were compared; of large tensors an even sample.
        angle: between both, in radians. ratio: length under AMP over length in FP32; 0 where one is zero or not finite.
        angle_allowed, ratio_allowed: what rounding alone makes of the angle, and of the ratio's logarithm.
        update_angle, update_ratio: the same of what the optimizer did to the parameters, for comparison.
    """

    step: int
    optimizer: int
    tensor: int | None
    elements: int
    angle: float
    angle_allowed: float
    ratio: float
    ratio_allowed: float
    update_angle: float
    update_ratio: float
    holds: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdatesCompared:
    """FP32 against AMP by what reaches the parameters.

    Args:
        steps: effective steps compared. runs: disturbed FP32 runs from which the tolerance comes.
        holds: no difference beyond rounding was found.
        deterministic: FP32 trained twice the same, bit for bit.
        skipped: steps that AMP left out, undone in FP32.
        whole: all parameters of an optimizer together, step by step. tensors: single ones that differ, worst first.
        reason: why nothing could be compared.
    """

    steps: int
    runs: int
    holds: bool
    deterministic: bool | None = None
    skipped: int = 0
    whole: tuple[Difference, ...] = ()
    tensors: tuple[Difference, ...] = ()
    reason: str = ""

    def repeated(self, *, deterministic: bool, skipped: int) -> UpdatesCompared:
        return replace(self, deterministic=deterministic, skipped=skipped)


@dataclass(frozen=True, slots=True, kw_only=True)
class Resumed:
    """A training saved after `steps` steps and resumed, against one that went straight on.

    Args:
        holds: they were equal, bit for bit.
        wrong: what was not: "losses", "loss scaler", "state at the end".
        straight: losses of all steps without an interruption. resumed: those after the load.
    """

    steps: int
    holds: bool
    wrong: tuple[str, ...]
    straight: tuple[float, ...]
    resumed: tuple[float, ...]
