"""Hears every optimizer's step, whoever calls it, and gradients being zeroed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

from .. import staleness
from ..events import GradsZeroed, OptimizerStepped, OptimizerStepping
from ..gradients import CLEAN, NO_GRADIENT, Part
from ..graph import now
from .autocast import nesting
from .backward import catch_up

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..patches import Patches
    from ..run import Run


def install(run: Run, patches: Patches) -> list[Any]:
    """Listen. Returns the handles of the global hooks."""
    patches.wrap(torch.optim.Optimizer, "zero_grad", lambda original: _zero_grad(run, original))
    patches.wrap(torch.nn.Module, "zero_grad", lambda original: _zero_grad(run, original))
    return [
        register_optimizer_step_pre_hook(lambda optimizer, _args, _kwargs: _before(run, optimizer)),
        register_optimizer_step_post_hook(lambda optimizer, _args, _kwargs: _after(run, optimizer)),
    ]


def _before(run: Run, optimizer: Any) -> None:
    if run.idle:
        return
    local = run.local
    place = run.place()
    gradients = run.gradients.of_optimizer(optimizer)
    run.meet(optimizer)
    if local.backward:
        catch_up(run, gradients, place)
    else:
        run.window.edits(gradients, "step", place)
    region = local.regions[-1] if local.regions else None
    if staleness.may_be_cached(run, _device(optimizer)):
        local.before_step = now()
    run.emit(
        OptimizerStepping(
            place=place,
            step=run.step,
            optimizer=optimizer,
            scaler=local.stepping,
            gradients=gradients,
            nesting=nesting(),
            enabled=region is not None and region.enabled,
            cache=torch.is_autocast_cache_enabled(),
            in_backward=local.backward > 0,
        )
    )


def _after(run: Run, optimizer: Any) -> None:
    if run.muted:
        return
    scaler = run.local.stepping
    if run.resting:
        if scaler is None:
            run.steps.optimizer_stepped(optimizer, skipped=False, scaled=False)
        return
    if run.local.before_step >= 0:
        leaves = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        staleness.wrote(run, "step", type(optimizer).__name__, leaves, run.local.before_step)
        run.local.before_step = -1
    gradients = run.gradients.of_optimizer(optimizer)
    for holding in gradients.own():
        holding.used = True
    run.settle(gradients)  # a fused step unscales in place
    run.emit(OptimizerStepped(place=run.place(), step=run.step, optimizer=optimizer, scaler=scaler))
    if scaler is None:  # else the scaler says whether it counted
        run.steps.optimizer_stepped(optimizer, skipped=False, scaled=False)


def _device(optimizer: Any) -> str:
    parameters = optimizer.param_groups[0]["params"]
    return str(parameters[0].device.type) if parameters else "cpu"


def _zero_grad(run: Run, original: Callable[..., Any]) -> Callable[..., Any]:
    def zero_grad(owner: Any, *args: Any, **kwargs: Any) -> None:
        original(owner, *args, **kwargs)
        if run.idle:
            return
        if isinstance(owner, torch.optim.Optimizer):
            gradients = run.gradients.of_optimizer(owner)
        else:
            gradients = run.gradients.among(list(owner.parameters()), again=not run.close)[0]
        pending = []
        for holding in gradients.own():
            pending.append(Part(gradients, holding, CLEAN if holding.used else holding.state))
            holding.clear()
            if holding.sample is not None:
                holding.sample.stamp = NO_GRADIENT
        if run.close:
            for gradient in gradients:
                gradient.stamp = NO_GRADIENT
        run.emit(GradsZeroed(place=run.place(), step=run.step, owner=owner, pending=pending))

    return zero_grad
