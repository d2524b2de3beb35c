"""Hears the losses of torch.nn.functional being called: with what types, and whether autocast is on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from ..precision_events import LossCalled

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..patches import Patches
    from ..run import Run

_LOSSES = (
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "cross_entropy",
    "huber_loss",
    "kl_div",
    "l1_loss",
    "mse_loss",
    "nll_loss",
    "smooth_l1_loss",
)


def install(run: Run, patches: Patches) -> None:
    for name in _LOSSES:
        patches.wrap(torch.nn.functional, name, lambda original: _called(run, original))


def _called(run: Run, original: Callable[..., Any]) -> Callable[..., Any]:
    name = original.__name__

    def called(*args: Any, **kwargs: Any) -> Any:
        if torch.compiler.is_compiling() or run.idle:
            return original(*args, **kwargs)
        given = args[0] if args else kwargs.get("input")
        if isinstance(given, torch.Tensor):
            run.emit(
                LossCalled(
                    place=run.place(),
                    step=run.step,
                    name=name,
                    input=given,
                    target=args[1] if len(args) > 1 else kwargs.get("target"),
                    enabled=torch.is_autocast_enabled(given.device.type),
                    within=bool(run.local.regions),
                )
            )
        return original(*args, **kwargs)

    return called
