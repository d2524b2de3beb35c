"""Hears what a LightningModule reads in `on_after_backward`, in steps that are looked at closely."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import torch
from torch.overrides import TorchFunctionMode

from ..events import LossScaled
from ..precision_events import GradientRead

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..events import Event
    from ..patches import Patches
    from ..run import Run

_CALLERS = ("lightning.pytorch.trainer.call", "pytorch_lightning.trainer.call")
_NAME = "_call_lightning_module_hook"
_HOOK = "on_after_backward"
_GET = vars(torch._C.TensorBase)["grad"].__get__


def install(run: Run, patches: Patches) -> None:
    """Wait for the first scaled loss: then Lightning, if it scales it, has long been imported."""
    done: set[str] = set()

    def hear(event: Event) -> None:
        if not isinstance(event, LossScaled):
            return
        for name in _CALLERS:
            caller = sys.modules.get(name)
            if caller is not None and name not in done and hasattr(caller, _NAME):
                done.add(name)
                patches.wrap(caller, _NAME, lambda original: _called(run, original))

    run.listeners.append(hear)


def _called(run: Run, original: Callable[..., Any]) -> Callable[..., Any]:
    def call(trainer: Any, hook: str, *args: Any, **kwargs: Any) -> Any:
        if hook != _HOOK or run.muted or not run.close:
            return original(trainer, hook, *args, **kwargs)
        with _Reads(run):
            return original(trainer, hook, *args, **kwargs)

    return call


class _Reads(TorchFunctionMode):
    """Tells of each line that reads a gradient."""

    def __init__(self, run: Run) -> None:
        super().__init__()
        self._run = run
        self._told: set[tuple[str, int]] = set()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if func == _GET and result is not None and not self._run.muted:
            gradient, place = self._run.gradients.known(args[0]), self._run.place()
            if gradient is not None and place not in self._told:
                self._told.add(place)
                self._run.emit(GradientRead(place=place, step=self._run.step, gradient=gradient, hook=_HOOK))
        return result
