"""Decides what one run of stage 3 does and in which order, and how much time and memory each part of it may use."""

from __future__ import annotations

import functools
import os
import time
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from amp_runtime.wire import ALL, Share, WorkloadUnit
from stages._probe.client import run_probe
from stages._probe.isolation import isolation_of
from stages._probe.limits import DEFAULT_TIME_S, Limits, default_memory_bytes
from stages._probe.starting import TRAINING, work_of
from stages._source.testfiles import is_test_file
from stages.integration.causes import findings_of
from stages.integration.compiled_results import NAME as COMPILE_GATE
from stages.integration.compiled_results import judge_compiled
from stages.integration.disturbed_runs import FAULT_STEPS, judge_disturbed
from stages.integration.emulated_runs import STEPS as EMULATED_STEPS
from stages.integration.emulated_runs import judge_emulated
from stages.integration.endings import causes_of_rewriting
from stages.integration.gates import requested
from stages.integration.heard import heard
from stages.integration.import_results import NO_TORCH, judge_imports
from stages.integration.judged import Judged
from stages.integration.lanes import beside, may_share
from stages.integration.plan import Plan, nothing_but_torch, plan
from stages.integration.script_results import judge_scripts, read_scripts
from stages.integration.script_units import scripts_of
from stages.integration.second_try import passed_now, to_run_again
from stages.integration.shares import judge_shares
from stages.integration.timed_pairs import judge_pairs
from stages.integration.training_results import judge_on_cpu, judge_training, to_emulate, used_accelerator
from stages.integration.update_results import judge_updates
from stages.integration.watched_runs import Watched, judge_watched, watched_workloads
from verifier.api import FOUND, Location, StageError, StageOutcome

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from amp_runtime.wire import Hello
    from stages._probe.records import Ending, ProbeReport
    from stages.integration.alarms import Watching
    from verifier.api import Finding, Json, StageContext

STEPS = 40
COMPARED_STEPS = 6
COMPILED_SAMPLES = 8
SEED = 0
WATCHED = ("torch", ".instrument.sanitizer")  # what every watched run needs, loaded before it is forked
_DOING = {
    "imports": "importing the modules",
    "tests": "running the declared tests",
    "workloads": "training the workloads",
    "scripts": "running the scripts",
}
_LONGEST_IMPORT_S = 60.0
_LONGEST_PHASE_S = 300.0


