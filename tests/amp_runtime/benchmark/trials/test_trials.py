import lzma
import random
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from amp_runtime.benchmark.trials import rivals
from amp_runtime.benchmark.trials.model import Trial, line_of, read, trial_of
from amp_runtime.benchmark.trials.neighbours import neighbours
from amp_runtime.benchmark.trials.programs import parts_for, training_step
from amp_runtime.benchmark.trials.running import run_one
from amp_runtime.benchmark.trials.table import table


def trial(slowdown=0.0, outcome="pass", factor=1.0, pairs=40, seed=0):
    draw = random.Random(seed)
    first = tuple(round(20_000 * draw.lognormvariate(0, 0.01)) for _ in range(pairs))
    second = tuple(round(20_000 * factor * draw.lognormvariate(0, 0.01)) for _ in range(pairs))
    none = (0,) * pairs
    return Trial(
        slowdown=slowdown,
        seed=seed,
        outcome=outcome,
        ratio=factor,
        low=0.9 * factor,
        high=1.1 * factor,
        elapsed_s=2.5,
        others=0.5,
        first_us=first,
        second_us=second,
        first_waited_us=none,
        second_waited_us=none,
        second_led=tuple(draw.random() < 0.5 for _ in range(pairs)),
    )


@given(st.integers(0, 10**6), st.integers(0, 30))
def test_a_trial_survives_its_line(seed, pairs):
    made = trial(seed=seed, pairs=pairs)
    assert trial_of(line_of(made)) == made


def test_plain_and_compressed_files_are_read_together(tmp_path):
    plain, small = tmp_path / "a.jsonl", tmp_path / "b.jsonl.xz"
    plain.write_text(line_of(trial(seed=1)) + "\n")
    small.write_bytes(lzma.compress((line_of(trial(seed=2)) + "\n").encode()))
    assert [one.seed for one in read([plain, small])] == [1, 2]


def test_a_line_that_is_no_trial_is_named(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text(line_of(trial()) + '\n{"seed": 1}\n')
    with pytest.raises(ValueError, match=r"a\.jsonl:2 is no trial"):
        read([path])


def test_the_rivals_see_a_clear_slowdown_and_nothing_where_there_is_nothing():
    clear, nothing = trial(factor=1.3), trial(factor=0.9)
    for says in rivals.RIVALS.values():
        assert rivals.in_turn(says, clear)
        assert rivals.one_after_the_other(says, clear)
        assert not rivals.in_turn(says, nothing)


def test_the_table_counts_each_kind_of_trial_by_itself():
    found = table([trial(), trial(outcome="inconclusive", seed=1), trial(slowdown=0.1, outcome="fail", factor=1.1)])
    ours = next(line for line in found.splitlines() if "this library" in line)
    assert ours.endswith("| 0 of 2 | 1 of 1 |")
    assert "identical: 2 trials, 1 pass, 0 fail, 1 inconclusive" in found


def test_a_real_trial_keeps_its_series():
    threads = torch.get_num_threads()
    try:
        found = run_one(slowdown=9.0, seed=3, parts=1, budget_s=8)
    finally:
        torch.set_num_threads(threads)
    assert found.outcome == "fail"
    assert found.ratio is not None
    assert found.ratio > 3
    assert len(found.first_us) == len(found.second_us) == len(found.second_led) == len(found.blocks)
    assert trial_of(line_of(found)) == found


def test_the_step_trains_and_its_length_follows_what_is_asked():
    assert parts_for(0.02, tries=3) % 10 == 0
    step = training_step(2)
    step()


def test_neighbours_work_until_the_block_ends():
    with neighbours(1):
        pass


def test_kept_series_are_judged_again_without_running_anything(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text(line_of(trial(outcome="fail")) + "\n")
    command = [sys.executable, "-m", "amp_runtime.benchmark.trials", "--read", str(path)]
    root = Path(__file__).parents[4]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=root)
    assert "| 1 of 1 | - |" in done.stdout
