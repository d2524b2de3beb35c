"""Hears learning-rate schedulers advance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch.optim.lr_scheduler import LRScheduler

from ..events import SchedulerStepped

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..patches import Patches
    from ..run import Run


def install(run: Run, patches: Patches) -> None:
    for owner in _with_own_step(LRScheduler):
        patches.wrap(owner, "step", lambda original: _step(run, original))
    patches.wrap(LRScheduler, "_initial_step", lambda original: _initial_step(run, original))
    patches.wrap(LRScheduler, "__init__", lambda original: _made(run, patches, original))


def _with_own_step(base: type) -> list[type]:
    found, todo = [], [base]
    while todo:
        owner = todo.pop()
        todo += owner.__subclasses__()
        if "step" in vars(owner) and owner not in found:
            found.append(owner)
    return found


def _made(run: Run, patches: Patches, original: Callable[..., Any]) -> Callable[..., Any]:
    """Meet a class that the program defines after we began to listen, when its first instance is made."""

    def made(scheduler: Any, *args: Any, **kwargs: Any) -> None:
        for owner in type(scheduler).__mro__:
            if "step" in vars(owner) and owner is not object and not patches.wrapped(owner, "step"):
                patches.wrap(owner, "step", lambda original: _step(run, original))
        original(scheduler, *args, **kwargs)

    return made


def _initial_step(run: Run, original: Callable[..., Any]) -> Callable[..., Any]:
    def initial(scheduler: Any) -> None:
        run.local.scheduling += 1
        try:
            original(scheduler)
        finally:
            run.local.scheduling -= 1

    return initial


def _step(run: Run, original: Callable[..., Any]) -> Callable[..., Any]:
    def step(scheduler: Any, *args: Any, **kwargs: Any) -> Any:
        local = run.local
        if run.muted or local.scheduling:  # inside another scheduler's step, or in the constructor
            return original(scheduler, *args, **kwargs)
        local.scheduling += 1
        try:
            result = original(scheduler, *args, **kwargs)
        finally:
            local.scheduling -= 1
        optimizer = getattr(scheduler, "optimizer", None)
        run.emit(SchedulerStepped(place=run.place(), step=run.step, scheduler=scheduler, optimizer=optimizer))
        return result

    return step
