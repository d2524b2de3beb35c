"""What a path knows about casts of the parameters that an optimizer steps."""

from __future__ import annotations

from stages.logic.engine.events import Stepped
from stages.logic.engine.precision import casts_of
from tests.stages.logic.recording import followed, of

_CODE = """
    import copy
    import torch

    def train(net, loader, flag):
        {before}
        optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
        for x in loader:
            net(x).mean().backward()
            optimizer.step()
            {after}
"""


def casts(before: str = "pass", after: str = "pass") -> set[tuple[str, bool, bool]]:
    """Return, for each step, the dtype of the parameters, whether it came late, and whether they were rounded."""
    seen = followed(_CODE.replace("{before}", before).replace("{after}", after))
    return {
        (cast.dtype, cast.late, cast.rounded is not None)
        for event in of(seen, Stepped)
        for cast in casts_of(event.state, event.optimizer)
    }


def test_cast_before_the_optimizer_holds_for_every_step() -> None:
    assert casts("net.half()") == {("float16", False, False)}
    assert casts("net = net.to('cuda', dtype=torch.bfloat16)") == {("bfloat16", False, False)}
    assert casts("net.half().float()") == {("float32", False, False)}


def test_cast_between_steps_is_late_and_rounds_when_it_is_taken_back() -> None:
    assert casts(after="net.half()") == {("float16", True, False)}
    assert casts(after="net.half(); net.float()") == {("float32", True, True)}


def test_cast_on_one_of_two_paths_is_not_known() -> None:
    assert casts("net = net.half() if flag else net") == set()


def test_cast_of_a_copy_is_none_of_the_model() -> None:
    assert casts(after="copy.deepcopy(net).half()") == set()