@dataclass(slots=True)
class Execution:
    """One run of the stage: its clock, and what the groups have given so far."""

    context: StageContext
    judged: list[Judged] = field(default_factory=list)
    runs: list[Watching] = field(default_factory=list)
    found: list[Finding] = field(default_factory=list)  # besides what has a cause
    facts: dict[str, Json] = field(default_factory=dict)
    endings: set[Ending] = field(default_factory=set)
    deadline: float = 0.0
    parts: int = 1  # at work at the same time, each with its part of the memory

    def outcome(self) -> StageOutcome:
        context = self.context
        todo = plan(context) if context.task.program is None else nothing_but_torch(context)
        self.facts = {"imports": [], "tests": {}, "workloads": [], "isolation": {}, "limitations": []}
        limit_s = context.options.time_limit_s or DEFAULT_TIME_S
        deadline = self.deadline = time.monotonic() + limit_s
        self._declared(todo, deadline, limit_s)
        if context.task.program is not None or context.task.scripts:
            self._scripts(todo, deadline)
        watched = self._watched()
        for group in self.judged:
            self.facts |= group.facts
        self.facts["limitations"] = [*self._limitations(todo)]
        return StageOutcome(
            checks_run=sum(group.checks_run for group in self.judged),
            findings=(*self._caused(), *self.found, *watched.findings),
            gates=(*(gate for group in self.judged for gate in group.gates), *watched.gates),
            facts=self.facts,
            marks=watched.marks,
        )

    def _caused(self) -> tuple[Finding, ...]:
        return findings_of(cause for group in self.judged for cause in group.causes)

    def _declared(self, todo: Plan, deadline: float, limit_s: float) -> None:
        """Import, test and train: at the same time where that can change no result and the memory is enough for it."""
        if may_share(self.context):
            self.parts = 1 + self.context.task.test_processes
            enough = self._side_by_side(todo, deadline, limit_s)
            self.parts = 1
            if enough:
                self._timing(todo, deadline, limit_s)  # with the machine for itself
                self._compiling(todo, deadline, limit_s)
                return
            self.context.progress("running everything once more, one after another, each with all of the memory")
            self.judged.clear()
            self.runs.clear()
            self.found.clear()
        self._imports(todo, deadline, limit_s)
        if self.context.task.tests:
            limits = self._limits(deadline, min(_LONGEST_PHASE_S, limit_s / 2))
            self._tests(todo, limits, [self._suite(todo, limits, ALL)(lambda: False)])
        self._training(todo, deadline, limit_s)
        self._timing(todo, deadline, limit_s)
        self._compiling(todo, deadline, limit_s)

    def _side_by_side(self, todo: Plan, deadline: float, limit_s: float) -> bool:
        """Run the tests beside the rest, each with a part of the memory; return whether that was enough."""
        count = self.context.task.test_processes
        limits = self._limits(deadline, min(_LONGEST_PHASE_S, limit_s / 2))
        works = [self._suite(todo, limits, Share(index=index, of=count)) for index in range(count)]
        with beside(works) as suites:
            self._imports(todo, deadline, limit_s)
            imported = len(self.judged)
            self._training(todo, deadline, limit_s)
            reports = [suite.result() for suite in suites]
        trained = self.judged[imported:]
        del self.judged[imported:]
        self._tests(todo, limits, reports)
        self.judged += trained
        return "memory" not in self.endings

    def _imports(self, todo: Plan, deadline: float, limit_s: float) -> None:
        if not todo.modules:
            return
        self.context.progress(f"importing {len(todo.modules)} modules, each in a process of its own")
        preload = ("torch",) if todo.uses_torch else ()
        limits = self._limits(deadline, min(_LONGEST_IMPORT_S, limit_s / 2))
        report = self._probe(todo, limits, probe="imports", modules=todo.modules, preload=preload)
        self.judged.append(judge_imports(todo.modules, report, limits, self.context.root))

    def _suite(self, todo: Plan, limits: Limits, share: Share) -> Callable[[Callable[[], bool]], ProbeReport]:
        """Return what runs a share of the tests, in whatever thread."""
        tests = self.context.task.tests
        self.context.progress(f"running pytest on {', '.join(tests)}")
        run = functools.partial(self._run, todo, limits, probe="tests", tests=tests, measured=self._measured(tests))
        return lambda halted: run(share=share, halted=halted)

    def _measured(self, tests: tuple[str, ...]) -> tuple[str, ...]:
        """Return the task's own files, which its tests are to reach."""
        files = (file.path for file in self.context.sources.python() if file.path.endswith(".py"))
        own = [path for path in files if not any(PurePosixPath(path).is_relative_to(test) for test in tests)]
        return tuple(path for path in own if not is_test_file(path))

    def _tests(self, todo: Plan, limits: Limits, reports: Sequence[ProbeReport]) -> None:
        for report in reports:
            self._take(report, limits, "tests")
            self._require_torch(todo, report, "the declared tests need it")
        tests = self.context.task.tests
        flaky = self._second_try(todo, reports)
        self.judged += judge_shares(tests, reports, limits, self.context.root, self._configuration(), flaky)

    def _second_try(self, todo: Plan, reports: Sequence[ProbeReport]) -> frozenset[str]:
        """Run failed tests again, in a fresh process and copy; return those that pass now."""
        left_s = self.deadline - time.monotonic()
        failed = to_run_again(reports, left_s)
        if not failed:
            return frozenset()
        self.context.progress(f"running {len(failed)} failed test(s) again")
        limits = self._limits(self.deadline, min(_LONGEST_PHASE_S, left_s / 2))
        return passed_now(self._probe(todo, limits, probe="tests", tests=failed))

    def _units(self) -> tuple[WorkloadUnit, ...]:
        return tuple(
            WorkloadUnit(factory=factory, amp=amp, steps=STEPS, seed=SEED)
            for factory in self.context.task.workloads
            for amp in (False, True)
        )

    def _training(self, todo: Plan, deadline: float, limit_s: float) -> None:
        units = self._units()
        if not units:
            return
        factories, asked = self.context.task.workloads, requested(self.context.task)
        self.context.progress(f"training {len(factories)} workload(s), {STEPS} steps in FP32 and under AMP")
        disturbed = tuple(replace(unit, faults=True, steps=FAULT_STEPS) for unit in units if unit.amp)
        preload = (*TRAINING, *WATCHED) if todo.uses_torch else ()
        limits = self._limits(deadline, min(_LONGEST_PHASE_S, limit_s / 2))
        compared = tuple(replace(unit, steps=COMPARED_STEPS) for unit in units if unit.amp)
        trained = units + (disturbed if todo.uses_torch else ())
        report = self._probe(todo, limits, probe="workloads", workloads=trained, compared=compared, preload=preload)
        self._require_torch(todo, report, "the declared workloads need it")
        judged = judge_training(units, report, limits, self._configuration(), asked)
        broken = frozenset(cause.subject.name.partition(" ")[0] for cause in judged.causes)
        self.judged.append(judged)
        self.judged.append(judge_updates(compared, report, limits, self._configuration(), broken))
        if todo.uses_torch:
            numbered = dict(enumerate(trained))
            self.judged.append(judge_disturbed(numbered, report, limits, self._configuration()))
            self.runs += watched_workloads(numbered, report, self._configuration())
            self._training_emulated(todo, to_emulate(units, report, broken), deadline, limit_s)
        if "cpu" in asked and used_accelerator(report):
            self._training_on_cpu(todo, units, deadline, limit_s)

    def _training_emulated(self, todo: Plan, units: tuple[WorkloadUnit, ...], deadline: float, limit_s: float) -> None:
        if not units:
            return
        self.context.progress(f"training {len(units)} workload(s) on an emulated CUDA device")
        emulated = tuple(replace(unit, emulate=True, steps=EMULATED_STEPS) for unit in units)
        limits = self._limits(deadline, min(_LONGEST_PHASE_S, limit_s / 2))
        report = self._probe(todo, limits, probe="workloads", workloads=emulated, preload=(*TRAINING, *WATCHED))
        judged, found = judge_emulated(emulated, report, self._configuration(), self.context.rules)
        self.judged.append(judged)
        self.found += found
        watched = watched_workloads(dict(enumerate(emulated)), report, self._configuration())
        self.runs += [run for run in watched if run.report is not None and run.report.watched.steps]

    def _timing(self, todo: Plan, deadline: float, limit_s: float) -> None:
        """Time the workloads' steps in FP32 and under AMP against each other, if a criterion asks for it."""
        pairs = tuple(unit for unit in self._units() if unit.amp)
        if not pairs or "step-times" not in requested(self.context.task):
            return
        self.context.progress("timing steps in FP32 and under AMP, in turn")
        preload = TRAINING if todo.uses_torch else ()
        limits = self._limits(deadline, min(_LONGEST_PHASE_S, limit_s / 2))
        report = self._probe(todo, limits, probe="workloads", pairs=pairs, preload=preload)
        self.judged.append(judge_pairs(pairs, report, limits, self._configuration()))

    def _compiling(self, todo: Plan, deadline: float, limit_s: float) -> None:
        """Hold the compiled models of the workloads against float64, if a criterion asks for it."""
        units = tuple(replace(unit, steps=COMPILED_SAMPLES) for unit in self._units() if unit.amp)
        if not units or COMPILE_GATE not in requested(self.context.task):
            return
        self.context.progress(f"compiling the models of {len(units)} workload(s)")
        preload = TRAINING if todo.uses_torch else ()
        limits = self._limits(deadline, min(_LONGEST_PHASE_S, limit_s / 2))
        report = self._probe(todo, limits, probe="workloads", compiled=units, preload=preload)
        self.judged.append(judge_compiled(units, report, limits, self._configuration()))

    def _training_on_cpu(self, todo: Plan, units: tuple[WorkloadUnit, ...], deadline: float, limit_s: float) -> None:
        self.context.progress("training the workloads again, with every accelerator hidden")
        hidden = tuple(replace(unit, on_cpu=True) for unit in units)
        limits = self._limits(deadline, min(_LONGEST_PHASE_S, limit_s / 2))
        preload = TRAINING if todo.uses_torch else ()
        report = self._probe(todo, limits, probe="workloads", workloads=hidden, preload=preload)
        self.judged.append(judge_on_cpu(hidden, report, limits, self._configuration()))

    def _scripts(self, todo: Plan, deadline: float) -> None:
        """Run the scripts. Nobody knows how long their steps take, so only the time of the stage is a limit."""
        context = self.context
        runs = scripts_of(context)
        names = ", ".join(dict.fromkeys(unit.shown for unit, _place in runs))
        context.progress(f"running {names} under the sanitizer")
        limits = self._limits(deadline, deadline - time.monotonic())
        units = tuple(unit for unit, _place in runs)
        todo = replace(todo, uses_torch=True)
        report = self._probe(todo, limits, probe="scripts", scripts=units, preload=WATCHED, output=context.output)
        self._require_torch(todo, report, "watching a training needs it")
        read = read_scripts(units, [location for _unit, location in runs], report, limits)
        self.judged.append(judge_scripts(read, report, limits))
        self.runs += [one for run in read if run.unit is not None for one in run.watching]

    def _watched(self) -> Watched:
        found = self.context.stash.get(FOUND) or {}
        reported = [finding for findings in found.values() for finding in findings]
        watched = judge_watched(self.runs, reported, self.context.rules, heard())
        self.facts |= watched.facts
        return watched

    def _probe(self, todo: Plan, limits: Limits, **work: Any) -> ProbeReport:
        report = self._run(todo, limits, **work)
        self._take(report, limits, work["probe"])
        return report

    def _run(self, todo: Plan, limits: Limits, **work: Any) -> ProbeReport:
        """Run a probe. Changes nothing here, as it may be called from several threads."""
        context = self.context
        needs = ("torch",) if todo.uses_torch else ()
        started = work_of(context, paths=todo.paths, needs=needs, **work)
        return run_probe(started, limits, context.progress)

    def _take(self, report: ProbeReport, limits: Limits, probe: str) -> None:
        """Note how a probe ended and what held it.

        Raises:
            StageError: something of it is still alive.
        """
        self.endings.add(report.ending)
        self._note(report.hello, report, limits)
        if rewritten := causes_of_rewriting(report, _DOING[probe]):
            self.judged.append(Judged(checks_run=0, causes=tuple(rewritten)))
        if report.survivors:
            raise StageError(f"processes {', '.join(map(str, report.survivors))} of the project cannot be killed")

    def _note(self, hello: Hello, report: ProbeReport, limits: Limits) -> None:
        known = self.facts.get("isolation")
        layers = dict(report.layers) | {"time-limit-s": self.context.options.time_limit_s or DEFAULT_TIME_S}
        self.facts["isolation"] = layers | (known if isinstance(known, dict) else {})
        environment = self.facts.setdefault("environment", {})
        if isinstance(environment, dict):
            environment |= {"python": hello.python} | hello.preloaded

    def _limits(self, deadline: float, phase_s: float) -> Limits:
        gib = self.context.options.memory_limit_gib
        left = max(1.0, deadline - time.monotonic())
        memory = int(gib * 2**30) if gib else default_memory_bytes()
        return Limits(time_s=left, phase_s=min(phase_s, left), memory_bytes=memory // self.parts)

    def _require_torch(self, todo: Plan, report: ProbeReport, what: str) -> None:
        if todo.uses_torch and (problem := report.hello.missing.get("torch")):
            raise StageError(f"{NO_TORCH.format(what=what)} ({problem})")

    def _configuration(self) -> Location:
        path: Path | None = self.context.config.path
        return Location(path=path.name if path else self.context.task.tests[0] if self.context.task.tests else ".")

    def _limitations(self, todo: Plan) -> list[str]:
        said = [sentence for group in self.judged for sentence in group.limitations]
        said += todo.not_imported
        absent = [name for name in isolation_of(self.context).pass_env if name not in os.environ]
        if absent:
            said.append(f"pass-env names {', '.join(absent)}, which is not set here")
        task = self.context.task
        if task.program is not None:
            return [*said, "only Python processes were watched, and nothing was read of the code"]
        if not task.workloads and not task.scripts:
            said.append("no training step was run: the task declares no workloads and no scripts")
        if not task.tests:
            said.append("no test was run: the task declares none")
        return said
