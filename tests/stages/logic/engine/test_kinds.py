"""Methods of subclasses: an object whose type is declared is of one class for the whole of a path."""

from __future__ import annotations

from stages.logic.engine.events import Backward, Clipped, Stepped
from stages.logic.engine.protocol import Grads
from tests.stages.logic.recording import followed, of

POLICIES = """
import torch

class Plain:
    def scale(self, loss):
        return loss

    def unscale(self, optimizer):
        pass

    def step(self, optimizer):
        optimizer.step()

class Scaled(Plain):
    def __init__(self):
        self.scaler = torch.amp.GradScaler("cuda")

    def scale(self, loss):
        return self.scaler.scale(loss)

    def unscale(self, optimizer):
        self.scaler.unscale_(optimizer)

    def step(self, optimizer):
        self.scaler.step(optimizer)
        self.scaler.update()
"""
STEP = """
import torch
from policies import Plain

class Step:
    def __init__(self, policy: Plain, model):
        self.policy = policy
        self.optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def run(self, model, loss):
        self.optimizer.zero_grad()
        self.policy.scale(loss.mean()).backward()
        {unscale}
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        self.policy.step(self.optimizer)
"""


def clipped(seen: list) -> set[Grads]:
    return {event.state.protocol.grads(key).status for event in of(seen, Clipped) for key in event.state.known}


def test_an_object_stays_of_its_class_from_one_call_to_the_next() -> None:
    seen = followed(STEP.format(unscale="self.policy.unscale(self.optimizer)"), policies=POLICIES)
    assert {event.carries is None for event in of(seen, Backward)} == {True, False}
    assert clipped(seen) == {Grads.PLAIN, Grads.UNSCALED}
    stepped = {
        (event.scaler is None, event.state.protocol.grads(event.optimizer.key).status) for event in of(seen, Stepped)
    }
    assert stepped == {(True, Grads.PLAIN), (False, Grads.UNSCALED)}


def test_what_one_class_leaves_out_is_seen_on_its_path() -> None:
    assert clipped(followed(STEP.format(unscale="pass"), policies=POLICIES)) == {Grads.PLAIN, Grads.SCALED}


def test_a_framework_in_its_own_repository_is_as_right_as_an_installed_one() -> None:
    framework = """
        import torch

        class Accelerator:
            def __init__(self):
                self.scaler = torch.amp.GradScaler("cuda")

            def backward(self, loss):
                self.scaler.scale(loss).backward()
    """
    user = """
        from accelerate.accelerator import Accelerator

        def train(accelerator: Accelerator, optimizer, loss):
            accelerator.backward(loss.mean())
            optimizer.step()
    """
    seen = followed(user, **{"accelerate/accelerator": framework})
    statuses = {event.state.protocol.grads(event.optimizer.key).status for event in of(seen, Stepped)}
    assert statuses
    assert Grads.SCALED not in statuses
