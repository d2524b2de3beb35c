"""Orders the stages, runs each one guarded, and judges what it brought: a crash is a verdict, never a gap."""

from __future__ import annotations

import dataclasses
import graphlib
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from verifier.baseline.matching import Cover
from verifier.cache.outcomes import run_stage
from verifier.errors import MachineError, StageError
from verifier.fingerprints import fingerprints
from verifier.globs import compile_glob
from verifier.marks import FOUND, confirmed_by, marked
from verifier.model.finding import Evidence, Finding, Location, Severity
from verifier.model.report import Suppressed
from verifier.model.stage import Reported, StageOutcome, StageResult, StageStatus
from verifier.notebooks.places import with_cells
from verifier.own_rules import RULES, STAGE_CRASHED, STAGE_UNABLE
from verifier.scoring import demand_device, settle_gate, stage_score, stage_status
from verifier.suppress import Allow, bad_suppressions, read_allows, sort_findings, unused_suppressions

if TYPE_CHECKING:
    from verifier.model.rule import Rule
    from verifier.model.stage import Gate, Need, Stage, StageContext
    from verifier.plugins import Plugins

_FAILED = {StageStatus.FAILED, StageStatus.ERRORED, StageStatus.SKIPPED}


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineResult:
    """The judged stages in the order of their numbers, what was suppressed in them, and what was not asked for.

    Args:
        left_out: findings of rules that the command line left out.
        ignored: findings that `per-file-ignores` of the configuration left out.
    """

    stages: tuple[StageResult, ...]
    suppressed: tuple[Suppressed, ...]
    left_out: tuple[Finding, ...] = ()
    ignored: tuple[Finding, ...] = ()


def in_order(stages: Sequence[Stage]) -> tuple[Stage, ...]:
    """Return the stages so that each comes after those it needs, else by number.

    Raises:
        StageError: stages need each other in a circle.
    """
    by_name = {stage.name: stage for stage in stages}
    sorter = graphlib.TopologicalSorter(
        {stage.name: {need.stage for need in stage.needs if need.stage in by_name} for stage in stages}
    )
    try:
        sorter.prepare()
    except graphlib.CycleError as error:
        raise StageError(f"stages need each other in a circle: {' -> '.join(error.args[1])}") from None
    ordered: list[Stage] = []
    ready: list[str] = []
    while sorter.is_active():
        ready = sorted([*ready, *sorter.get_ready()], key=lambda name: by_name[name].number)
        name = ready.pop(0)
        ordered.append(by_name[name])
        sorter.done(name)
    return tuple(ordered)


def _nothing_accepted() -> Cover:
    return Cover((), "")


