from __future__ import annotations

from dataclasses import replace

from amp_runtime.calibration.listing import list_presets
from amp_runtime.calibration.presets import PRESETS
from tests.amp_runtime.calibration.test_presets import ALTRA, MILAN


def test_every_preset_is_listed_and_those_of_this_machine_come_first() -> None:
    lines = list_presets(MILAN).splitlines()
    assert [line.split()[1] for line in lines[1:3]] == ["epyc-7003", "x86-avx2"]
    assert all(line.startswith("*") == (place < 2) for place, line in enumerate(lines[1:-2]))
    listed = {line.removeprefix("*").split()[0] for line in lines[1:-2]}
    assert listed == set(PRESETS)
    assert "0.2624" in lines[1]  # 2 cores x 4.1 GHz x 32, in TFLOP/s
    assert "32g" in lines[2]  # no clock is known, so per core and GHz


def test_a_machine_without_a_preset_has_the_list_all_the_same() -> None:
    assert "*" not in list_presets(replace(ALTRA, cpu_id="0x00/0/0")).splitlines()[1]
