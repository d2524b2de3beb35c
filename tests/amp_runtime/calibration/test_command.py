from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from amp_runtime.calibration import (
    HardwareCalibration,
    StabilityCheck,
    load_profile,
    load_profile_for,
    machine_class,
    save_profile,
    this_machine,
)
from amp_runtime.calibration import command as module
from amp_runtime.calibration.command import main
from tests.amp_runtime.calibration.records import profile


def _mine(**changes: Any) -> HardwareCalibration:
    known = {"machine_class": machine_class(), "platform_architecture": this_machine().architecture}
    return profile(metadata=replace(profile().metadata, **known | changes))


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> HardwareCalibration:
    mine = _mine()
    monkeypatch.setattr(module, "_measured", lambda _options: mine)
    return mine


def test_a_run_writes_profile_report_and_picture_where_gates_find_them(
    tmp_path: Path, measured: HardwareCalibration, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--root", str(tmp_path)]) == 0
    assert load_profile_for(tmp_path) == measured
    folder = tmp_path / ".verify" / "calibration"
    name = machine_class()
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        [f"{name}.json", f"{name}.md", f"{name}-roofline.svg"]
    )
    assert f"({name}-roofline.svg)" in (folder / f"{name}.md").read_text("utf-8")
    shown = capsys.readouterr().out
    assert shown.startswith("AMD EPYC (cpu, ")
    assert f"profile: {folder / name}.json" in shown


def test_an_unsteady_run_leaves_the_profile_of_a_steady_one_in_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shaky = StabilityCheck(reference="matmul", stable=False, remarks=("it got hot",))
    runs = [_mine(stability=shaky), _mine(), _mine(stability=shaky), _mine()]
    monkeypatch.setattr(module, "_measured", lambda _options: runs.pop(0))
    seen = []
    for _ in range(4):
        assert main(["--output", str(tmp_path), "--format", "json"]) == 0
        found = {path.stem.removeprefix(machine_class()): load_profile(path) for path in tmp_path.iterdir()}
        seen.append({name: one.metadata.stability for name, one in sorted(found.items())})
    steady = _mine().metadata.stability
    assert seen == [{"": shaky}, {"": steady}, *[{"": steady, ".unsteady": shaky}] * 2]
    assert capsys.readouterr().out.count("stays in its place") == 1


def test_without_matplotlib_the_report_says_so(
    tmp_path: Path, measured: HardwareCalibration, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module.roofline, "available", lambda: False)
    assert main(["--output", str(tmp_path), "--format", "md", "-q"]) == 0
    (written,) = tmp_path.iterdir()
    says = "There is no picture: matplotlib is not installed (pip install 'verify-amp[plots]')."
    assert says in written.read_text()
    assert measured.metadata.machine_class == written.stem


@pytest.mark.parametrize("form", ["json", "md", "table"])
@pytest.mark.usefixtures("measured")
def test_standard_output_carries_the_document_and_nothing_else(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--output", "-", "--format", form]) == 0
    shown = capsys.readouterr().out
    if form == "json":
        assert json.loads(shown)["metadata"]["hardware_name"] == "AMD EPYC"
    assert shown.startswith({"json": "{", "md": "# Calibration", "table": "AMD EPYC"}[form])


def test_a_profile_is_shown_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_profile(_mine(), tmp_path / "p.json")
    assert main(["--load", str(tmp_path / "p.json")]) == 0
    assert "memory bandwidth 20.0 GB/s" in capsys.readouterr().out
    assert [path.name for path in tmp_path.iterdir()] == ["p.json"]


def test_a_profile_of_another_machine_is_refused_or_shown_with_a_warning_that_stays(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = "aarch64" if this_machine().architecture == "x86_64" else "x86_64"
    path = tmp_path / "p.json"
    save_profile(_mine(platform_architecture=other, machine_class=None), path)
    assert main(["--load", str(path)]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == (
        f"verify: {path} was not measured here: it is of {other}, and this machine is {this_machine().architecture}; "
        "--skip-platform-check shows it all the same\n"
    )
    folder = tmp_path / "out"
    assert main(["--load", str(path), "--skip-platform-check", "--output", str(folder), "--format", "json"]) == 0
    (copy,) = folder.iterdir()
    assert any("shown on another machine" in warning for warning in load_profile(copy).metadata.warnings)


@pytest.mark.parametrize(
    ("content", "says"),
    [(None, "there is no such profile"), ("{", "is no calibration profile: it is no JSON")],
)
def test_a_profile_that_is_none_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str | None, says: str
) -> None:
    path = tmp_path / "p.json"
    if content is not None:
        path.write_text(content)
    assert main(["--load", str(path)]) == 2
    error = capsys.readouterr().err
    assert says in error
    assert error.count("\n") == 1


@pytest.mark.usefixtures("measured")
def test_a_folder_that_cannot_be_written_is_exit_code_3(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert main(["--output", str(tmp_path / "file" / "x")]) == 3
    assert "Not a directory" in capsys.readouterr().err


@pytest.mark.parametrize(("raised", "code"), [(KeyboardInterrupt(), 130), (RuntimeError("broken"), 3)])
def test_what_ends_a_measurement_has_its_exit_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], raised: BaseException, code: int
) -> None:
    def fail(_options: object) -> None:
        raise raised

    monkeypatch.setattr(module, "_measured", fail)
    assert main([]) == code
    assert capsys.readouterr().out == ""


def test_the_presets_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list-presets"]) == 0
    assert "h100-sxm5" in capsys.readouterr().out
