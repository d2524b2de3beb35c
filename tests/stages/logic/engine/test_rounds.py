"""What a path knows about the loops that a scheduler's step shares with the optimizer's."""

from __future__ import annotations

from stages.logic.engine.events import ScheduleStepped
from tests.stages.logic.recording import followed, of

_TRAIN = """
    import torch

    def train(model, loader, optimizer, schedulers):
        scaler = torch.amp.GradScaler("cuda")
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1.0)
        for epoch in range(10):
            for batch in loader:
                for part in batch:
                    scaler.scale(model(part)).backward()
                step(scaler, [optimizer])
                {inner}
            {outer}

    def step(scaler, optimizers):
        for optimizer in optimizers:
            scaler.step(optimizer)
        scaler.update()
"""


def shared(inner: str, outer: str) -> set[tuple[int, int]]:
    """Return how many loops are open around the round and around the scheduler's step."""
    seen = followed(_TRAIN.replace("{inner}", inner).replace("{outer}", outer))
    return {
        (len(event.state.round.loops), len(event.loops)) for event in of(seen, ScheduleStepped) if event.state.round
    }


def test_the_round_is_the_loop_around_both_the_backward_and_the_step() -> None:
    assert shared("scheduler.step()", "pass") == {(2, 2)}


def test_a_scheduler_outside_of_that_loop_has_fewer_loops_around_it() -> None:
    assert shared("pass", "scheduler.step()") == {(2, 1)}
