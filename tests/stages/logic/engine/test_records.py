"""Settings: a default in a class body is anybody's to replace; what a call in sight passes is known."""

from __future__ import annotations

import pytest

from stages.logic.engine.events import Stepped
from tests.stages.logic.recording import followed, of

_TRAINER = """
    import torch
    from dataclasses import dataclass
    from typing import NamedTuple, Optional
    {settings}

    class Trainer:
        def __init__(self, config, model):
            self.config = config
            self.optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
            if self.config.use_amp:
                self.scaler = torch.amp.GradScaler("cuda")

        def run(self, loss):
            if self.config.use_amp:
                self.scaler.scale(loss.mean()).backward()
                self.scaler.step(self.optimizer)
                self.scaler.update()
            else:
                loss.mean().backward()
                self.optimizer.step()

    def main(raw, model, loss):
        Trainer({made}, model).run(loss)
"""


def ways(settings: str, made: str) -> set[bool]:
    """Say on which ways the optimizer is stepped: through the scaler, and plainly."""
    seen = followed(_TRAINER.format(settings=settings.replace("\n", "\n    "), made=made))
    return {event.scaler is not None for event in of(seen, Stepped)}


_DATA_CLASS = "@dataclass\nclass Setup:\n    epochs: int = 3\n    use_amp: Optional[bool] = None"


@pytest.mark.parametrize(
    ("settings", "made"),
    [
        (_DATA_CLASS, "Setup(**raw)"),
        (_DATA_CLASS, "Setup()"),
        (_DATA_CLASS, "Setup(epochs=3)"),
        (_DATA_CLASS, "Setup(3, raw.amp)"),
        ("class Setup(NamedTuple):\n    use_amp: bool = False", "Setup()"),
        ("class TrainConfig:\n    use_amp = False", "TrainConfig()"),
    ],
)
def test_a_default_of_settings_leaves_both_ways_open(settings: str, made: str) -> None:
    assert ways(settings, made) == {True, False}


@pytest.mark.parametrize(
    ("settings", "made", "scaled"),
    [
        (_DATA_CLASS, "Setup(use_amp=True)", True),
        (_DATA_CLASS, "Setup(3, False)", False),
        ("class Base:\n    use_amp = False", "Base()", False),  # a constant of a class that holds no settings
    ],
)
def test_what_is_said_in_sight_is_known(settings: str, made: str, scaled: bool) -> None:
    assert ways(settings, made) == {scaled}
