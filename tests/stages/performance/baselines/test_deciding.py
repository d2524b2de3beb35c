"""The gate `regression`: pass, fail, inconclusive or deferred, each for a reason that a reader can act on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from stages.performance.baselines.deciding import Asked, Verdicts, decide, everything, has_any, suspects
from tests.stages.performance.baselines.measurements import comparison, measurement
from tests.stages.performance.baselines.test_saving import save
from verifier.api import Location


def decided(root: Path, *processes: dict[str, Any], least: float = 0.05, strict: bool = False) -> Verdicts:
    """Judge a run whose first process measured all; further ones confirm."""
    first, *more = processes
    asked = Asked(task="T035", least={first["name"]: least}, text="<5%", place=Location(path="pyproject.toml", line=3))
    return decide(root, asked, [first], "no slower", strict=strict, again=more)


def toy(ratio: float, **fields: Any) -> dict[str, Any]:
    return measurement("work:toy", comparison(ratio), **fields)


@pytest.fixture
def known(tmp_path: Path) -> Path:
    for ratio in (4.0, 4.02, 3.98, 4.01, 3.99):
        save(tmp_path, toy(ratio))
    return tmp_path


def test_without_a_baseline_it_is_deferred_with_the_command_that_makes_one(tmp_path: Path) -> None:
    found = decided(tmp_path, toy(4.0))
    assert found.gate.status == "DEFERRED"
    assert "save one: verify T035 --save-baseline" in found.gate.evidence
    assert found.findings == ()


def test_a_baseline_of_another_machine_is_named_and_not_used(known: Path) -> None:
    found = decided(known, toy(9.0, machine_class="cpu-other"))
    assert found.gate.status == "DEFERRED"
    assert "only of 1 other" in found.gate.evidence


def test_the_same_speed_passes(known: Path) -> None:
    found = decided(known, toy(4.03))
    assert (found.gate.status, found.findings) == ("PASS", ())
    assert "5 saved runs" in found.gate.evidence


def test_a_confirmed_slowdown_fails_with_figures_and_place(known: Path) -> None:
    assert suspects(decided(known, toy(4.6))) == ["work:toy"]
    found = decided(known, toy(4.6), toy(4.55), toy(4.7))
    assert found.gate.status == "FAIL"
    (finding,) = found.findings
    assert (finding.rule, finding.location.line) == ("PRF003", 3)
    assert "+15." in finding.message
    assert suspects(found) == []


def test_a_slowdown_of_one_process_is_unclear_and_fails_only_by_strict(known: Path) -> None:
    assert decided(known, toy(4.6)).gate.status == "WARN"
    assert decided(known, toy(4.6), strict=True).gate.status == "FAIL"
    assert decided(known, toy(4.6), toy(4.0), toy(4.01)).gate.status == "WARN"


def test_a_run_whose_steps_say_little_is_unclear_however_alike_the_runs_were(known: Path) -> None:
    vague = measurement("work:toy", comparison(4.0, half_width=0.2))
    assert decided(known, vague).gate.status == "WARN"
    slow = measurement("work:toy", comparison(4.4, half_width=0.2))
    assert decided(known, slow, slow, slow).gate.status == "WARN"


def test_a_requirement_may_allow_more(known: Path) -> None:
    assert decided(known, toy(4.2), toy(4.2), toy(4.2), least=0.10).gate.status == "PASS"


def test_more_activations_are_a_regression_without_any_noise(known: Path) -> None:
    found = decided(known, toy(4.0, activations=1200))
    assert found.gate.status == "FAIL"
    assert "activations +20.0 %" in found.findings[0].message
    assert decided(known, toy(4.0, activations=900)).gate.status == "PASS"


def test_a_damaged_file_fails_instead_of_being_forgotten(known: Path) -> None:
    (path,) = known.glob(".verify-baselines/T035/*.json")
    path.write_text(path.read_text()[:100])
    found = decided(known, toy(4.0))
    assert found.gate.status == "FAIL"
    assert [finding.rule for finding in found.findings] == ["PRF006"]


def test_a_workload_that_is_new_is_not_called_proven(known: Path) -> None:
    measurements = [toy(4.0), measurement("work:new", comparison(2.0))]
    asked = Asked(task="T035", least=everything(measurements), text="", place=Location(path="p"))
    gate = decide(known, asked, measurements, "no slower", strict=False).gate
    assert gate.status == "DEFERRED"
    assert "not in the baseline: work:new" in gate.evidence


def test_what_is_not_asked_for_is_not_compared(known: Path) -> None:
    asked = Asked(task="T035", least={}, text="", place=Location(path="p"))
    assert decide(known, asked, [toy(9.0)], "no slower", strict=False).gate.status == "DEFERRED"


def test_the_facts_hold_the_history(known: Path) -> None:
    (fact,) = decided(known, toy(4.0)).facts
    assert isinstance(fact, dict)
    assert fact["runs"] == 5
    (history,) = fact["history"]
    assert [point["step"] for point in history["points"]] == [4.0, 4.02, 3.98, 4.01, 3.99]


def test_whether_there_is_any_is_asked_of_the_machine_at_hand(known: Path, tmp_path_factory: Any) -> None:
    assert has_any(known, "T035", [toy(4.0)])
    assert not has_any(known, "T035", [toy(4.0, machine_class="cpu-other")])
    assert not has_any(tmp_path_factory.mktemp("empty"), "T035", [toy(4.0)])
