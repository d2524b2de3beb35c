"""What was read is confirmed, refuted or not reached by what ran, and one cause stays one finding."""

from __future__ import annotations

from typing import Any

import pytest

from amp_runtime.wire import Alarm, Frame, SanitizerReport, Watched
from stages.integration.alarms import Watching, finding_of, hazards
from stages.integration.comparing import Compared, compare
from stages.integration.watched_runs import judge_watched
from tests.builders import finding
from verifier.api import GateStatus, Location, RuleInfo, Severity

RULES = {
    code: RuleInfo(code=code, name=f"rule-{code.lower()}", severity=severity, summary="s", why="w", mode="both")
    for code, severity in (("AMP103", Severity.CRITICAL), ("AMP109", Severity.HIGH))
}


def alarm(*frames: str, code: str = "AMP103", **fields: Any) -> Alarm:
    """An alarm whose stack is given as "path:line function", outermost first."""
    stack = []
    for text in frames:
        place, _, function = text.partition(" ")
        path, _, line = place.rpartition(":")
        stack.append(Frame(path=path, line=int(line), function=function))
    defaults = {"message": "Clipped.", "remedy": "Unscale.", "step": 1, "last_step": 1}
    return Alarm(code=code, frames=tuple(stack), **(defaults | fields))


def watching(*alarms: Alarm, looked: dict[str, tuple[str, ...]] | None = None, **fields: Any) -> Watching:
    watched = Watched(
        steps=fields.pop("steps", 5),
        backwards=5,
        optimizer_steps=5,
        skipped_steps=0,
        scalers=1,
        deep_steps=0,
        rested_steps=0,
        autocast={"cpu float16": 5},
        events={},
        looked=looked or {},
    )
    report = SanitizerReport(watched=watched, alarms=alarms, **fields)
    return Watching(name="train.py", start=Location(path="train.py"), amp=True, report=report)


def compared(run: Watching, *found: Any) -> Compared:
    return compare(hazards([run]), found, [run], RULES, tuple(RULES))


def verdict(result: Compared) -> list[Any]:
    return [mark.evidence.data["verdict"] for mark in result.marks]


def test_the_same_statement_is_one_cause() -> None:
    read = finding("AMP103", location=Location(path="train.py", line=7, end_line=9))
    result = compared(watching(alarm("train.py:30 main", "train.py:8 clip", values={"norm": 2.5})), read)
    (mark,) = result.marks
    assert result.new == ()
    assert (mark.finding, mark.confirmed, mark.severity) == (read, True, Severity.CRITICAL)
    assert mark.evidence.summary == "confirmed, seen in step 1 of train.py: Clipped."
    assert (mark.evidence.data["norm"], mark.evidence.data["stack"]) == (2.5, "train.py:30 main\ntrain.py:8 clip")


def test_a_call_on_the_way_to_the_alarm_is_the_same_cause() -> None:
    read = finding("AMP103", "train.py:30")
    assert compared(watching(alarm("train.py:30 main", "tools.py:8 clip")), read).new == ()


def test_another_line_of_the_same_function_is_the_same_cause_where_there_is_only_one_finding() -> None:
    run = watching(alarm("train.py:12 Trainer.fit.<locals>.step", code="AMP109"))
    one = finding("AMP109", "train.py:15", symbol="Trainer.fit.step")
    assert compared(run, one).new == ()
    other = finding("AMP109", "train.py:17", symbol="Trainer.fit.step")
    both = compared(run, one, other)
    assert len(both.new) == 1
    assert verdict(both) == ["not reached", "not reached"]


def test_another_code_or_place_is_another_cause() -> None:
    run = watching(alarm("train.py:8 clip"))
    assert len(compared(run, finding("AMP109", "train.py:8")).new) == 1
    assert len(compared(run, finding("AMP103", "other.py:8")).new) == 1


def test_refuted_is_what_was_looked_at_in_that_very_statement_and_did_not_happen() -> None:
    read = finding("AMP103", "train.py:7", severity="LOW")
    there = compared(watching(looked={"AMP103": ("train.py:7",)}), read)
    assert verdict(there) == ["refuted"]
    assert there.marks[0].evidence.summary.startswith("refuted in these runs: train.py came to this statement")
    assert (there.marks[0].confirmed, there.marks[0].severity) == (False, None)
    assert verdict(compared(watching(looked={"AMP103": ("train.py:8",)}), read)) == ["not reached"]
    assert verdict(compared(watching(looked={"AMP109": ("train.py:7",)}), read)) == ["not reached"]


def test_of_codes_that_nobody_hears_and_runs_without_a_step_nothing_is_said() -> None:
    assert verdict(compared(watching(), finding("AMP701", "train.py:7"))) == []
    assert verdict(compared(watching(steps=0), finding("AMP103", "train.py:7"))) == []


def test_one_hazard_in_several_runs_is_one_finding_with_the_evidence_of_each() -> None:
    first = watching(alarm("train.py:30 main", "train.py:8 clip", count=3, last_step=4, planted=True))
    second = watching(alarm("train.py:31 main", "train.py:8 clip", planted=True))
    (hazard,) = hazards([first, second])
    found = finding_of(hazard, RULES["AMP103"])
    assert (found.location.line, found.symbol, len(found.evidence)) == (8, "clip", 2)
    assert found.message.startswith("Clipped. Seen in steps 1 to 4, 3 times, of train.py. It happens in train.py too.")
    assert "the sanitizer planted one" in found.message


def test_an_alarm_without_a_line_of_the_project_stands_where_the_run_begins() -> None:
    library = f"{'/x/site-packages/lightning/loop.py'}:9 advance"
    (hazard,) = hazards([watching(alarm(library))])
    assert hazard.location == Location(path="train.py")
    assert finding_of(hazard, RULES["AMP103"]).evidence[0].data["stack"] == "site-packages/lightning/loop.py:9 advance"


@pytest.mark.parametrize(
    ("runs", "status"),
    [
        ([watching()], GateStatus.PASS),
        ([watching(), watching(steps=0)], GateStatus.DEFERRED),
        ([watching(replaced=("GradScaler.update",))], GateStatus.FAIL),
        ([Watching(name="a", start=Location(path="a.py"), amp=True, report=None)], GateStatus.FAIL),
    ],
)
def test_the_gate_passes_only_what_was_watched(runs: list[Watching], status: GateStatus) -> None:
    (gate,) = judge_watched(runs, (), RULES, tuple(RULES)).gates
    assert (gate.name, gate.status, gate.sums_up) == ("sanitizer", status, ("AMP",))


def test_without_a_run_there_is_no_gate() -> None:
    judged = judge_watched([], (), RULES, ())
    assert (judged.gates, judged.facts) == ((), {})


def test_the_gate_names_what_happened_also_where_the_finding_belongs_to_another_stage() -> None:
    run = watching(alarm("train.py:8 clip"))
    judged = judge_watched([run], [finding("AMP103", "train.py:8")], RULES, tuple(RULES))
    assert judged.findings == ()
    assert judged.gates[0].evidence.startswith("train.py:8 AMP103; 5 training steps watched in 1 run")
