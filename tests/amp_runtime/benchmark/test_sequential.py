import math
import random
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from amp_runtime.benchmark import pairing, sequential
from amp_runtime.benchmark.deciding import AtMost, NotSlower, Outcome
from amp_runtime.benchmark.sequential import Plan, compare_until, ratio_of


@dataclass
class Machine:
    """A clock that programs move on: skewed, autocorrelated times with preemptions, as on a shared machine."""

    seed: int
    now: float = 0.0
    waited: float = 0.0  # for a processor, as the scheduler would count it
    slow: float = 0.0  # logarithm of how slow the machine is just now, an AR(1) process
    draw: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self.draw = random.Random(self.seed)

    def perf_counter(self) -> float:
        return self.now

    def program(self, seconds: float) -> Callable[[], None]:
        def run() -> None:
            self.slow = 0.95 * self.slow + self.draw.gauss(0, 0.1)
            preempted = 1 + self.draw.expovariate(1) if self.draw.random() < 0.1 else 1.0
            self.now += seconds * preempted * math.exp(self.slow + abs(self.draw.gauss(0, 0.05)))

        return run


@pytest.fixture
def simulated(monkeypatch):
    def make(seed: int) -> Machine:
        machine = Machine(seed)
        monkeypatch.setattr(pairing.time, "perf_counter", machine.perf_counter)
        monkeypatch.setattr(pairing, "waited_s", lambda: machine.waited)
        return machine

    assert pairing.time is sequential.time is time
    return make


def trial(machine: Machine, ratio: float, seed: int) -> sequential.Comparison:
    return compare_until(
        machine.program(0.02), machine.program(0.02 * ratio), NotSlower(least=0.05), Plan(seed=seed, budget_s=15)
    )


def test_identical_programs_on_a_shared_machine_are_next_to_never_called_slower(simulated):
    found = [trial(simulated(seed), 1.0, seed).outcome for seed in range(120)]
    assert found.count(Outcome.FAIL) <= 1
    assert found.count(Outcome.PASS) > 60


def test_a_tenth_more_time_is_caught_within_its_budget(simulated):
    found = [trial(simulated(seed), 1.1, seed) for seed in range(100)]
    assert sum(one.outcome is Outcome.FAIL for one in found) >= 95
    assert max(one.elapsed_s for one in found) < 16


def test_every_interval_that_is_looked_at_holds_the_true_ratio_as_often_as_promised(simulated):
    missed = 0
    for seed in range(150):
        seen = []
        machine = simulated(seed)

        def watch(estimate, seen=seen):
            seen.append(estimate.low <= 1.3 <= estimate.high)
            return Outcome.INCONCLUSIVE

        plan = Plan(seed=seed, budget_s=6, error=0.1)
        found = compare_until(machine.program(0.02), machine.program(0.026), watch, plan)
        assert len(found.looks) == len(seen) > 2
        missed += not all(seen)
    assert missed / 150 <= 0.1


def test_a_difference_that_does_not_matter_is_no_regression_however_many_samples_show_it(simulated):
    machine = simulated(3)
    found = compare_until(machine.program(0.001), machine.program(0.00102), NotSlower(least=0.05), Plan(budget_s=60))
    assert found.outcome is Outcome.PASS


def test_sampling_ends_with_the_answer(simulated):
    machine = simulated(1)
    found = compare_until(machine.program(0.02), machine.program(0.06), AtMost(limit=2.0), Plan(budget_s=600))
    assert (found.outcome, found.looks[-1], len(found.blocks)) == (Outcome.FAIL, len(found.blocks), found.looks[-1])
    assert found.elapsed_s < 60
    assert f"after {len(found.blocks)} pairs" in found.reason


def test_a_budget_too_small_for_an_interval_decides_nothing(simulated):
    machine = simulated(1)
    found = compare_until(machine.program(1.0), machine.program(3.0), AtMost(limit=2.0), Plan(budget_s=12))
    assert (found.outcome, found.ratio, found.looks) == (Outcome.INCONCLUSIVE, None, ())
    assert "only" in found.reason
    assert "16" in found.reason


def test_most_pairs_end_the_sampling(simulated):
    machine = simulated(1)
    found = compare_until(
        machine.program(0.02), machine.program(0.02), AtMost(limit=1.0), Plan(budget_s=1e6, most_pairs=40, error=1e-9)
    )
    assert (len(found.blocks), found.outcome) == (40, Outcome.INCONCLUSIVE)
    assert found.looks[-1] == 40


def test_short_calls_are_timed_several_at_once(simulated):
    machine = simulated(1)
    found = compare_until(machine.program(0.0005), machine.program(0.0005), NotSlower(), Plan(budget_s=10))
    assert 10 <= found.calls <= 40
    assert statistics.median(found.first_s) == pytest.approx(0.0005, rel=0.6)


@pytest.mark.parametrize(("on_host", "least"), [(True, 1.0), (False, 2.0)])
def test_the_wait_for_a_processor_is_left_out_where_the_host_does_the_work(simulated, on_host, least):
    machine = simulated(1)
    quick = machine.program(0.02)

    def held_up() -> None:
        quick()
        machine.now += 0.05
        machine.waited += 0.05

    found = compare_until(quick, held_up, NotSlower(), Plan(budget_s=30), on_host=on_host)
    assert found.ratio is not None
    assert found.ratio.value == pytest.approx(1.0, abs=0.3) if on_host else found.ratio.value > least
    assert min(found.second_s) > 0.05  # the raw series says what the clock said


def test_real_training_steps_are_compared_in_real_time():
    model = torch.nn.Linear(64, 64)
    data = torch.randn(32, 64)

    def step(turns: int) -> None:
        for _ in range(turns):
            model(data).square().mean().backward()

    found = compare_until(lambda: step(5), lambda: step(30), AtMost(limit=1.5), Plan(budget_s=20, least_pairs=12))
    assert found.outcome is Outcome.FAIL
    assert found.ratio is not None
    assert found.ratio.low > 1.5
    assert found.first_s[0] == found.blocks[0].first_s
    assert found.second_s[-1] == found.blocks[-1].second_s


@given(st.lists(st.floats(0, 1), max_size=30), st.floats(0.001, 0.4))
def test_looks_never_spend_more_than_the_error(shares, error):
    plan = Plan(error=error)
    spent = [plan.spent(share) for share in (*sorted(shares), 1.0)]
    assert spent == sorted(spent)
    assert spent[-1] == error
    assert all(one <= error / 2 for share, one in zip(sorted(shares), spent, strict=False) if share < 1)


@pytest.mark.parametrize(
    "wrong",
    [
        {"budget_s": 0},
        {"budget_s": math.nan},
        {"error": 0},
        {"error": 0.5},
        {"least_pairs": 11},
        {"most_pairs": 15},
        {"warm_up": 0},
    ],
)
def test_a_plan_that_decides_nothing_is_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Plan(**wrong)


def test_the_ratio_is_that_of_the_second_program():
    blocks = [pairing.Block(first_s=1.0, second_s=2.0, second_led=bool(n % 2)) for n in range(20)]
    assert ratio_of(blocks, 0.95).value == pytest.approx(2.0)
