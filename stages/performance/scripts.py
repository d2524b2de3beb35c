"""Times a task's own scripts, unmodified, in FP32 and under AMP: which runs, in which order, and what they say."""

from __future__ import annotations

import random
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

from amp_runtime.wire import DeviceSeen, NotMeasured, ScriptTimed, ScriptUnit, Timed
from stages._probe.starting import script_unit
from stages.performance.causes import problem_of_probe, problem_of_unit
from stages.performance.figures import LEAST_CONFIDENCE, MEDIAN, median_of
from stages.performance.measurement import Measurement, Problem
from stages.performance.reading import gain_of
from verifier.api import Location

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stages._probe.limits import Limits
    from stages._probe.records import ProbeReport, UnitReport
    from stages.performance.figures import Figure
    from verifier.api import Bound, Script

STEPS = 40  # after which a timed run is ended
PAIRS = 8  # of runs before the interval is looked at, and as many again before it is for the last time
FEW_PAIRS = 3  # where no requirement has to be decided
_ERROR = 0.02  # that the interval does not hold the true ratio, divided between the two looks
_LEAST_STEPS = 8
_WARM_UP = 2  # steps of a run that are not counted
_LAST = 5  # losses at the end of a run, whose mean is compared
_METHOD = (
    "whole runs of the unmodified script in pairs of random order, each in a process of its own, median step of each "
    "run; error divided between two looks"
)
Pair = tuple[ScriptUnit, ScriptUnit]  # in the order in which they run


def pairs_of(script: Script, count: int, seed: int) -> tuple[Pair, ...]:
    """Return pairs of runs, FP32 and AMP, each in the order that a coin gave it."""
    coins = random.Random(seed)
    fp32, amp = script_unit(script, "fp32", STEPS), script_unit(script, "amp", STEPS)
    return tuple((amp, fp32) if coins.random() < 0.5 else (fp32, amp) for _ in range(count))


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptRuns:
    """The pairs that came to their end, and what is wrong with the others."""

    name: str
    fp32: tuple[ScriptTimed, ...]
    amp: tuple[ScriptTimed, ...]
    amp_led: tuple[bool, ...]
    problems: tuple[Problem, ...]
    device: DeviceSeen | None = None

    def joined(self, other: ScriptRuns) -> ScriptRuns:
        return ScriptRuns(
            name=self.name,
            fp32=self.fp32 + other.fp32,
            amp=self.amp + other.amp,
            amp_led=self.amp_led + other.amp_led,
            problems=self.problems + other.problems,
            device=self.device or other.device,
        )


def read_runs(
    script: Script, pairs: Sequence[tuple[ScriptUnit, ScriptUnit]], report: ProbeReport, limits: Limits
) -> ScriptRuns:
    """Read the runs of `pairs`, which were made in their order."""
    name, here = script.file, Location(path=script.file)
    found: dict[str, list[ScriptTimed]] = {"fp32": [], "amp": []}
    led, problems, device = [], [], None
    for number, pair in enumerate(pairs):
        units = [report.units.get(f"script {2 * number + place}") for place in (0, 1)]
        read = [_read(name, unit, report, limits, here) for unit in units]
        wrong = [one for one in read if isinstance(one, Problem)]
        if wrong:
            problems.append(wrong[0])
            break
        for run, unit, one in zip(pair, units, read, strict=True):
            if isinstance(one, ScriptTimed):
                found[run.mode].append(one)
            if unit is not None and run.mode == "amp":
                device = next((item for item in unit.items if isinstance(item, DeviceSeen)), device)
        led.append(pair[0].mode == "amp")
    return ScriptRuns(
        name=name,
        fp32=tuple(found["fp32"]),
        amp=tuple(found["amp"]),
        amp_led=tuple(led),
        problems=tuple(problems),
        device=device,
    )


