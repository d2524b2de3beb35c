"""Manual optimization done right: several optimizers in turn under one Trainer, as a GAN needs them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

import torch
from lightning.pytorch import LightningModule

from amp_runtime.lightning.module import MakeOptimizer, log_validation, refuse_half_weights
from amp_runtime.lightning.steps import unscales_by_itself

if TYPE_CHECKING:
    from lightning.pytorch.core.optimizer import LightningOptimizer
    from torch.optim import Optimizer

    from amp_runtime.objective import Objective

Batch = TypeVar("Batch")


@dataclass(frozen=True, slots=True, kw_only=True)
class Player(Generic[Batch]):
    """One optimizer of several, and what it minimises.

    Args:
        name: its loss is logged as `train/<name>/loss`.
        part: submodule of the model whose parameters it trains.
        objective: called with the whole model; gradients reach only `part`.
        make_optimizer: called with the parameters of `part` that require a gradient.
        clip_norm: largest L2 norm of this player's gradients, in true (unscaled) units; None: no clipping.

    Raises:
        ValueError: a threshold that is not positive.
    """

    name: str
    part: str
    objective: Objective[Batch]
    make_optimizer: MakeOptimizer
    clip_norm: float | None = None

    def __post_init__(self) -> None:
        if self.clip_norm is not None and not self.clip_norm > 0:
            raise ValueError(f"clip_norm of player {self.name!r} must be positive, not {self.clip_norm!r}")


class AlternatingModule(LightningModule, Generic[Batch]):
    """On each batch every player in turn computes its loss, goes backward and steps, before the next one begins.

    One at a time, because Lightning adapts the loss scale after every optimizer's step: a second loss that was scaled
    before would be unscaled by another factor. Clipping waits for `on_before_optimizer_step`, as the gradients that
    `self.clip_gradients` sees in `training_step` still carry the loss scale (pytorch-lightning#18089). Backward and
    step run outside the autocast context that Lightning puts around `training_step`.

    Raises:
        ValueError: no player, one name twice, a part that the model does not have, a parameter with two players, or
            half-precision weights.
    """

    def __init__(self, model: torch.nn.Module, players: Sequence[Player[Batch]]) -> None:
        super().__init__()
        self.automatic_optimization = False
        refuse_half_weights(model)
        _check(model, players)
        self.model = model
        self._players = tuple(players)

    def training_step(self, batch: Batch, batch_idx: int) -> None:
        for player, optimizer in zip(self._players, self._own_optimizers(), strict=True):
            with self.toggled_optimizer(optimizer):
                outcome = player.objective(self.model, batch)
                optimizer.zero_grad()
                with torch.autocast(self.device.type, enabled=False):
                    self.manual_backward(outcome.loss)
                    optimizer.step()
            self.log(f"train/{player.name}/loss", outcome.loss.detach(), batch_size=outcome.examples)

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        """Clip the player's gradients, which the Trainer's precision has unscaled by now."""
        mine = [own.optimizer is optimizer for own in self._own_optimizers()]
        clip_norm = self._players[mine.index(True)].clip_norm
        if clip_norm is not None:
            torch.nn.utils.clip_grad_norm_([p for group in optimizer.param_groups for p in group["params"]], clip_norm)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        for player in self._players:
            log_validation(self, player.objective(self.model, batch), f"validation/{player.name}")

    def configure_optimizers(self) -> list[Optimizer]:
        """Return one optimizer per player.

        Raises:
            ValueError: clipping with an optimizer that unscales gradients in its own kernel, after any clipping.
        """
        made = [player.make_optimizer(_trained(self.model, player.part)) for player in self._players]
        scaled = getattr(self.trainer.precision_plugin, "scaler", None) is not None
        for player, optimizer in zip(self._players, made, strict=True):
            if scaled and player.clip_norm is not None and unscales_by_itself(optimizer):
                raise ValueError(
                    f"player {player.name!r} clips, but its fused optimizer unscales gradients only in its own kernel; "
                    "make it with fused=False, or drop clip_norm"
                )
        return made

    def _own_optimizers(self) -> list[LightningOptimizer]:
        found = self.optimizers()
        return found if isinstance(found, list) else [found]


def _check(model: torch.nn.Module, players: Iterable[Player[Batch]]) -> None:
    parts = dict(model.named_modules())
    owner: dict[torch.nn.Parameter, str] = {}
    names: set[str] = set()
    for player in players:
        if player.name in names:
            raise ValueError(f"two players are called {player.name!r}; give each a name of its own")
        names.add(player.name)
        if player.part not in parts:
            raise ValueError(f"player {player.name!r} trains {player.part!r}, which the model does not have")
        for parameter in _trained(model, player.part):
            if parameter in owner:
                raise ValueError(f"players {owner[parameter]!r} and {player.name!r} train the same parameter")
            owner[parameter] = player.name
    if not owner:
        raise ValueError("there is nothing to train: no player, or no parameter that requires a gradient")


def _trained(model: torch.nn.Module, part: str) -> list[torch.nn.Parameter]:
    return [parameter for parameter in model.get_submodule(part).parameters() if parameter.requires_grad]
