"""Every way in which a stage can go wrong ends in a status that blocks, and the other stages are still told."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from types import SimpleNamespace

import pluggy
import pytest

from verifier import hookspecs
from verifier.api import (
    FOUND,
    Config,
    Evidence,
    Finding,
    Gate,
    GateStatus,
    Location,
    MachineError,
    Mark,
    Need,
    Rule,
    RuleInfo,
    RunOptions,
    Severity,
    SourceFile,
    SourceTree,
    Stage,
    StageContext,
    StageError,
    StageOutcome,
    StageStatus,
    Stash,
    Task,
    hookimpl,
)
from verifier.own_rules import RULES
from verifier.pipeline import PipelineResult, in_order, run_stages
from verifier.plugins import Plugins

RULE = RuleInfo(code="TST001", name="test-rule", severity=Severity.HIGH, summary="s", why="w")
RUNS = RuleInfo(code="TST002", name="run-rule", severity=Severity.HIGH, summary="s", why="w", mode="both")


def _stage(run: Callable[[StageContext], StageOutcome], *, number: int = 1, **fields: object) -> Stage:
    values = {"name": f"stage{number}", "title": "T", "summary": "s", "runs_code": False, "rules": (RULE,)} | fields
    return Stage(number=number, run=run, **values)  # type: ignore[arg-type]


def _outcome(*findings: Finding, gates: Iterable[Gate] = ()) -> StageOutcome:
    return StageOutcome(checks_run=1, findings=findings, gates=tuple(gates))


def _finding(line: int = 1, severity: Severity = Severity.HIGH, rule: str = "TST001") -> Finding:
    return Finding(rule=rule, severity=severity, message="m", location=Location(path="a.py", line=line))


def _run(
    root: Path,
    *stages: Stage,
    text: str = "x = 1\n",
    config: Config | None = None,
    rules: Iterable[Rule] = (),
    known: Iterable[Stage] = (),
) -> PipelineResult:
    """Run the stages; `known` ones are installed and left out of the run."""
    (root / "a.py").write_text(text)
    sources = SourceTree(root, [SourceFile("a.py", root / "a.py")])
    context = StageContext(
        root=root,
        task=Task(name="T", title="T", files=("a.py",)),
        config=config or Config(root=root),
        sources=sources,
        options=RunOptions(),
        stash=Stash(),
        progress=lambda _line: None,
    )
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    infos = [RULE, RUNS, *RULES, *(rule.info for rule in rules)]
    plugins = Plugins(
        stages=(*stages, *known),
        rules={info.code: info for info in infos},
        rule_stage={},
        added_rules=tuple(rules),
        renderers={},
        third_party=(),
        manager=manager,
    )
    return run_stages(stages, context, plugins)


def _raise(error: BaseException) -> Callable[[StageContext], StageOutcome]:
    def run(_context: StageContext) -> StageOutcome:
        raise error

    return run


def test_a_crash_is_errored_with_the_traceback_and_counts_as_our_fault(tmp_path: Path) -> None:
    (result,) = _run(tmp_path, _stage(_raise(ValueError("boom")))).stages
    assert (result.status, result.internal) == (StageStatus.ERRORED, True)
    evidence = result.findings[0].finding.evidence[0]
    assert "ValueError: boom" in str(evidence.data["traceback"])


def test_a_stage_that_says_it_cannot_is_errored_but_not_our_fault(tmp_path: Path) -> None:
    (result,) = _run(tmp_path, _stage(_raise(StageError("torch is not installed")))).stages
    assert (result.status, result.internal, result.reason) == (StageStatus.ERRORED, False, "torch is not installed")


def test_a_machine_that_refuses_what_the_verifier_needs_is_not_the_codes_fault(tmp_path: Path) -> None:
    (result,) = _run(tmp_path, _stage(_raise(MachineError("no process can be started")))).stages
    assert (result.status, result.internal) == (StageStatus.ERRORED, True)
    assert (result.findings[0].finding.rule, result.findings[0].blocking) == ("VER004", True)


@pytest.mark.parametrize(
    ("run", "part"),
    [
        (lambda _c: StageOutcome(checks_run=0), "no check"),
        (lambda _c: None, "NoneType instead of a StageOutcome"),
        (lambda _c: _outcome(_finding(rule="XXX999")), "XXX999, a code that it does not declare"),
        (lambda _c: _outcome(_finding(rule="VER001")), "VER001, a code that it does not declare"),
        (
            lambda _c: _outcome(gates=[Gate(name="g", requirement="r", status=GateStatus.PASS, evidence="e")]),
            'the gate "g", which it does not declare',
        ),
    ],
)
def test_an_outcome_that_breaks_the_contract_is_errored(tmp_path: Path, run: object, part: str) -> None:
    (result,) = _run(tmp_path, _stage(run)).stages  # type: ignore[arg-type]
    assert result.status is StageStatus.ERRORED
    assert part in result.reason


def test_a_stage_whose_need_failed_is_skipped_and_one_without_need_still_runs(tmp_path: Path) -> None:
    failing = _stage(lambda _c: _outcome(_finding()), name="first")
    needing = _stage(lambda _c: _outcome(), number=3, needs=(Need(stage="first", must_pass=True),))
    after = _stage(lambda _c: _outcome(), number=2, needs=(Need(stage="first", must_pass=False),))
    results = _run(tmp_path, needing, failing, after).stages
    assert [result.status for result in results] == [StageStatus.FAILED, StageStatus.PASSED, StageStatus.SKIPPED]
    assert results[2].reason == "needs a stage that did not fail: first is FAILED"


def test_a_stage_that_was_not_selected_is_no_need(tmp_path: Path) -> None:
    stage = _stage(lambda _c: _outcome(), needs=(Need(stage="absent", must_pass=True),))
    assert _run(tmp_path, stage).stages[0].status is StageStatus.PASSED


def test_order_follows_needs_before_numbers() -> None:
    early = _stage(lambda _c: _outcome(), number=1, needs=(Need(stage="stage2", must_pass=True),))
    stages = in_order([early, _stage(lambda _c: _outcome(), number=2), _stage(lambda _c: _outcome(), number=3)])
    assert [stage.number for stage in stages] == [2, 1, 3]


def test_stages_in_a_circle_are_refused() -> None:
    one = _stage(lambda _c: _outcome(), number=1, needs=(Need(stage="stage2", must_pass=True),))
    two = _stage(lambda _c: _outcome(), number=2, needs=(Need(stage="stage1", must_pass=True),))
    with pytest.raises(StageError, match="circle"):
        in_order([one, two])


def test_a_suppressed_finding_neither_blocks_nor_costs_but_is_listed(tmp_path: Path) -> None:
    text = "x = 1  # verify: allow[TST001] kept for the old checkpoint format\n"
    result = _run(tmp_path, _stage(lambda _c: _outcome(_finding())), text=text)
    assert (result.stages[0].status, result.stages[0].score) == (StageStatus.PASSED, 100)
    (suppressed,) = result.suppressed
    assert (suppressed.reason, suppressed.line) == ("kept for the old checkpoint format", 1)


def test_a_suppression_whose_day_has_passed_silences_nothing_and_is_a_finding(tmp_path: Path) -> None:
    text = "x = 1  # verify: allow[TST001] until 2020-01-31 kept for the old checkpoint format\n"
    result = _run(tmp_path, _stage(lambda _c: _outcome(_finding())), text=text)
    found = [(item.finding.rule, item.blocking) for item in result.stages[0].findings]
    assert (result.suppressed, found) == ((), [("TST001", True), ("VER006", False)])
    later = _run(tmp_path, _stage(lambda _c: _outcome(_finding())), text=text.replace("2020", "2999"))
    assert [entry.until for entry in later.suppressed] == ["2999-01-31"]


def test_a_suppression_settles_the_gate_too(tmp_path: Path) -> None:
    gate = Gate(name="g", requirement="r", status=GateStatus.PASS, evidence="1 name", sums_up=("TST",))
    stage = _stage(lambda _c: _outcome(_finding(), gates=[gate]), gates={"g": "r"})
    assert _run(tmp_path, stage).stages[0].gates[0].status is GateStatus.FAIL
    allowed = _run(tmp_path, stage, text="x = 1  # verify: allow[test-rule] why not\n")
    assert allowed.stages[0].gates[0].status is GateStatus.PASS


def test_a_suppression_without_reason_silences_nothing_and_is_a_finding(tmp_path: Path) -> None:
    result = _run(tmp_path, _stage(lambda _c: _outcome(_finding())), text="x = 1  # verify: allow[TST001]\n").stages[0]
    assert {item.finding.rule for item in result.findings} == {"TST001", "VER001"}
    assert result.status is StageStatus.FAILED


def test_an_unused_suppression_is_a_finding(tmp_path: Path) -> None:
    result = _run(tmp_path, _stage(lambda _c: _outcome()), text="x = 1  # verify: allow[TST001] old\n").stages[0]
    assert [item.finding.rule for item in result.findings] == ["VER002"]
    assert result.status is StageStatus.PASSED


def test_per_file_ignores_drop_findings_of_a_family(tmp_path: Path) -> None:
    config = Config(root=tmp_path, per_file_ignores={"*.py": ("TST",)})
    assert _run(tmp_path, _stage(lambda _c: _outcome(_finding())), config=config).stages[0].findings == ()


def test_what_per_file_ignores_drop_is_kept_for_the_report(tmp_path: Path) -> None:
    config = Config(root=tmp_path, per_file_ignores={"*.py": ("TST",)})
    result = _run(tmp_path, _stage(lambda _c: _outcome(_finding())), config=config)
    assert [finding.rule for finding in result.ignored] == ["TST001"]


def test_per_file_ignores_never_drop_an_essential_rule(tmp_path: Path) -> None:
    info = RuleInfo(code="TST009", name="blind", severity=Severity.HIGH, summary="s", why="w", essential=True)
    rule = Rule(info=info, stage="stage1", check=lambda _file: [_finding(rule="TST009")])
    config = Config(root=tmp_path, per_file_ignores={"*.py": ("TST",)})
    result = _run(tmp_path, _stage(lambda _c: _outcome(_finding())), config=config, rules=[rule])
    assert [item.finding.rule for item in result.stages[0].findings] == ["TST009"]


def test_a_rule_of_another_plugin_runs_in_the_stage_it_names(tmp_path: Path) -> None:
    info = RuleInfo(code="EXT001", name="extra-rule", severity=Severity.LOW, summary="s", why="w")
    rule = Rule(info=info, stage="stage1", check=lambda file: [_finding(rule="EXT001", severity=Severity.LOW)])
    result = _run(tmp_path, _stage(lambda _c: _outcome()), rules=[rule]).stages[0]
    assert (result.checks_run, [item.name for item in result.findings]) == (2, ["extra-rule"])


def test_observers_are_told_of_every_stage(tmp_path: Path) -> None:
    seen: list[str] = []

    class Observer:
        @hookimpl
        def verifier_stage_finished(self, result: object) -> None:
            seen.append(result.name)  # type: ignore[attr-defined]

    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    manager.register(Observer())
    manager.check_pending()
    manager.hook.verifier_stage_finished(result=SimpleNamespace(name="syntax"))
    assert seen == ["syntax"]


def _reads(*findings: Finding) -> Stage:
    return _stage(lambda _context: _outcome(*findings), rules=(RUNS,))


def _marks(make: Callable[[Finding], Mark], *, number: int = 2) -> Stage:
    """A stage that runs code and marks whatever stage 1 reported."""

    def run(context: StageContext) -> StageOutcome:
        found = context.stash.get(FOUND) or {}
        gate = Gate(name="g", requirement="r", status=GateStatus.PASS, evidence="ran", sums_up=("TST",))
        marks = tuple(make(finding) for finding in found.get("stage1", ()))
        return StageOutcome(checks_run=1, gates=(gate,), marks=marks)

    return _stage(run, number=number, rules=(), gates={"g": "r"}, also_reports=("TST002",))


def _confirms(finding: Finding) -> Mark:
    evidence = Evidence(kind="run", summary="seen in step 3")
    return Mark(finding=finding, evidence=evidence, confirmed=True, severity=Severity.CRITICAL)


def test_a_stage_may_report_the_rules_of_another_that_it_sees_at_run_time(tmp_path: Path) -> None:
    found = _finding(rule="TST002")
    other = _stage(lambda _context: _outcome(found), number=2, rules=(), also_reports=("TST002",))
    first, second = _run(tmp_path, _reads(), other).stages
    assert (first.status, second.status) == (StageStatus.PASSED, StageStatus.FAILED)
    assert second.findings[0].name == "run-rule"


def test_what_a_run_confirms_is_one_finding_with_its_evidence_and_fails_the_gate_of_the_run(tmp_path: Path) -> None:
    suspicion = _finding(severity=Severity.LOW, rule="TST002")
    first, second = _run(tmp_path, _reads(suspicion), _marks(_confirms)).stages
    assert [item.finding.severity for item in first.findings] == [Severity.CRITICAL]
    assert first.findings[0].finding.evidence[-1].summary == "seen in step 3"
    assert first.status is StageStatus.FAILED
    assert second.findings == ()
    assert (second.gates[0].status, second.gates[0].evidence) == (GateStatus.FAIL, "1 TST002 CRITICAL; ran")
    assert (second.status, second.score) == (StageStatus.FAILED, 100)


def test_what_a_run_does_not_show_is_marked_and_keeps_its_severity(tmp_path: Path) -> None:
    evidence = Evidence(kind="run", summary="looked at 40 times, did not happen")
    first, second = _run(
        tmp_path, _reads(_finding(rule="TST002")), _marks(lambda f: Mark(finding=f, evidence=evidence))
    ).stages
    assert first.findings[0].finding.severity is Severity.HIGH
    assert first.findings[0].finding.evidence == (evidence,)
    assert (first.status, second.status) == (StageStatus.FAILED, StageStatus.PASSED)


def test_what_a_comment_excuses_is_not_counted_by_the_run_that_confirms_it(tmp_path: Path) -> None:
    text = "x = 1  # verify: allow[TST002] known\n"
    result = _run(tmp_path, _reads(_finding(rule="TST002")), _marks(_confirms), text=text)
    assert [stage.status for stage in result.stages] == [StageStatus.PASSED, StageStatus.PASSED]
    (silenced,) = result.suppressed
    assert silenced.finding.finding.evidence[-1].kind == "run"


def test_a_comment_for_what_only_a_run_shows_is_unused_only_after_the_run(tmp_path: Path) -> None:
    text = "x = 1  # verify: allow[TST002] known\n"
    quiet = _stage(lambda _context: _outcome(), number=2, rules=(), also_reports=("TST002",))
    loud = _stage(lambda _context: _outcome(_finding(rule="TST002")), number=2, rules=(), also_reports=("TST002",))
    unused = [
        item.finding.rule for stage in _run(tmp_path, _reads(), quiet, text=text).stages for item in stage.findings
    ]
    assert unused == ["VER002"]
    assert [stage.findings for stage in _run(tmp_path, _reads(), loud, text=text).stages] == [(), ()]
    assert [stage.findings for stage in _run(tmp_path, _reads(), text=text, known=[quiet]).stages] == [()]
