"""What an optimizer did to parameters in half: elements with a gradient that did not move (AMP403), NaN (AMP404).

No hook is set for it: a watch may begin and end inside of an optimizer's hooks, and torch walks over them meanwhile.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from .call import Call, is_half, plain
from .operators import short

if TYPE_CHECKING:
    from .facts import Facts
    from .names import Names
    from .readings import Readings
    from .sites import Place


class _Kept:
    """A parameter before the step: its values, which elements have a gradient, and whether the step is left out."""

    __slots__ = ("before", "finite", "parameter", "place", "skipped", "wanted")

    def __init__(self, call: Call, parameter: torch.Tensor, gradient: torch.Tensor) -> None:
        self.parameter = parameter
        self.place: Place = call.place
        self.before = parameter.detach().clone()
        self.wanted = gradient != 0
        self.finite = gradient.isfinite() & self.before.isfinite()
        found: Any = call.argument("found_inf")  # of a fused optimizer, which leaves out the step by itself
        self.skipped = found.reshape(()).clone() if isinstance(found, torch.Tensor) else torch.zeros((), device="cpu")


class Updates:
    """Copies half parameters when an optimizer first writes to them, and looks at them when it is done."""

    def __init__(self, facts: Facts, readings: Readings, names: Names) -> None:
        self._facts = facts
        self._readings = readings
        self._names = names
        self._kept: dict[int, _Kept] = {}

    def before(self, call: Call) -> None:
        if call.place.phase != "optimizer":
            if self._kept and call.in_passes:
                self.settle()
            return
        for tensor in call.written():
            parameter = self._parameter(tensor) if is_half(tensor) else None
            if parameter is not None and id(parameter) not in self._kept:
                gradient = parameter.grad
                if gradient is not None and plain(gradient) and gradient.shape == parameter.shape:
                    self._kept[id(parameter)] = _Kept(call, parameter, gradient)

    def settle(self) -> None:
        """Look at what the step has made of the parameters."""
        for kept in self._kept.values():
            self._compare(kept)
        self._kept.clear()

    def _parameter(self, tensor: torch.Tensor) -> torch.Tensor | None:
        """Return the parameter that is written, be it through `.data`."""
        if tensor.is_leaf and tensor.requires_grad:
            return tensor
        found = self._names.tensor_at(int(tensor.untyped_storage()._cdata))
        return found if found is not None and found.requires_grad and plain(found) else None

    def _compare(self, kept: _Kept) -> None:
        parameter, place = kept.parameter, kept.place
        name = self._names.of_tensor(parameter) or f"tensor of shape {tuple(parameter.shape)}"
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

        stayed = (kept.wanted & (parameter == kept.before)).sum()
        broken = (~parameter.isfinite() & kept.finite).sum()
        self._readings.ask((kept.wanted.sum(), stayed, broken, kept.skipped), read)
