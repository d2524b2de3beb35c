"""What an optimizer did to parameters in half: elements with a gradient that did not move (AMP403), NaN (AMP404)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

from .call import is_half, plain
from .operators import short

if TYPE_CHECKING:
    from torch.optim import Optimizer

    from .facts import Facts
    from .names import Names
    from .readings import Readings
    from .sites import Sites


Guarded = Callable[[Callable[[], None]], None]


class Updates:
    """Copies the half parameters before each optimizer step and looks what has become of them.

    Args:
        guarded: runs a function of ours so that the program sees nothing of it and no failure of it.
    """

    def __init__(self, facts: Facts, readings: Readings, names: Names, sites: Sites, guarded: Guarded) -> None:
        self._facts = facts
        self._readings = readings
        self._names = names
        self._sites = sites
        self._guarded = guarded
        self._before: dict[int, list[tuple[torch.Tensor, torch.Tensor]]] = {}
        self._handles: list[Any] = []

    def install(self) -> None:
        self._handles = [
            register_optimizer_step_pre_hook(lambda optimizer, *_: self._guarded(lambda: self._copy(optimizer))),
            register_optimizer_step_post_hook(lambda optimizer, *_: self._guarded(lambda: self._look(optimizer))),
        ]

    def remove(self) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        self._before.clear()

    def _copy(self, optimizer: Optimizer) -> None:
        parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        self._before[id(optimizer)] = [
            (parameter, parameter.detach().clone())
            for parameter in parameters
            if plain(parameter) and is_half(parameter) and parameter.grad is not None and plain(parameter.grad)
        ]

    def _look(self, optimizer: Optimizer) -> None:
        skipped = getattr(optimizer, "found_inf", None)  # of a fused optimizer, which leaves out the step by itself
        for parameter, before in self._before.pop(id(optimizer), ()):
            self._compare(type(optimizer).__name__, parameter, before, skipped)

    def _compare(self, kind: str, parameter: torch.Tensor, before: torch.Tensor, skipped: Any) -> None:
        gradient = parameter.grad
        if gradient is None:
            return
        wanted = gradient != 0
        name = self._names.of_tensor(parameter) or f"tensor of shape {tuple(parameter.shape)}"
        place = self._sites.own(name.rpartition(".")[0], f"{kind}.step", "optimizer")
        notes = {"parameter": name, "dtype": short(parameter.dtype)}

        def read(values: list[float]) -> None:
            moved, stayed, broken, left_out = values
            if left_out:
                return
            if stayed:
                share = {"share": stayed / moved, "elements": moved, "unchanged": stayed}
                self._facts.add("frozen-elements", place, share, notes, worst=stayed / moved, about=name)
            if broken:
                self._facts.add("nonfinite-parameter", place, {"elements": broken}, notes, worst=broken, about=name)

        stayed = (wanted & (parameter == before)).sum()
        broken = (~parameter.isfinite() & before.isfinite() & gradient.isfinite()).sum()
        flag = skipped.reshape(()).clone() if isinstance(skipped, torch.Tensor) else torch.zeros(())
        self._readings.ask((wanted.sum(), stayed, broken, flag), read)
