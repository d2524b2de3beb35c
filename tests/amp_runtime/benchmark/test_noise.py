import multiprocessing
import os
import random
import time

import pytest

from amp_runtime.benchmark import noise
from amp_runtime.benchmark.noise import Load, load_now, noise_of
from amp_runtime.benchmark.pairing import Block


def blocks(times):
    return [Block(first_s=value, second_s=value, second_led=False) for value in times]


def load(clock_s=0.0, taken_s=0.0, own_s=0.0, throttled=0):
    return Load(clock_s=clock_s, taken_s=taken_s, own_s=own_s, throttled=throttled)


CALM = (load(), load(clock_s=1.0))


def test_a_calm_series_warns_of_nothing():
    draw = random.Random(0)
    found = noise_of(blocks([draw.gauss(1, 0.02) for _ in range(90)]), *CALM)
    assert found.warnings == ()
    assert found.spread == pytest.approx(0.027, abs=0.01)
    assert abs(found.autocorrelation) < 0.25
    assert found.others == 0


def test_steps_that_become_slower_are_said_to_drift():
    found = noise_of(blocks([1 + n / 100 for n in range(60)]), *CALM)
    assert found.drift == pytest.approx(0.36, abs=0.05)
    assert found.autocorrelation > 0.8
    assert any("slower on the way" in line for line in found.warnings)


def test_times_that_scatter_are_said_to():
    found = noise_of(blocks([1, 2] * 30), *CALM)
    assert found.autocorrelation < -0.8
    assert any("middle half" in line for line in found.warnings)


def test_the_work_of_others_is_what_is_neither_ours_nor_idle():
    after = load(clock_s=10.0, taken_s=0.8 * 10 * (os.cpu_count() or 1), own_s=0.3 * 10 * (os.cpu_count() or 1))
    found = noise_of(blocks([1.0] * 20), load(), after)
    assert found.others == pytest.approx(0.5)
    assert any("50%" in line for line in found.warnings)


def test_a_control_group_that_was_stopped_is_said():
    found = noise_of(blocks([1.0] * 20), load(throttled=3), load(clock_s=1.0, throttled=9))
    assert found.throttled == 6
    assert any("stopped 6 times" in line for line in found.warnings)


def test_what_the_system_does_not_count_is_unknown_and_not_nothing(monkeypatch, tmp_path):
    monkeypatch.setattr(noise, "_STAT", tmp_path / "none")
    monkeypatch.setattr(noise, "_THROTTLES", (tmp_path / "none", tmp_path))
    now = load_now()
    assert (now.taken_s, now.throttled) == (None, None)
    found = noise_of(blocks([1.0] * 20), now, load_now())
    assert (found.others, found.throttled) == (None, None)


def test_the_counters_of_both_kinds_of_control_groups_are_read(monkeypatch, tmp_path):
    path = tmp_path / "cpu.stat"
    path.write_text("nr_periods 10\nnr_throttled 4\nthrottled_time 99\n")
    monkeypatch.setattr(noise, "_THROTTLES", (tmp_path / "none", path))
    assert load_now().throttled == 4


@pytest.mark.parametrize("few", [[], [1.0], [1.0, 2.0, 3.0]])
def test_too_few_times_say_nothing(few):
    found = noise_of(blocks(few), *CALM)
    assert (found.spread, found.drift, found.autocorrelation, found.warnings) == (0, 0, 0, ())


def _burn(seconds: float) -> None:
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass


def test_a_real_neighbour_is_seen():
    before = load_now()
    neighbours = [multiprocessing.get_context("spawn").Process(target=_burn, args=(0.9,)) for _ in range(2)]
    for neighbour in neighbours:
        neighbour.start()
    time.sleep(0.9)
    after = load_now()
    for neighbour in neighbours:
        neighbour.join()
    seen = noise_of([], before, after).others
    assert seen is not None
    assert seen > 0.05
