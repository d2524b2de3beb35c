"""A run that is fit is added to the earlier ones; one that is not is refused, and nothing is lost."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from stages.performance.baselines.saving import kept_files
from tests.builders import run_report, stage_result
from tests.stages.performance.baselines.measurements import comparison, measurement
from verifier.api import BaselineError, KeptFile


def kept(root: Path, *measurements: dict[str, Any], reason: str | None = None) -> tuple[KeptFile, ...]:
    stage = stage_result(number=4, name="performance", facts={"measurements": list(measurements)})
    return kept_files(run_report(stage), root, reason)


def save(root: Path, *measurements: dict[str, Any], reason: str | None = None) -> dict[str, Any]:
    """Keep a run as the core does, and return the document."""
    (file,) = kept(root, *measurements, reason=reason)
    (root / file.path).parent.mkdir(parents=True, exist_ok=True)
    (root / file.path).write_text(file.text)
    found: dict[str, Any] = json.loads(file.text)
    return found


def test_the_first_run_names_machine_commit_and_figures(tmp_path: Path) -> None:
    (file,) = kept(tmp_path, measurement())
    assert file.path == ".verify-baselines/T035/cpu-x86_64-test-2t-torch2.13-2threads.json"
    assert file.says.startswith("the first run of this machine class; save 3 at least")
    document = json.loads(file.text)
    assert document["key"] == {"machine": "cpu-x86_64-test-2t", "reference": 1, "threads": 2, "torch": "2.13"}
    (run,) = document["runs"]
    assert (run["commit"], run["dirty"]) == ("0123abc", False)
    saved = run["figures"]["work:toy"]["amp"]
    assert (saved["step"], saved["level"], saved["step_s"], saved["activations"]) == (4.0, 1, 0.008, 1000)
    assert saved["accuracy"] == pytest.approx(0.85)


def test_runs_are_added_and_join_a_level_while_they_do_not_differ(tmp_path: Path) -> None:
    for ratio in (4.0, 4.02, 3.98, 4.01, 4.0, 5.0, 5.02, 3.0):
        document = save(tmp_path, measurement("work:toy", comparison(ratio)))
    levels = [run["figures"]["work:toy"]["amp"]["level"] for run in document["runs"]]
    assert levels == [1, 1, 1, 1, 1, 2, 2, 3]


def test_a_wide_series_is_refused_with_what_was_seen_and_kept_with_a_reason(tmp_path: Path) -> None:
    busy = measurement("work:toy", comparison(half_width=0.2, warnings=("other processes had 68% of the time",)))
    with pytest.raises(BaselineError, match=r"too noisy \(work:toy: other processes had 68%.*±20 % only"):
        kept(tmp_path, busy)
    assert (
        save(tmp_path, busy, reason=" the only machine there is ")["runs"][0]["reason"] == "the only machine there is"
    )


def test_narrow_series_of_a_busy_machine_are_fit_for_they_were_timed_side_by_side(tmp_path: Path) -> None:
    assert kept(tmp_path, measurement("work:toy", comparison(warnings=("other processes had 68% of the time",))))


def test_a_damaged_file_is_neither_extended_nor_replaced(tmp_path: Path) -> None:
    save(tmp_path, measurement())
    (path,) = tmp_path.glob(".verify-baselines/T035/*.json")
    path.write_text("{")
    with pytest.raises(BaselineError, match="damaged"):
        kept(tmp_path, measurement(), reason="really")
    assert path.read_text() == "{"


def test_machines_have_files_of_their_own(tmp_path: Path) -> None:
    files = kept(tmp_path, measurement("work:a"), measurement("work:b", machine_class="cuda-h200"))
    assert len({file.path for file in files}) == 2


@pytest.mark.parametrize("lacking", [{"machine_class": ""}, {"torch": ""}, {"threads": None}, {"comparisons": []}])
def test_without_machine_or_reference_nothing_can_be_kept(tmp_path: Path, lacking: dict[str, Any]) -> None:
    with pytest.raises(BaselineError, match="no step was timed against the reference work"):
        kept(tmp_path, measurement() | lacking)


def test_a_run_without_the_stage_keeps_nothing(tmp_path: Path) -> None:
    assert kept_files(run_report(stage_result()), tmp_path, None) == ()
