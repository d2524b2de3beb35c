"""Hears modules being cast, copied, averaged and put into evaluation, and optimizers being made."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import torch
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from torch.optim.swa_utils import AveragedModel

from ..precision_events import EvaluationSeen, ModuleCast, ModuleCopied, OptimizerMade

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..patches import Patches
    from ..run import Run

_CASTS = ("to", "half", "float", "bfloat16", "double", "type")
_PATIENCE = 500  # calls of modules after an eval() until we stop waiting for its own
_EVALUATIONS = 5  # that are looked at


def install(run: Run, patches: Patches) -> None:
    for name in _CASTS:
        patches.wrap(torch.nn.Module, name, lambda original: _cast(run, original))
    patches.wrap(torch.nn.Module, "eval", lambda original: _eval(run, original))
    patches.wrap(torch.optim.Optimizer, "__init__", lambda original: _optimizer(run, original))
    patches.wrap(AveragedModel, "__init__", lambda original: _average(run, original))
    patches.wrap(copy, "deepcopy", lambda original: _copied(run, original))


def _cast(run: Run, original: Callable[..., Any]) -> Callable[..., Any]:
    def cast(module: Any, *args: Any, **kwargs: Any) -> Any:
        if run.muted:
            return original(module, *args, **kwargs)
        before = [(one, one.dtype) for one in module.parameters() if one.is_floating_point()]
        result = original(module, *args, **kwargs)
        changed = [(one, dtype, one.dtype) for one, dtype in before if one.dtype is not dtype]
        if changed:
            for parameter, old, new in changed:
                run.casts.note(parameter, old, new, run.place())
            run.emit(ModuleCast(place=run.place(), step=run.step, module=module, changed=changed))
        return result

    return cast


def _optimizer(run: Run, original: Callable[..., Any]) -> Callable[..., Any]:
    def made(optimizer: Any, *args: Any, **kwargs: Any) -> None:
        original(optimizer, *args, **kwargs)
        if not run.muted:
            run.meet(optimizer)
            run.emit(OptimizerMade(place=run.place(), step=run.step, optimizer=optimizer))

    return made


def _average(run: Run, original: Callable[..., Any]) -> Callable[..., Any]:
    def made(average: Any, model: Any, *args: Any, **kwargs: Any) -> None:
        original(average, model, *args, **kwargs)
        if not run.muted:
            run.emit(ModuleCopied(place=run.place(), step=run.step, original=model, copy=average.module))

    return made


def _copied(run: Run, original: Callable[..., Any]) -> Callable[..., Any]:
    def deepcopy(one: Any, *args: Any, **kwargs: Any) -> Any:
        result = original(one, *args, **kwargs)
        if isinstance(one, torch.nn.Module) and not run.muted:
            run.emit(ModuleCopied(place=run.place(), step=run.step, original=one, copy=result))
        return result

    return deepcopy


def _eval(run: Run, original: Callable[..., Any]) -> Callable[..., Any]:
    def evaluate(module: Any) -> Any:
        result = original(module)
        if not run.muted and run.step > 1 and run.count(EvaluationSeen) < _EVALUATIONS and not _compiled(module):
            _Waiting(run, module)
        return result

    return evaluate


def _compiled(module: Any) -> bool:
    """Whether compiled code runs in it, which a hook would have compiled anew."""
    return any(
        hasattr(one, "_orig_mod") or getattr(one, "_compiled_call_impl", None) is not None for one in module.modules()
    )


class _Waiting:
    """Waits for the first forward of a module after its `eval()`, with hooks that are gone right after it."""

    def __init__(self, run: Run, module: Any) -> None:
        self._run = run
        self._module = module
        self._calls = 0
        self._entered = -1
        self._place = ("", 0)
        self._handles = [register_module_forward_pre_hook(self._before), register_module_forward_hook(self._after)]
        run.hooks += self._handles

    def _before(self, module: Any, _args: Any) -> None:
        self._calls += 1
        if module is self._module and self._entered < 0:
            region = self._run.local.regions[-1:]
            self._entered = -2 if region and region[0].enabled else self._run.entered
            self._place = self._run.place()
        elif self._calls > _PATIENCE:
            self._end()

    def _after(self, module: Any, _args: Any, _result: Any) -> None:
        if module is not self._module:
            return
        self._end()
        if self._run.muted or module.training or torch.compiler.is_compiling():
            return
        enabled = self._entered == -2 or self._run.entered > self._entered
        self._run.emit(EvaluationSeen(place=self._place, step=self._run.step, module=module, enabled=enabled))

    def _end(self) -> None:
        for handle in self._handles:
            handle.remove()
