"""What the trainer expects of a model."""

from __future__ import annotations

from typing import Protocol

import torch


class ActorCritic(Protocol):
    """A model that gives the logits of a policy and a value."""

    def __call__(self, observation: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]: ...
