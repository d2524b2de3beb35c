import builtins
import gc
import io
import os
import subprocess
import sys
import time

import pytest

from amp_runtime.benchmark import pairing
from amp_runtime.benchmark.pairing import Block, Pairing, time_in_pairs


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


def test_the_scheduler_is_asked_how_long_the_thread_waited_for_a_processor():
    free = os.sched_getaffinity(0)
    burn = f"import os; os.sched_setaffinity(0, {{{min(free)}}})\nwhile True: pass"
    neighbours = [subprocess.Popen([sys.executable, "-S", "-c", burn]) for _ in range(3)]
    try:
        os.sched_setaffinity(0, {min(free)})
        time.sleep(0.3)
        seconds, waited = pairing.stretch(lambda: sum(range(3_000_000)), 3, lambda: None)
    finally:
        os.sched_setaffinity(0, free)
        for neighbour in neighbours:
            neighbour.kill()
            neighbour.wait()
    assert 0.1 * seconds < waited < seconds


def test_sleep_is_no_wait_for_a_processor():
    seconds, waited = pairing.stretch(lambda: time.sleep(0.05), 4, lambda: None)
    assert seconds >= 0.05
    assert waited < seconds / 2


def test_where_the_scheduler_says_nothing_nothing_is_left_out(monkeypatch):
    monkeypatch.setattr(builtins, "open", lambda *_args, **_more: io.BytesIO(b"0\n"))
    assert pairing.waited_s() == 0.0


def test_a_block_knows_its_time_with_and_without_the_waits():
    block = Block(first_s=0.5, second_s=0.4, second_led=True, first_waited_s=0.2, second_waited_s=0.41)
    assert block.first_own_s == pytest.approx(0.3)
    assert block.second_own_s == pytest.approx(0.004)  # the clocks disagree by more than the time; never none
