"""Starts: what a start that took too long went through is walked on its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stages.logic.engine import walker
from stages.logic.engine.events import Clipped
from stages.logic.engine.protocol import Grads
from tests.stages.logic.recording import followed, of

if TYPE_CHECKING:
    import pytest


def test_what_only_a_start_without_an_end_went_through_is_walked_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walker, "_BUDGET", 45)
    notes = "\n".join(f"                note({number})" for number in range(30))
    seen = followed(f"""
        import torch

        class Trainer:
            def finish(self, model, optimizer, scaler):
                torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                scaler.step(optimizer)
                scaler.update()

            def train(self, model, optimizer, scaler, loss):
                scaler.scale(loss.mean()).backward()
{notes}
                self.finish(model, optimizer, scaler)

        def main(model, optimizer, loss):
            if model:
{notes}
            Trainer().train(model, optimizer, torch.amp.GradScaler("cuda"), loss)
    """)
    clipped = [event.state.protocol for event in of(seen, Clipped)]
    assert {Grads.SCALED} == {held.others.status for held in clipped if not held.optimizers()} | {
        held.grads(key).status for held in clipped for key in held.optimizers()
    }
