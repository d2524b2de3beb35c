"""`--save-baseline` writes what plugins keep of a good run, whole, and says why where it does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.verifier.measuring import make_project, verify


def test_a_run_that_passes_is_kept_and_says_where(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    done = verify(project, "--save-baseline")
    assert (done.returncode, done.stderr) == (0, "")
    assert "baseline saved: kept/T.json (1)" in done.stdout
    assert (project / "kept/T.json").read_text() == "PASS None\n"


def test_without_the_option_nothing_is_kept(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    assert verify(project).returncode == 0
    assert not (project / "kept").exists()


def test_a_run_that_blocks_is_not_kept_and_the_old_figures_stay(tmp_path: Path) -> None:
    project = make_project(tmp_path, status="FAIL")
    (project / "kept").mkdir()
    (project / "kept/T.json").write_text("old")
    done = verify(project, "--save-baseline")
    assert done.returncode == 1
    assert "no baseline was saved: T is BLOCK" in done.stderr
    assert (project / "kept/T.json").read_text() == "old"


@pytest.mark.parametrize(
    ("gate", "sentence"),
    [({"noisy": True}, "the machine was too noisy"), ({"nothing": True}, "measured nothing that could be kept")],
)
def test_a_refusal_by_the_plugin_is_exit_2_and_one_line(tmp_path: Path, gate: dict[str, object], sentence: str) -> None:
    project = make_project(tmp_path, **gate)
    done = verify(project, "--save-baseline")
    assert done.returncode == 2
    assert sentence in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (project / "kept").exists()


def test_a_reason_keeps_what_would_be_refused_and_is_handed_on(tmp_path: Path) -> None:
    project = make_project(tmp_path, status="FAIL", noisy=True)
    done = verify(project, "--save-baseline-anyway", "new dataset")
    assert done.returncode == 1, "the verdict is not changed"
    assert (project / "kept/T.json").read_text() == "BLOCK new dataset\n"


def test_a_reason_must_be_one(tmp_path: Path) -> None:
    done = verify(make_project(tmp_path), "--save-baseline-anyway", " ")
    assert (done.returncode, done.stdout) == (2, "")
    assert "needs a reason" in done.stderr


def test_a_place_that_cannot_be_written_is_exit_3(tmp_path: Path) -> None:
    project = make_project(tmp_path, path="a.py/kept.json")
    done = verify(project, "--save-baseline")
    assert done.returncode == 3
    assert "the baseline cannot be written" in done.stderr


def test_a_plugin_cannot_write_outside_the_project(tmp_path: Path) -> None:
    project = make_project(tmp_path, path="../out.json")
    assert verify(project, "--save-baseline").returncode == 3
    assert not (tmp_path / "out.json").exists()


def test_a_link_out_of_the_project_is_not_followed(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    (tmp_path / "elsewhere").mkdir()
    (project / "kept").symlink_to(tmp_path / "elsewhere")
    done = verify(project, "--save-baseline")
    assert done.returncode == 3
    assert "leads out of the project" in done.stderr
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_of_the_document_on_stdout_nothing_is_mixed_in(tmp_path: Path) -> None:
    done = verify(make_project(tmp_path), "--save-baseline", "--output", "-", "--format", "json")
    assert done.stdout.startswith("{")
    assert done.stdout.endswith("}\n")
    assert "baseline saved" in done.stderr
