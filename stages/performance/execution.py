"""Decides what one run of stage 4 measures, for how long, and what becomes of it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from amp_runtime.wire import MeasureUnit
from stages._probe.client import run_probe
from stages._probe.limits import DEFAULT_TIME_S, Limits, default_memory_bytes
from stages._probe.places import imports_torch, project_paths
from stages._probe.starting import TRAINING, work_of
from stages.performance.against_saved import AgainstSaved
from stages.performance.baselines.deciding import GATE as REGRESSION
from stages.performance.judging import judge
from stages.performance.outcome import facts_of, measured_gate, noise_findings, problem_findings
from stages.performance.reading import read_workload
from stages.performance.scripts import FEW_PAIRS, PAIRS, ScriptRuns, is_decided, pairs_of, read_runs, read_script
from verifier.api import Location, StageError, StageOutcome

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stages._probe.records import ProbeReport
    from stages.performance.baselines.deciding import Verdicts
    from stages.performance.judging import Judged
    from stages.performance.measurement import Measurement
    from stages.performance.scripts import Pair
    from verifier.api import Bound, Json, Requirement, Script, StageContext

SEED = 0
SEEDS = (0, 1, 2, 3, 4)
_DECIDE_S = 15.0  # for one comparison that has to clear a bound
_BRIEF_S = 1.0
_RATE_S = 5.0  # for figures that the same pairs give, and that have to clear a bound of their own
_QUALITY_S = 30.0
_LONGEST_PHASE_S = 300.0
_OF_RATE = ("throughput", "roofline-share", "regression")
_OF_QUALITY = ("accuracy-difference", "loss-difference")
WATCHED = ("torch", ".instrument.sanitizer")


@dataclass(slots=True)
class Execution:
    """One run of the stage."""

    context: StageContext
    facts: dict[str, Json] = field(default_factory=dict)
    deadline: float = 0.0

    def outcome(self) -> StageOutcome:
        context = self.context
        self.deadline = time.monotonic() + (context.options.time_limit_s or DEFAULT_TIME_S)
        measurements = [*self._workloads(), *(self._script(script) for script in context.task.scripts)]
        configuration = self._configuration()
        judged: list[Judged | Verdicts] = [
            judge(requirement, measurements, configuration, strict=context.options.strict)
            for requirement in context.task.requirements
            if requirement.name != REGRESSION
        ]
        saved = AgainstSaved(context=context, configuration=configuration, again=self._again).verdicts(measurements)
        if saved is not None:
            judged.append(saved)
            self.facts["baselines"] = saved.facts
        found = [finding for one in judged for finding in one.findings]
        return StageOutcome(
            checks_run=max(1, len(measurements)),
            findings=(*problem_findings(measurements), *found, *noise_findings(measurements, configuration)),
            gates=(measured_gate(measurements), *(one.gate for one in judged)),
            facts=self.facts | facts_of(measurements, context.task.requirements),
        )

    def _workloads(self) -> list[Measurement]:
        factories = self.context.task.workloads
        if not factories:
            return []
        units = tuple(self._unit(factory) for factory in factories)
        self.context.progress(f"measuring {len(units)} workload(s) in FP32 and under AMP")
        left_s = self.deadline - time.monotonic()
        limits = self._limits(min(_LONGEST_PHASE_S, left_s / 2))
        preload = TRAINING if imports_torch(self.context) else ()
        report = self._probe(limits, preload, measured_workloads=units)
        return [
            read_workload(unit, report.units.get(str(number)), report, limits, self._configuration())
            for number, unit in enumerate(units)
        ]

    def _again(self, factories: Sequence[str]) -> list[Measurement]:
        """Time the steps of workloads once more, each time in a process of its own."""
        units = tuple(replace(self._unit(factory), again=True) for factory in factories)
        limits = self._limits(_LONGEST_PHASE_S)
        preload = TRAINING if imports_torch(self.context) else ()
        report = self._probe(limits, preload, measured_workloads=units)
        return [
            read_workload(unit, report.units.get(str(number)), report, limits, self._configuration())
            for number, unit in enumerate(units)
        ]

    def _unit(self, factory: str) -> MeasureUnit:
        asked = {one.name: one for one in self.context.task.requirements if one.concerns(factory)}
        each_s = max(_BRIEF_S, (self.deadline - time.monotonic()) / (3 * len(self.context.task.workloads)))
        return MeasureUnit(
            factory=factory,
            seed=SEED,
            budget_s=min(_DECIDE_S, each_s),
            brief_s=min(each_s, _RATE_S if asked.keys() & {*_OF_RATE} else _BRIEF_S),
            speedup=_values(asked.get("speedup")),
            compile_speedup=_values(asked.get("compile-speedup")),
            reference=("fp32", "amp") if REGRESSION in asked else ("amp",),
            compiled="compile-speedup" in asked,
            seeds=SEEDS if asked.keys() & {*_OF_QUALITY} else (),
            quality_s=min(_QUALITY_S, each_s),
        )

    def _script(self, script: Script) -> Measurement:
        name = script.file
        bounds = self._speedups(name)
        self.context.progress(f"timing {name} in FP32 and under AMP, in pairs of runs")
        runs = self._pairs(script, pairs_of(script, PAIRS if bounds else FEW_PAIRS, SEED))
        counts = runs.device is not None and runs.device.native is not False  # what is emulated decides nothing
        bound = next((one.bound_for(runs.device.device) for one in bounds if runs.device and counts), None)
        if not runs.problems and runs.fp32 and not is_decided(runs, bound) and self._is_time_for_as_many(runs):
            self.context.progress(f"timing {name} in as many pairs again, as the first do not decide")
            runs = runs.joined(self._pairs(script, pairs_of(script, PAIRS, SEED + 1)))
        return read_script(runs)

    def _speedups(self, name: str) -> list[Requirement]:
        return [one for one in self.context.task.requirements if one.name == "speedup" and one.concerns(name)]

    def _pairs(self, script: Script, pairs: Sequence[Pair]) -> ScriptRuns:
        left_s = max(1.0, self.deadline - time.monotonic())
        limits = self._limits(left_s)
        units = tuple(unit for pair in pairs for unit in pair)
        report = self._probe(limits, WATCHED, scripts=units)
        return read_runs(script, pairs, report, limits)

    def _is_time_for_as_many(self, runs: ScriptRuns) -> bool:
        took_s = sum(run.start_s + sum(run.step_s) for run in (*runs.fp32, *runs.amp))
        return self.deadline - time.monotonic() > 2 * took_s

    def _probe(self, limits: Limits, preload: tuple[str, ...], **work: Any) -> ProbeReport:
        context = self.context
        needs = ("torch",) if preload else ()
        started = work_of(
            context, probe="performance", paths=project_paths(context), needs=needs, preload=preload, **work
        )
        report = run_probe(started, limits, context.progress)
        if preload and (problem := report.hello.missing.get("torch")):
            raise StageError(f"torch is not installed, and measuring needs it ({problem})")
        if report.survivors:
            raise StageError(f"processes {', '.join(map(str, report.survivors))} of the project cannot be killed")
        self.facts["environment"] = {"python": report.hello.python} | report.hello.preloaded
        self.facts["isolation"] = dict(report.layers)
        return report

    def _limits(self, phase_s: float) -> Limits:
        gib = self.context.options.memory_limit_gib
        left = max(1.0, self.deadline - time.monotonic())
        memory = int(gib * 2**30) if gib else default_memory_bytes()
        return Limits(time_s=left, phase_s=min(phase_s, left), memory_bytes=memory)

    def _configuration(self) -> Location:
        path = self.context.config.path
        return Location(path=path.name if path else ".")


def _values(requirement: Requirement | None) -> dict[str, float]:
    bounds: dict[str, Bound] = {} if requirement is None else dict(requirement.bounds)
    return {device: bound.value for device, bound in bounds.items()}
