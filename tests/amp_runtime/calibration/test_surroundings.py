import os
import sys
import time

import pytest
import torch

from amp_runtime.calibration.surroundings import (
    LoadMeter,
    OtherLoad,
    condition_of,
    free_memory_bytes,
    last_level_cache_bytes,
    thread_settings,
)

CPU = torch.device("cpu")


def test_thread_settings_are_those_in_force(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    found = thread_settings()
    assert found.torch == torch.get_num_threads()
    assert found.interop == torch.get_num_interop_threads()
    assert found.environment["OMP_NUM_THREADS"] == "3"
    assert found.affinity == tuple(sorted(os.sched_getaffinity(0)))


def test_our_own_work_is_no_other_load():
    before = LoadMeter()
    end = time.perf_counter() + 0.3
    while time.perf_counter() < end:
        pass
    found = before.read()
    assert found.source.startswith("psutil")
    assert 0 <= found.processors <= found.of
    assert found.stolen >= 0


def test_without_psutil_the_load_average_says_what_it_can(monkeypatch):
    monkeypatch.setitem(sys.modules, "psutil", None)
    monkeypatch.setattr(os, "getloadavg", lambda: (1.5, 1.0, 0.5), raising=False)
    found = LoadMeter().read()
    assert (found.processors, found.stolen) == (1.5, None)
    assert found.source == "load average of the minute before; psutil would tell more"


def test_with_neither_the_load_is_unknown_and_not_called_busy(monkeypatch):
    monkeypatch.setitem(sys.modules, "psutil", None)
    monkeypatch.delattr(os, "getloadavg", raising=False)
    found = LoadMeter().read()
    assert found.processors is None
    assert not found.is_busy


@pytest.mark.parametrize(("processors", "busy"), [(0.05, False), (0.5, True)])
def test_a_twentieth_of_the_machine_in_other_hands_is_busy(processors, busy):
    assert OtherLoad(processors=processors, of=4, source="test").is_busy is busy


def cache(folder, cpu, index, level, shared, size):
    entry = folder / f"cpu{cpu}" / "cache" / f"index{index}"
    entry.mkdir(parents=True)
    for name, text in (("level", level), ("shared_cpu_list", shared), ("size", size)):
        (entry / name).write_text(f"{text}\n")


def test_last_level_caches_are_added_up_once_each(tmp_path):
    for cpu in range(4):
        cache(tmp_path, cpu, 0, 1, str(cpu), "32K")
        cache(tmp_path, cpu, 3, 3, "0-1" if cpu < 2 else "2-3", "16M")
    assert last_level_cache_bytes(CPU, tmp_path) == 32 * 2**20


def test_unknown_caches_count_as_large(tmp_path):
    assert last_level_cache_bytes(CPU, tmp_path) == 64 * 2**20
    cache(tmp_path, 0, 0, "x", "0", "32K")
    assert last_level_cache_bytes(CPU, tmp_path) == 64 * 2**20


def test_clock_and_temperature_are_read_where_they_stand(tmp_path):
    assert condition_of(CPU, tmp_path).clock_mhz is None
    for cpu, khz in ((0, 2_000_000), (1, 3_000_000)):
        entry = tmp_path / f"devices/system/cpu/cpu{cpu}/cpufreq"
        entry.mkdir(parents=True)
        (entry / "scaling_cur_freq").write_text(f"{khz}\n")
    zone = tmp_path / "class/thermal/thermal_zone0"
    zone.mkdir(parents=True)
    (zone / "temp").write_text("45000\n")
    found = condition_of(CPU, tmp_path)
    assert (found.clock_mhz, found.temperature_c) == (2500.0, 45.0)


def test_free_memory_is_positive():
    assert free_memory_bytes(CPU) > 0
