"""Runs mutants, and says whether the sanitizer, the checks of training or the project's own tests catch them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from verifier.errors import StageError
from verifier.model.stage import GateStatus
from verifier.mutation.judging import Said, known_of, said_of, word_of
from verifier.mutation.reaching import marked
from verifier.mutation.results import TESTED, TRAINED, WATCHED, Result
from verifier.mutation.spread import spread

if TYPE_CHECKING:
    from verifier.model.stage import Stage, StageResult
    from verifier.mutation.judging import Known, Word
    from verifier.mutation.mutants import Mutant
    from verifier.mutation.running import Bench

STAGE = "integration"
_ALARMS = frozenset(["sanitizer", "cuda-policy"])  # gates that sum up hazards, which count by themselves
_TESTS = frozenset(["tests"])
_LEAST_LIMIT_S = 60.0
_TIMES = 3  # as long as the task itself took, so that a mutant that never ends ends
Place = tuple[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """How mutants of a task are run: as whom, known by what, for how long at most, and who looks on."""

    bench: Bench
    stage: Stage
    known: Known
    observers: tuple[str, ...]

    def results(self, replaced: Mapping[str, bytes]) -> tuple[StageResult, ...]:
        return self.bench.results([self.stage], replaced)


def course_of(bench: Bench) -> Course:
    """Run the task as it is.

    Raises:
        StageError: it does not pass, or cannot be run.
    """
    stage = bench.plugins.stage(STAGE)
    if stage is None:
        raise StageError(f"no plugin brings the stage {STAGE}, which runs mutants; use --static")
    task = replace(bench.task, acceptance=())  # what is asked for there is not what a mutant is judged by
    bench = replace(bench, task=task)
    results = bench.results([stage], {})
    if problem := _problem(results, bench):
        raise StageError(f"task {task.name} does not pass as it is: {problem}; mutants are judged by what fails anew")
    limit_s = max(_LEAST_LIMIT_S, _TIMES * sum(result.duration_s for result in results))
    trains = (WATCHED, TRAINED) if task.workloads or task.scripts else ()
    return Course(
        bench=replace(bench, options=replace(bench.options, time_limit_s=limit_s)),
        stage=stage,
        known=known_of(results),
        observers=(*trains, *((TESTED,) if task.tests else ())),
    )


def run_all(course: Course, results: Sequence[Result], jobs: int, progress: Callable[[str], None]) -> list[Result]:
    """Run these mutants, each only where its place is reached at all."""
    places = list(dict.fromkeys((item.mutant.path, item.mutant.line) for item in results))
    unreached: dict[Place, frozenset[str]] = {}
    for place, found in zip(places, spread(functools.partial(_unreached, course), places, jobs), strict=True):
        unreached[place] = found
        progress(f"found out whether {len(unreached)} of {len(places)} places are reached")
    done: list[Result] = []
    for result in spread(functools.partial(_ran, course, unreached), results, jobs):
        done.append(result)
        progress(f"ran {len(done)} of {len(results)} mutants")
    return done


def _unreached(course: Course, place: Place) -> frozenset[str]:
    """Return who never comes to a place: those for whom nothing fails where the process dies there."""
    path, line = place
    file = course.bench.sources.get(path)
    data = marked(file, line) if file is not None else None
    if data is None:
        return frozenset()
    failing = known_of(course.results({path: data})).failing - course.known.failing
    reached = {TESTED} if failing & (_TESTS | {STAGE}) else set[str]()
    if failing - _TESTS:
        reached |= {WATCHED, TRAINED}
    return frozenset(course.observers) - reached


def _ran(course: Course, unreached: Mapping[Place, frozenset[str]], result: Result) -> Result:
    mutant = result.mutant
    never = unreached[mutant.path, mutant.line]
    said, words = dict(result.said), dict(result.words)
    looking = [name for name in course.observers if name not in never]
    heard = said_of(mutant, course.results({mutant.path: mutant.data}), course.known) if looking else Said()
    for name in course.observers:
        words[name] = _word(name, mutant, heard) if name in looking else "not reached"
        if name in looking:
            said[name] = heard
    return Result(mutant=mutant, said=said, words=words)


def _word(name: str, mutant: Mutant, said: Said) -> Word:
    if name == WATCHED:  # an alarm stands where the hazard happens, which may be the file that calls the mutated one
        return word_of(mutant, [replace(item, near=True) for item in said.news])
    failures = set(said.failing) - _ALARMS
    caught = failures & (_TESTS | {STAGE}) if name == TESTED else failures - _TESTS
    return "caught" if caught else "missed"


def _problem(results: Sequence[StageResult], bench: Bench) -> str:
    """Return in one phrase what keeps the task itself from passing; "" where nothing does."""
    for result in results:
        if result.reason:
            return f"stage {result.name}: {result.reason.splitlines()[0]}"
        for gate in result.gates:
            if gate.status is GateStatus.FAIL:
                return f"gate {gate.name}: {gate.evidence}"
        for item in result.findings:
            if item.finding.severity >= bench.config.block_at:
                return f"{item.finding.rule} at {item.finding.location.path}:{item.finding.location.line}"
    return ""
