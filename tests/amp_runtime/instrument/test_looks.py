"""Some steps are looked into operator by operator: the second, every so-manieth, and those after trouble."""

from __future__ import annotations

import pytest
import torch

from amp_runtime.instrument.looks import Looks
from amp_runtime.instrument.sanitizer import Sanitizer
from tests.amp_runtime.instrument.watching import Program, program


def steps(made: Program, count: int, *, evaluate: bool = False) -> None:
    for _ in range(count):
        if evaluate:
            made.model.eval()
            with torch.no_grad(), torch.autocast("cpu", dtype=torch.float16):
                for _batch in range(5):
                    made.model(made.inputs)
            made.model.train()
        made.optimizer.zero_grad()
        made.scaler.scale(made.loss()).backward()
        made.scaler.step(made.optimizer)
        made.scaler.update()


def looked(looks: Looks, made: Program, count: int, *, evaluate: bool = False) -> Sanitizer:
    with Sanitizer(looks=looks) as watching:
        steps(made, count, evaluate=evaluate)
    return watching


def test_the_second_step_and_every_fourth() -> None:
    watching = looked(Looks(first=1, every=4), program(), 9)
    assert [step for step, _record in watching.looked_into] == [2, 4, 8]
    assert [seen.step for seen in watching.report().timeline if seen.deep] == [2, 4, 8]
    assert watching.report().watched.deep_steps == 3
    assert (watching.report().alarms, watching.report().problems) == ((), ())


def test_what_was_seen_is_of_one_step() -> None:
    ((_step, record),) = looked(Looks(first=1, every=0), program(), 4).looked_into
    assert {seen.name for seen in record.gradients} == {"0.weight", "0.bias", "2.weight", "2.bias"}
    assert record.work is not None
    assert set(record.work.flops) == {"float16"}
    assert record.scale == 1024.0


def test_evaluation_before_the_step_is_not_looked_into() -> None:
    ((_one, plain),) = looked(Looks(first=1, every=0), program(), 3).looked_into
    ((_two, other),) = looked(Looks(first=1, every=0), program(), 3, evaluate=True).looked_into
    assert plain.work == other.work


def test_no_number_changes() -> None:
    plain, watched = program(adam=True), program(adam=True)
    steps(plain, 5)
    looked(Looks(first=4, every=2), watched, 5)
    for one, other in zip(plain.model.parameters(), watched.model.parameters(), strict=True):
        assert torch.equal(one, other)


def test_the_steps_after_a_skip_are_looked_into_a_few_times() -> None:
    watching = looked(Looks(first=0, every=0, after_trouble=2), program(init_scale=2.0**40), 6)
    assert [step for step, _record in watching.looked_into] == [2, 3]
    births = watching.looked_into[0][1].births
    assert births
    assert (births[0].site.phase, births[0].site.node) == ("backward", "ToCopyBackward0")


def test_a_program_that_breaks_in_a_look_leaves_nothing_on() -> None:
    made = program()

    def breaks() -> None:
        with Sanitizer(looks=Looks(first=1)):
            steps(made, 1)
            made.optimizer.zero_grad()
            made.loss()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        breaks()
    assert torch._C._len_torch_dispatch_stack() == 0
    with Sanitizer(looks=Looks(first=1)) as watching:
        steps(made, 3)
    assert [step for step, _record in watching.looked_into] == [2]


@pytest.mark.parametrize("wrong", [{"first": -1}, {"every": True}, {"after_trouble": 1.5}])
def test_a_plan_without_sense_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="whole number"):
        Looks(**wrong)