def _read(
    name: str, unit: UnitReport | None, report: ProbeReport, limits: Limits, here: Location
) -> ScriptTimed | Problem:
    if unit is None:
        return problem_of_probe(name, report, here)
    if problem := problem_of_unit(name, unit, limits, here):
        return problem
    why = "it did not tell when its steps ended"
    for item in unit.items:
        if isinstance(item, NotMeasured):
            why = item.reason
        if isinstance(item, ScriptTimed):
            if not item.exit_code and len(item.step_s) >= _LEAST_STEPS:
                return item
            why = f"it ended with exit code {item.exit_code}"
            if not item.exit_code:
                seen = len(item.step_s) + bool(item.losses)
                why = f"{seen} of its training steps were seen, and at least {_LEAST_STEPS + 1} are needed"
    remedy = "Let the script take more steps in the process that is started, or measure it as a workload."
    return Problem(message=f"{name} cannot be timed: {why}", location=here, remediation=remedy)


def is_decided(runs: ScriptRuns, bound: Bound | None) -> bool:
    """Say whether more pairs would change what is said of the speedup."""
    figure = None if bound is None else gain_of(_timed(runs))
    return figure is None or bound is None or bound.holds(figure.low) is bound.holds(figure.high)


def read_script(runs: ScriptRuns) -> Measurement:
    """Return what the pairs say."""
    here = Location(path=runs.name)
    if not runs.fp32 or runs.problems:
        return Measurement(name=runs.name, kind="script", location=here, device=runs.device, problems=runs.problems)
    timed = _timed(runs)
    rates = [1 / seconds for seconds in timed.second_s if seconds > 0]
    figures: dict[str, Figure | None] = {
        "speedup": gain_of(timed),
        "throughput": median_of(rates, unit="steps/s", method=_METHOD),
        "loss-difference": _loss_difference(runs),
    }
    whole = "a script is timed as it is; measure this of a workload"
    missing = dict.fromkeys(("memory-reduction", "accuracy-difference", "compile-speedup", "roofline-share"), whole)
    missing |= {"loss-difference": "no loss of its steps was seen"}
    return Measurement(
        name=runs.name,
        kind="script",
        location=here,
        device=runs.device,
        timed=(timed,),
        figures={name: figure for name, figure in figures.items() if figure is not None},
        missing={name: why for name, why in missing.items() if figures.get(name) is None},
        notes=("the times include what the detection of steps costs, the same in both modes",),
    )


def _timed(runs: ScriptRuns) -> Timed:
    fp32_s, amp_s = ([statistics.median(run.step_s[_WARM_UP:]) for run in side] for side in (runs.fp32, runs.amp))
    ratios = [amp / fp32 for fp32, amp in zip(fp32_s, amp_s, strict=True)]
    found = median_of(ratios, unit="x", method=_METHOD, confidence=1 - _ERROR / 2)
    decides = found is not None and found.confidence >= LEAST_CONFIDENCE
    steps = sum(len(run.step_s) + 1 for run in runs.amp)
    return Timed(
        first="fp32",
        second="amp",
        first_s=tuple(fp32_s),
        second_s=tuple(amp_s),
        second_led=runs.amp_led,
        calls=STEPS,
        ratio=found.value if found else 0.0,
        low=found.low if found else 0.0,
        high=found.high if found else 0.0,
        confidence=found.confidence if found else 0.0,
        outcome="pass" if decides else "inconclusive",
        looks=(PAIRS,) if len(ratios) <= PAIRS else (PAIRS, 2 * PAIRS),
        elapsed_s=sum(run.start_s + sum(run.step_s) for run in (*runs.fp32, *runs.amp)),
        method=f"{_METHOD}; {MEDIAN}",
        reason=f"{len(ratios)} pairs of runs",
        skipped=sum(run.skipped for run in runs.amp) / steps if steps else 0.0,
        noise={},
        warnings=(),
    )


def _loss_difference(runs: ScriptRuns) -> Figure | None:
    differences = []
    for fp32, amp in zip(runs.fp32, runs.amp, strict=True):
        shared = min(len(fp32.losses), len(amp.losses))
        ends = [
            [loss for loss in run.losses[max(0, shared - _LAST) : shared] if loss is not None] for run in (fp32, amp)
        ]
        if not ends[0] or not ends[1]:
            return None
        differences.append(statistics.fmean(ends[1]) - statistics.fmean(ends[0]))
    return median_of(differences, unit="", method=f"mean of the last {_LAST} losses, AMP less FP32, each pair of runs")
