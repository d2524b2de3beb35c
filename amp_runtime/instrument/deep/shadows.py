"""Runs each operator a second time, on FP32 shadows of its operands: the step as it would have been in FP32.

The idea is NSan's (Courbet, CC 2021). Nothing is run again from the start, so it works for any program, and dropout
draws once: a random operator's real result is its own reference.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import torch

from .call import Call, is_float, is_half, tensors_in
from .memory import Error, Memory, key_of
from .operators import HALF
from .shadow_rules import DRAWN, RULES, TAKEN

if TYPE_CHECKING:
    from .readings import Readings
    from .sites import Place


class Shadows:
    """Keeps the shadows of one step and compares results with them."""

    def __init__(self, memory: Memory, readings: Readings) -> None:
        self._memory = memory
        self._readings = readings
        self.operators = 0
        self.taken: Counter[str] = Counter()
        self.worst: dict[Place, tuple[float, float, int]] = {}

    def before(self, call: Call) -> None:
        """Give the tensors that are about to be written a shadow with what they hold now."""
        if self._outside(call) or not call.operator.written or call.operator.reshapes or not self._concerns(call):
            return
        for tensor in call.written():
            if is_float(tensor) and not self._memory.has_shadow(tensor) and not self._memory.stopped:
                self._memory.keep(tensor, _flat(tensor))

    def after(self, call: Call) -> None:
        """Run the operator on the shadows and keep what comes out."""
        if call.operator.reshapes or self._outside(call):
            self._drop_written(call)
        elif not call.operator.views and self._concerns(call):
            drawn = call.draws and call.operator.name not in DRAWN
            if not call.operator.aten or drawn or call.operator.name in TAKEN:
                self._take(call)
            else:
                self._run(call)

    def of(self, tensor: torch.Tensor) -> torch.Tensor:
        """Return what the tensor would be in FP32; itself where nothing else is known."""
        found = self._memory.shadow(tensor)
        if found is not None:
            return found
        return tensor.float() if is_half(tensor) else tensor

    def errors(self, call: Call) -> list[Error | None]:
        """Return, for each input, how far it is from its shadow; None where it is its own."""
        cells = [self._memory.find(tensor) if is_float(tensor) else None for _, tensor in call.inputs]
        return [None if cell is None else cell.error for cell in cells]

    def _outside(self, call: Call) -> bool:
        return bool(self._memory.stopped) or not call.in_passes

    def _concerns(self, call: Call) -> bool:
        """Whether FP32 would give other numbers: something is in half, or has a shadow."""
        for _, tensor in call.inputs:
            if is_half(tensor) or (is_float(tensor) and self._memory.has_shadow(tensor)):
                return True
        return any(is_half(tensor) for _, tensor in call.results)

    def _run(self, call: Call) -> None:
        name = call.operator.name
        rule = DRAWN.get(name) or RULES.get(name, _same)
        if call.operator.empty:
            return
        errors = self.errors(call)
        try:
            out = rule(call, {name: self._stand_in(call, name, value) for name, value in call.named()})
        except Exception:  # whatever cannot run in FP32 is counted, named, and its own reference from here on
            self._take(call)
            return
        self.operators += 1
        if any(name == "result" for name, _ in call.results):
            self._adopt(call, out)
        self._compare(call, errors)

    def _stand_in(self, call: Call, name: str, value: Any) -> Any:
        if isinstance(value, torch.Tensor):
            if name in call.operator.written or name.startswith("running_"):
                return self._written(value)
            return self.of(value) if is_float(value) else value
        if isinstance(value, (list, tuple)):
            return [self._stand_in(call, name, item) for item in value]
        if value in HALF:
            return torch.float32
        return False if name == "half_to_float" else value

    def _written(self, tensor: torch.Tensor) -> torch.Tensor:
        """Return something to write to: never the tensor itself, which has been written already."""
        found = self._memory.shadow(tensor)
        if found is not None:
            return found
        return tensor.to(torch.float32 if is_half(tensor) else tensor.dtype, copy=True)

    def _adopt(self, call: Call, out: Any) -> None:
        real, shadows = list(tensors_in(call.out)), list(tensors_in(out))
        if len(real) != len(shadows) or any(a.shape != b.shape for a, b in zip(real, shadows, strict=True)):
            self._take(call)
            return
        new = {id(tensor) for name, tensor in call.results if name == "result"}
        ours = self._memory_in_use(call)
        for tensor, shadow in zip(real, shadows, strict=True):
            wanted = id(tensor) in new and shadow is not tensor and is_float(tensor) and is_float(shadow)
            if wanted and not self._memory.stopped:
                self._memory.keep(tensor, _fitted(tensor, shadow.clone() if key_of(shadow) in ours else shadow))

    def _memory_in_use(self, call: Call) -> set[int]:
        """Return the memory of the operands and of their shadows, which no new shadow may share."""
        found = set()
        for _, tensor in call.inputs:
            found.add(key_of(tensor))
            cell = self._memory.find(tensor) if is_float(tensor) else None
            if cell is not None and cell.shadow is not None:
                found.add(key_of(cell.shadow))
        return found

    def _compare(self, call: Call, operands: list[Error | None]) -> None:
        place = call.place
        for _, tensor in call.results:
            cell = self._memory.find(tensor) if is_float(tensor) else None
            if cell is None or cell.shadow is None or not tensor.numel():
                continue
            shadow = self.of(tensor)
            figures = (*torch.aminmax(tensor.to(shadow.dtype) - shadow), *torch.aminmax(shadow))
            error = cell.error = Error()

            def read(values: list[float], error: Error = error) -> None:
                error.fill(values)
                self._rank(place, error.relative, max((e.relative for e in operands if e is not None), default=0.0))

            self._readings.ask(figures, read)

    def _rank(self, place: Place, error: float, inherited: float) -> None:
        worst, its, count = self.worst.get(place, (-1.0, 0.0, 0))
        if error > worst:
            worst, its = error, inherited
        self.worst[place] = (worst, its, count + 1)

    def _take(self, call: Call) -> None:
        self.taken[call.operator.name] += 1
        self._drop_written(call)

    def _drop_written(self, call: Call) -> None:
        for tensor in call.written():
            self._memory.drop(tensor)


def _same(call: Call, arguments: dict[str, Any]) -> Any:
    count = len(call.args)
    names = call.operator.arguments
    return call.func(*(arguments[name] for name in names[:count]), **{name: arguments[name] for name in call.kwargs})


def _flat(tensor: torch.Tensor) -> torch.Tensor:
    """Return a copy of all the memory behind a tensor, one FP32 (or FP64) number for each of its elements."""
    count = tensor.untyped_storage().nbytes() // tensor.element_size()
    return tensor.as_strided((count,), (1,), 0).to(torch.float32 if is_half(tensor) else tensor.dtype, copy=True)


def _fitted(tensor: torch.Tensor, shadow: torch.Tensor) -> torch.Tensor:
    """Return the shadow laid out as the tensor's memory is, flat."""
    count = tensor.untyped_storage().nbytes() // tensor.element_size()
    size = shadow.untyped_storage().nbytes() // shadow.element_size()
    if (shadow.stride(), shadow.storage_offset(), size) == (tensor.stride(), tensor.storage_offset(), count):
        return shadow.as_strided((count,), (1,), 0)
    flat = torch.zeros(count, dtype=shadow.dtype, device=shadow.device)
    flat.as_strided(tensor.size(), tensor.stride(), tensor.storage_offset()).copy_(shadow)
    return flat
