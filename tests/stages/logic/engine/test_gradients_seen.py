"""Which reads and writes of gradients the rules hear of."""

from __future__ import annotations

from stages.logic.engine.events import Clipped, GradsEdited, GradsRead
from stages.logic.engine.protocol import Grads
from tests.stages.logic.recording import followed, lines, of

_STEP = """
    import torch

    def train(model, optimizer, scaler, loss):
        scaler.scale(loss).backward()
        for p in model.parameters():
            {line}
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        scaler.step(optimizer)
"""


def test_norms_of_gradients_are_reads_and_those_of_weights_are_not() -> None:
    assert lines(followed(_STEP.replace("{line}", "total = torch.linalg.vector_norm(p.grad)")), GradsRead) == [7]
    assert lines(followed(_STEP.replace("{line}", "total = torch.norm(p)")), GradsRead) == []


def test_items_and_assignments_are_writes_and_clearing_is_not() -> None:
    assert lines(followed(_STEP.replace("{line}", "p.grad[torch.isnan(p.grad)] = 0")), GradsEdited) == [7]
    assert lines(followed(_STEP.replace("{line}", "p.grad = torch.where(p.isfinite(), p.grad, p)")), GradsEdited) == [7]
    assert lines(followed(_STEP.replace("{line}", "p.grad = None")), GradsEdited) == []


def test_gradients_stay_scaled_when_something_is_added() -> None:
    seen = followed(_STEP.replace("{line}", "p.grad += torch.randn_like(p)"))
    (clipped,) = {event.state.protocol.others.status for event in of(seen, Clipped)}
    assert clipped is Grads.SCALED


def test_a_helper_that_only_reads_gradients_is_followed() -> None:
    seen = followed("""
        import torch

        def train(model, optimizer, scaler, loss):
            scaler.scale(loss).backward()
            show(model)
            scaler.step(optimizer)

        def show(model):
            for p in model.parameters():
                print(p.grad.norm())
    """)
    assert lines(seen, GradsRead) == [11]