def run_stages(
    stages: Sequence[Stage],
    context: StageContext,
    plugins: Plugins,
    *,
    left_out: frozenset[str] = frozenset(),
    cover: Callable[[], Cover] = _nothing_accepted,
    started: Callable[[Stage], None] = lambda _stage: None,
    finished: Callable[[StageResult], None] = lambda _result: None,
) -> PipelineResult:
    """Run the stages. One that fails never stops the others from being told so.

    Args:
        left_out: codes that are not reported and do not count. Their rules run all the same: a gate that one of
            them would fail is DEFERRED, so that nothing is called proven that was not.
        cover: gives what the project has accepted, anew for every judging.
    """
    names = {code: rule.name for code, rule in plugins.rules.items()}
    allows = read_allows(context.sources, names)
    judge = _Judge(plugins, context, allows, left_out, cover())
    results: dict[str, StageResult] = {}
    ran: list[_Ran] = []
    for stage in in_order(stages):
        unmet = [need for need in stage.needs if _unmet(need, results)]
        if unmet:
            reason = ", ".join(f"{need.stage} is {results[need.stage].status}" for need in unmet)
            result = judge.skipped(stage, f"needs a stage that did not fail: {reason}")
        else:
            started(stage)
            added = [rule for rule in plugins.added_rules if rule.stage == stage.name]
            ran.append(_execute(stage, added, context))
            if ran[-1].outcome.marks:  # what is known of earlier findings has changed: judge these stages again
                judge = _Judge(plugins, context, allows, left_out, cover(), ran)
                results |= {earlier.stage.name: judge.judged(earlier) for earlier in ran[:-1]}
            result = judge.judged(ran[-1])
            context.stash.put(FOUND, {one.stage.name: one.outcome.findings for one in ran})
        results[stage.name] = result
        plugins.manager.hook.verifier_stage_finished(result=result)
        finished(result)
    ordered = sorted(results.values(), key=lambda result: result.number)
    return PipelineResult(
        stages=tuple(ordered),
        suppressed=tuple(judge.suppressed),
        left_out=tuple(judge.left_out),
        ignored=tuple(judge.ignored),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ran:
    """A stage that was run, and what it brought. `error`: it broke off; `trace`: by an exception of its own."""

    stage: Stage
    outcome: StageOutcome
    duration_s: float
    error: str | None = None
    trace: str = ""
    internal: bool = False


def _execute(stage: Stage, added: Sequence[Rule], context: StageContext) -> _Ran:
    begin = time.perf_counter()
    nothing = StageOutcome(checks_run=0)
    try:
        outcome = _with_rules(run_stage(stage, context), added, context)
        _check_contract(stage, added, outcome)
    except StageError as error:
        took = time.perf_counter() - begin
        ours = isinstance(error, MachineError)
        return _Ran(stage=stage, outcome=nothing, duration_s=took, error=str(error), internal=ours)
    except Exception as error:
        took = time.perf_counter() - begin
        text, trace = f"{type(error).__name__}: {error}", traceback.format_exc()
        return _Ran(stage=stage, outcome=nothing, duration_s=took, error=text, trace=trace, internal=True)
    return _Ran(stage=stage, outcome=outcome, duration_s=time.perf_counter() - begin)


def _unmet(need: Need, results: Mapping[str, StageResult]) -> bool:
    return need.must_pass and need.stage in results and results[need.stage].status in _FAILED


class _Judge:
    """Turns outcomes into results, and keeps the findings of all stages that were suppressed or left out."""

    def __init__(
        self,
        plugins: Plugins,
        context: StageContext,
        allows: tuple[Allow, ...],
        unwanted: frozenset[str],
        cover: Cover,
        marking: Sequence[_Ran] = (),
    ) -> None:
        self._rules = plugins.rules
        self._context = context
        self._allows = allows
        self._unwanted = unwanted
        self._cover = cover
        self._accepted: set[int] = set()  # ids of findings that the baseline covers
        self._marks = {ran.stage.name: ran.outcome.marks for ran in marking}
        self._confirmed: dict[str, list[Finding]] = {}  # by marking stage: what remains and was seen to happen
        self._reporters: dict[str, set[str]] = {}
        for stage in plugins.stages:
            for code in (*(rule.code for rule in stage.rules), *stage.also_reports):
                self._reporters.setdefault(code, set()).add(stage.name)
        self._ran: set[str] = set()
        self._used: set[tuple[Allow, str]] = set()
        self.suppressed: list[Suppressed] = []
        self.left_out: list[Finding] = []
        self.ignored: list[Finding] = []
        self._ignores = [(compile_glob(glob), codes) for glob, codes in context.config.per_file_ignores.items()]

    def skipped(self, stage: Stage, reason: str) -> StageResult:
        return self._result(stage, StageStatus.SKIPPED, 0.0, StageOutcome(checks_run=0), (), reason=reason)

    def judged(self, ran: _Ran) -> StageResult:
        if ran.error is not None:
            return self._errored(ran, ran.error)
        stage, outcome = ran.stage, ran.outcome
        kept = self._kept(stage, outcome)
        own = unused_suppressions(self._allows, self._used, self._decided_with(stage))
        if not self._ran:  # a comment that cannot count is said once, by the stage that came first
            own = (*bad_suppressions(self._allows), *own)
        self._ran.add(stage.name)
        findings = (*(finding for finding in kept if finding.rule not in self._unwanted), *own)
        unwanted = [finding for finding in kept if finding.rule in self._unwanted]
        self.left_out += unwanted
        block_at = self._context.config.block_at
        reported = self._matched(findings, outcome.gates)
        counted = (*findings, *self._confirmed.get(stage.name, ()))
        fresh = [finding for finding in counted if id(finding) not in self._accepted]
        accepted = [finding for finding in counted if id(finding) in self._accepted]
        settled = (settle_gate(gate, fresh, block_at, unwanted, accepted) for gate in outcome.gates)
        gates = tuple(demand_device(gate, self._context.options.require_device) for gate in settled)
        status = stage_status(gates, blocked=any(item.blocking for item in reported))
        outcome = dataclasses.replace(outcome, gates=gates)
        return self._result(stage, status, ran.duration_s, outcome, reported)

    def _matched(self, findings: Sequence[Finding], gates: Sequence[Gate]) -> tuple[Reported, ...]:
        """Return the findings in order, those that the baseline covers marked as such, and remember which these are."""
        told = zip(with_cells(findings, self._context.sources), findings, strict=True)
        pairs = sorted(told, key=lambda pair: _order(pair[0]))
        capped = tuple(code for gate in gates if gate.at_most is not None for code in gate.sums_up)
        reported = []
        for item, (_, finding) in zip(self._reported([celled for celled, _ in pairs]), pairs, strict=True):
            counts = finding.severity > Severity.INFO or finding.rule.startswith(capped)
            known = self._cover.takes(finding, item.fingerprint, counts=counts)
            if known:
                self._accepted.add(id(finding))
            reported.append(dataclasses.replace(item, blocking=item.blocking and not known, baselined=known))
        return tuple(reported)

    def _kept(self, stage: Stage, outcome: StageOutcome) -> tuple[Finding, ...]:
        """Return the findings that neither the configuration nor a comment silences, and keep the others aside."""
        after = {id(finding): marked(finding, self._marks) for finding in outcome.findings}
        self.ignored += [finding for finding in after.values() if self._ignored(finding)]
        found = [finding for finding in after.values() if not self._ignored(finding)]
        split = sort_findings(found, self._allows)
        self._used |= {(allow, finding.rule) for finding, allow in split.silenced}
        pairs = [(finding, allow) for finding, allow in split.silenced if finding.rule not in self._unwanted]
        silenced = self._reported(with_cells([finding for finding, _ in pairs], self._context.sources))
        for reported, (_, allow) in zip(silenced, pairs, strict=True):
            until = allow.until.isoformat() if allow.until else None
            self.suppressed.append(
                Suppressed(stage=stage.name, finding=reported, reason=allow.reason, line=allow.line, until=until)
            )
        kept = {id(finding) for finding in split.kept if finding.rule not in self._unwanted}
        for finding in outcome.findings:
            for name in confirmed_by(finding, self._marks):
                if id(after[id(finding)]) in kept:
                    self._confirmed.setdefault(name, []).append(after[id(finding)])
        return split.kept

    def _decided_with(self, stage: Stage) -> set[str]:
        """Return the codes whose comments can be judged now: every stage that may report them has run, this one last.

        A comment may excuse what only a run shows, so a run of the static stages alone does not call it unused.
        """
        ran = self._ran | {stage.name}
        own = {*(rule.code for rule in stage.rules), *stage.also_reports}
        return {code for code in own if self._reporters.get(code, set()) <= ran}

    def _ignored(self, finding: Finding) -> bool:
        return not self._rules[finding.rule].essential and any(
            pattern.match(finding.location.path) and finding.rule.startswith(codes) for pattern, codes in self._ignores
        )

    def _errored(self, ran: _Ran, error: str) -> StageResult:
        rule = STAGE_CRASHED if ran.trace else STAGE_UNABLE
        evidence = (Evidence(kind="traceback", summary=error, data={"traceback": ran.trace} if ran.trace else {}),)
        finding = Finding(
            rule=rule.code,
            severity=rule.severity,
            message=f"Stage {ran.stage.name} could not finish: {error}",
            location=_place(self._context),
            symbol=ran.stage.name,
            evidence=evidence,
            why=rule.why,
            remediation="This is a fault of the stage: report it with the traceback."
            if ran.trace
            else "Remove the cause and run again.",
        )
        outcome, status = StageOutcome(checks_run=0), StageStatus.ERRORED
        reported = tuple(self._reported([finding]))
        return self._result(ran.stage, status, ran.duration_s, outcome, reported, reason=error, internal=ran.internal)

    def _reported(self, findings: Sequence[Finding]) -> list[Reported]:
        block_at = self._context.config.block_at
        marks = fingerprints(findings, self._context.sources)
        return [
            Reported(
                finding=finding,
                name=self._rules[finding.rule].name,
                blocking=finding.severity >= block_at,
                fingerprint=mark,
            )
            for finding, mark in zip(findings, marks, strict=True)
        ]

    def _result(
        self,
        stage: Stage,
        status: StageStatus,
        duration_s: float,
        outcome: StageOutcome,
        reported: tuple[Reported, ...],
        *,
        reason: str = "",
        internal: bool = False,
    ) -> StageResult:
        return StageResult(
            number=stage.number,
            name=stage.name,
            title=stage.title,
            status=status,
            score=stage_score(item.finding.severity for item in reported if not item.baselined),
            checks_run=outcome.checks_run,
            duration_s=round(duration_s, 3),
            gates=outcome.gates,
            findings=reported,
            facts=outcome.facts,
            reason=reason,
            internal=internal,
        )


def _order(finding: Finding) -> tuple[object, ...]:
    place = finding.location
    return (-finding.severity, place.path, place.line, place.column, finding.rule, finding.message)


def _place(context: StageContext) -> Location:
    """Return a place for what belongs to no line: the configuration, else the first file."""
    program = context.task.program
    if program is not None:
        named = [file.path for file in context.sources if str(file.absolute) == program.target]
        return Location(path=named[0] if named else program.shown)
    if context.config.path is not None:
        return Location(path=context.config.path.name)
    return Location(path=context.sources.files[0].path if context.sources.files else ".")


def _with_rules(outcome: StageOutcome, rules: Sequence[Rule], context: StageContext) -> StageOutcome:
    if not isinstance(outcome, StageOutcome):
        raise TypeError(f"the stage returned {type(outcome).__name__} instead of a StageOutcome")
    if not rules:
        return outcome
    files = context.sources.python()
    found = tuple(finding for rule in rules for file in files for finding in rule.check(file))
    return StageOutcome(
        checks_run=outcome.checks_run + len(rules) * len(files),
        findings=(*outcome.findings, *found),
        gates=outcome.gates,
        facts=outcome.facts,
        marks=outcome.marks,
    )


def _check_contract(stage: Stage, added: Sequence[Rule], outcome: StageOutcome) -> None:
    if outcome.checks_run < 1:
        raise StageError("it ran no check, and nothing checked is nothing proven; give the task something to check")
    declared = {rule.code for rule in stage.rules} | {rule.info.code for rule in added} | {*stage.also_reports}
    for finding in outcome.findings:
        if finding.rule not in declared or finding.rule in {rule.code for rule in RULES}:
            raise ValueError(f"the stage reported {finding.rule}, a code that it does not declare")
    for gate in outcome.gates:
        if gate.name not in stage.gates:
            raise ValueError(f'the stage returned the gate "{gate.name}", which it does not declare')
    if len({gate.name for gate in outcome.gates}) < len(outcome.gates):
        raise ValueError("the stage returned one gate twice")
