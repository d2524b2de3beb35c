from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from amp_runtime.calibration import HardwareCalibration, this_machine
from amp_runtime.calibration import session as module
from amp_runtime.calibration.options import UsageError, parse
from amp_runtime.calibration.presets import PRESETS
from amp_runtime.calibration.session import measure
from tests.amp_runtime.calibration.records import profile
from tests.amp_runtime.calibration.test_presets import MILAN


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Stand in for the measuring, on a machine like Milan without a GPU; tell what was asked of it."""
    given: dict[str, Any] = {}

    def calibrate(device: str, *, progress: Callable[[str, float], None], **wanted: Any) -> HardwareCalibration:
        given.update(wanted, device=device)
        for what, share in (("matmul 256", 0.0), ("matmul 512", 0.4), ("softmax 9", 0.6), ("done", 1.0)):
            progress(what, share)
        return profile()

    monkeypatch.setattr(module, "calibrate", calibrate)
    for name in ("this_machine",):
        monkeypatch.setattr(module, name, lambda: MILAN)
    monkeypatch.setattr(module.torch.cuda, "is_available", lambda: False)
    return given


def test_a_machine_that_is_recognised_is_held_against_its_preset(asked: dict[str, Any]) -> None:
    about = measure(parse(["--quick", "--operations", "matmul"])).metadata
    assert asked == {
        "device": "cpu",
        "preset": PRESETS["epyc-7003"],
        "quick": True,
        "compiled": False,
        "operations": ("matmul",),
    }
    assert (about.platform_check, about.upper_bound, about.warnings) == ("passed", True, ())


def test_a_machine_that_is_not_recognised_is_calibrated_without_peaks(
    asked: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "recognised", lambda *_arguments: None)
    about = measure(parse([])).metadata
    assert asked["preset"] is None
    assert (about.platform_check, about.upper_bound) == (None, None)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--preset", "i7-12700k"], "it is of Intel Core i7-12700K, and this CPU is AMD EPYC"),
        (["--preset", "jetson-orin-nano"], "it is of aarch64, and this machine is x86_64"),
        (["--preset", "h100-sxm5"], "this machine has no CUDA device"),
    ],
)
@pytest.mark.usefixtures("asked")
def test_a_preset_of_another_machine_is_refused_with_those_that_fit(words: list[str], says: str) -> None:
    with pytest.raises(UsageError) as caught:
        measure(parse(words))
    assert says in str(caught.value)
    assert "presets of this machine: epyc-7003, x86-avx2" in str(caught.value)
    assert "--skip-platform-check takes the preset in spite of this" in str(caught.value)


def test_the_check_can_be_skipped_and_the_profile_says_so(asked: dict[str, Any]) -> None:
    about = measure(parse(["--preset", "i7-12700k", "--skip-platform-check"])).metadata
    assert asked["preset"] == PRESETS["i7-12700k"]
    assert about.platform_check == "skipped"
    assert about.warnings[0].startswith("preset i7-12700k, taken in spite of: it is of Intel Core i7-12700K")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--preset", "h100-smx5"], "there is no preset 'h100-smx5'; did you mean 'h100-sxm5'?; --list-presets"),
        (["--operations", "matmull"], "there is no operation 'matmull' to calibrate; did you mean 'matmul'?"),
        (["--device", "mps"], "calibrated are cpu and cuda"),
        (["--device", "cuda"], "PyTorch sees no CUDA device"),
        (["--preset", "h100-sxm5", "--skip-platform-check"], "this machine has no CUDA device"),
    ],
)
@pytest.mark.usefixtures("asked")
def test_wrong_use_is_one_sentence(words: list[str], says: str) -> None:
    with pytest.raises(UsageError) as caught:
        measure(parse(words))
    assert says in str(caught.value)


@pytest.mark.usefixtures("asked")
def test_a_log_has_a_line_for_each_kind_of_operation(capsys: pytest.CaptureFixture[str]) -> None:
    measure(parse([]))
    assert capsys.readouterr().err.splitlines() == [
        "verify: calibrate: 0 %, matmul 256",
        "verify: calibrate: 60 %, softmax 9",
        "verify: calibrate: 100 %, done",
    ]
    measure(parse(["--no-progress"]))
    assert capsys.readouterr().err == ""


def test_this_machine_has_a_description() -> None:
    assert this_machine().cpus >= this_machine().cores >= 1
