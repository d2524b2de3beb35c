import itertools

import pytest
import torch

from amp_runtime.calibration.timing import Effort, Subject, clock_resolution_s, time_interleaved, timer_for


class Machine:
    """A clock of its own: each call costs what it says, and everything that was called is kept."""

    def __init__(self):
        self.log = []
        self.slowdown = 1.0

    def subject(self, name, seconds, **options):
        def call():
            self.log.append(name)
            self.last = seconds

        return Subject(name=name, call=call, **options)

    def __call__(self, call, calls):
        for _ in range(calls):
            call()
        return self.last * calls * self.slowdown


def test_each_sample_is_long_enough_for_the_clock():
    machine = Machine()
    timings = time_interleaved([machine.subject("a", 2**-13)], Effort(budget_s=1, sample_s=2**-7), machine)
    assert timings.timed["a"].calls_per_sample == 64
    assert timings.timed["a"].samples_s == pytest.approx([2**-13] * 31)


def test_every_round_has_every_subject_once_in_changing_order():
    machine = Machine()
    subjects = [machine.subject(name, 0.06) for name in "abc"]
    timings = time_interleaved(subjects, Effort(budget_s=2, least_rounds=7, most_rounds=9, warm_up_s=0.01), machine)
    sampled = machine.log[-27:]
    rounds = ["".join(sampled[begin : begin + 3]) for begin in range(0, 27, 3)]
    assert {"".join(sorted(one)) for one in rounds} == {"abc"}
    assert len(set(rounds)) > 1
    assert {len(found.samples_s) for found in timings.timed.values()} == {9}


def test_a_call_that_is_too_slow_is_left_out_with_its_reason_and_the_needed_one_never():
    machine = Machine()
    subjects = [
        machine.subject("slow", 3.0),
        machine.subject("needed", 0.4, needed=True),
        machine.subject("fast", 0.01),
    ]
    timings = time_interleaved(subjects, Effort(budget_s=1.0), machine)
    assert set(timings.timed) == {"needed"}
    assert "one call takes about 3 s" in timings.left_out["slow"]
    assert "7 samples do not fit into its share of 1 s" in timings.left_out["fast"]
    assert machine.log.count("slow") == 1


def test_of_several_that_do_not_all_fit_the_slowest_is_left_out():
    machine = Machine()
    subjects = [machine.subject(name, seconds) for name, seconds in (("c", 0.09), ("a", 0.06), ("b", 0.07))]
    timings = time_interleaved(subjects, Effort(budget_s=1.0), machine)
    assert set(timings.timed) == {"a", "b"}
    assert set(timings.left_out) == {"c"}


def test_warming_up_ends_when_the_time_has_settled():
    cold = itertools.chain([5.0, 3.0, 2.0], itertools.repeat(1.0))
    machine = Machine()
    factors = []

    def timer(call, calls):
        factors.append(next(cold))
        return machine(call, calls) * factors[-1]

    effort = Effort(budget_s=1, sample_s=0.005, warm_up_s=0.02)
    timings = time_interleaved([machine.subject("a", 0.004)], effort, timer)
    assert timings.timed["a"].samples_s == pytest.approx([0.004] * len(timings.timed["a"].samples_s))


def test_the_setting_holds_during_calls_and_not_beyond():
    import contextlib

    machine, inside = Machine(), []

    @contextlib.contextmanager
    def setting():
        inside.append("in")
        yield
        inside.append("out")

    seen = []
    subject = Subject(name="a", call=lambda: seen.append(inside[-1]), setting=setting)
    machine.last = 0.01
    time_interleaved([subject], Effort(budget_s=0.2), machine)
    assert set(seen) == {"in"}
    assert inside[-1] == "out"


def test_nothing_to_time_is_no_error():
    timings = time_interleaved([], Effort(budget_s=1), Machine())
    assert (timings.timed, timings.left_out) == ({}, {})


def test_the_real_clock_ticks_and_times_all_calls():
    assert 0 < clock_resolution_s() < 1e-3
    calls = []
    assert timer_for(torch.device("cpu"))(lambda: calls.append(1), 5) > 0
    assert len(calls) == 5


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_events_time_what_the_device_does():
    numbers = torch.randn(2048, 2048, device="cuda")
    timer = timer_for(torch.device("cuda"))
    timer(lambda: numbers @ numbers, 10)
    once, often = timer(lambda: numbers @ numbers, 10), timer(lambda: numbers @ numbers, 100)
    assert 5 < often / once < 20
