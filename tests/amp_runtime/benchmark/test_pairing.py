import gc
import time

import pytest

from amp_runtime.benchmark.pairing import Pairing, time_in_pairs


def calls(pairing):
    log = []
    blocks = time_in_pairs(lambda: log.append("a"), lambda: log.append("b"), pairing, lambda: log.append("|"))
    return log, blocks


def test_both_orders_come_equally_often_in_an_order_that_the_seed_decides():
    orders = {Pairing(blocks=12, seed=seed).orders() for seed in range(5)}
    assert len(orders) == 5
    assert all(sum(order) == 6 for order in orders)
    assert Pairing(seed=3).orders() == Pairing(seed=3).orders()


def test_both_warm_up_before_the_clock_runs_and_lead_in_outside_of_it():
    log, blocks = calls(Pairing(blocks=2, steps=2, lead_in=1, warm_up=2))
    assert log[:4] == ["a", "b", "a", "b"]
    stretches = ["".join(log[n : n + 5]) for n in range(4, len(log), 5)]
    expected = [["b|bb|", "a|aa|"] if block.second_led else ["a|aa|", "b|bb|"] for block in blocks]
    assert stretches == [one for pair in expected for one in pair]


def test_the_times_are_those_of_one_call():
    blocks = time_in_pairs(
        lambda: time.sleep(0.002), lambda: time.sleep(0.006), Pairing(blocks=2, steps=2, warm_up=1, lead_in=0)
    )
    assert all(0.002 <= block.first_s < block.second_s for block in blocks)


def test_collection_of_garbage_rests_while_the_clock_runs_and_goes_on_after_a_failure():
    states = []

    def fail():
        states.append(gc.isenabled())
        if len(states) == 2:
            raise RuntimeError("broken")

    assert gc.isenabled()
    with pytest.raises(RuntimeError, match="broken"):
        time_in_pairs(fail, lambda: None, Pairing(blocks=2, steps=1, lead_in=0, warm_up=1))
    assert states == [True, False]
    assert gc.isenabled()


@pytest.mark.parametrize("wrong", [{"blocks": 1}, {"steps": 0}, {"lead_in": -1}, {"warm_up": 0}, {"blocks": 2.5}])
def test_figures_that_measure_nothing_are_refused(wrong):
    with pytest.raises(ValueError, match=f"{next(iter(wrong))} must be a whole number"):
        Pairing(**wrong)
