from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from amp_runtime.calibration import HardwareCalibration, ProfileError, load_profile, save_profile
from tests.amp_runtime.calibration.records import profile

GOOD = json.dumps(profile().to_dict())


def _refused(path: Path) -> str:
    with pytest.raises(ProfileError) as caught:
        load_profile(path)
    text = str(caught.value)
    assert text.startswith(f"{path} is no calibration profile: ")
    assert text.endswith("; measure again with `verify calibrate`")
    assert "\n" not in text
    assert len(text) < len(str(path)) + 400
    return text


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "it is no JSON: expecting value at line 1, column 1"),
        (GOOD[: len(GOOD) // 2].encode(), "it is no JSON"),
        (b"[" * 100_000, "nested deeper than 64 levels"),
        (b"[" * 400 + b"]" * 400, "nested deeper than 64 levels"),
        (b'{"metadata": NaN}', "NaN stands in it"),
        (b'{"metadata": {}, "x": -Infinity}', "-Infinity stands in it"),
        (b'{"metadata": {}, "x": 1e999}', "1e999, is too large"),
        (b'{"metadata": {}, "x": ' + b"9" * 10_000 + b"}", "too many digits"),
        (b"\xff\xfe{}", "byte 0 is not UTF-8"),
        (b"[]", "the profile must be an object, not a list"),
        (b"{}", "the profile has no 'metadata'"),
        (b'{"metadata": []}', "metadata must be an object, not a list"),
        (b'{"metadata": {}}', "metadata has no 'hardware_name'"),
        (b'{"metadata": {"hardware_name": 1, "calibration_date": ""}}', "metadata.hardware_name must be a text, not 1"),
    ],
)
def test_a_file_that_is_no_profile_is_refused_with_its_place(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "profile.json"
    path.write_bytes(content)
    assert says in _refused(path)


@pytest.mark.parametrize(
    ("place", "value", "says"),
    [
        (("theoretical_peak_gflops",), "720", "theoretical_peak_gflops must be a number, not '720'"),
        (("theoretical_peak_gflops",), True, "theoretical_peak_gflops must be a number, not True"),
        (("measured_bandwidth_gbps",), -1, "measured_bandwidth_gbps must not be below 0, and is -1"),
        (("measured_bandwidth_gbps",), 10**400, "measured_bandwidth_gbps must be a finite number"),
        (("best_efficiency",), 1.14, "best_efficiency must not be above 1, and is 1.14"),
        (("operation_profiles",), [], "operation_profiles must be an object, not a list"),
        (("operation_profiles", "matmul_1024", "input_shape"), [1.5], "matmul_1024.input_shape[0] must be a whole"),
        (
            ("operation_profiles", "matmul_1024", "precision_results", "fp32", "supported"),
            "yes",
            "operation_profiles.matmul_1024.precision_results.fp32.supported must be true or false, not 'yes'",
        ),
        (("operation_profiles", "a\nb" * 90), 3, "operation_profiles.'a\\nba"),
        (("metadata", "warnings"), "one", "metadata.warnings must be a list, not 'one'"),
    ],
)
def test_a_wrong_value_is_refused_with_its_place(
    tmp_path: Path, place: tuple[str, ...], value: object, says: str
) -> None:
    data = json.loads(GOOD)
    inner = data
    for step in place[:-1]:
        inner = inner[step]
    inner[place[-1]] = value
    path = tmp_path / "profile.json"
    path.write_text(json.dumps(data), "utf-8")
    assert says in _refused(path)


def test_what_is_no_regular_file_is_refused_at_once(tmp_path: Path) -> None:
    assert "it is a folder, not a file" in _refused(tmp_path)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    assert "it is a pipe, not a file" in _refused(pipe)
    assert "it is a device, not a file" in _refused(Path("/dev/zero"))
    with pytest.raises(FileNotFoundError):
        load_profile(tmp_path / "absent.json")


def test_a_huge_file_is_refused_without_reading_it(tmp_path: Path) -> None:
    path = tmp_path / "huge.json"
    with path.open("wb") as file:
        file.truncate(100 * 2**20)
    assert "it has 100 MiB, a profile at most 8" in _refused(path)


def test_what_cannot_be_read_back_is_never_written(tmp_path: Path) -> None:
    path = tmp_path / "profile.json"
    save_profile(profile(), path)
    before = path.read_bytes()
    for bad in (
        profile(measured_bandwidth_gbps=float("nan")),
        profile(unknown={"x": float("inf")}),
        profile(best_efficiency=1.5),
        profile(unknown={"x": object()}),
    ):
        with pytest.raises(ProfileError, match="cannot be written"):
            save_profile(bad, path)
    assert path.read_bytes() == before
    assert [item.name for item in tmp_path.iterdir()] == ["profile.json"]


def test_the_folder_is_made_and_any_text_survives(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "profile.json"
    strange = profile(metadata=replace(profile().metadata, hardware_name="\ud800 \x00 \u202e é"))
    save_profile(strange, path)
    assert load_profile(path) == strange


@settings(max_examples=60, deadline=None)
@given(damage=st.lists(st.tuples(st.integers(0, len(GOOD) - 1), st.integers(0, 255)), min_size=1, max_size=3))
def test_a_damaged_file_is_refused_or_is_a_profile(
    tmp_path_factory: pytest.TempPathFactory, damage: list[tuple[int, int]]
) -> None:
    content = bytearray(GOOD.encode())
    for place, byte in damage:
        content[place] = byte
    path = tmp_path_factory.getbasetemp() / "damaged.json"
    path.write_bytes(bytes(content))
    try:
        loaded = load_profile(path)
    except ProfileError:
        _refused(path)
    else:
        assert HardwareCalibration.from_dict(loaded.to_dict()) == loaded
