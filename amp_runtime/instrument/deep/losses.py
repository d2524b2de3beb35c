"""Numbers that half cannot hold: sums that stand still, casts that overflow or vanish, integers with gaps."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch

from .call import Call, is_float, is_half
from .operators import HALF, short

if TYPE_CHECKING:
    from .facts import Facts
    from .readings import Readings
    from .sites import Place

_UNCHANGED = 0.9  # share of the elements with something to add that stayed as they were
_LARGEST = 1 << 20  # elements of an accumulator or of positions; what is larger is neither
_EXACT = {torch.float16: 2048.0, torch.bfloat16: 256.0}  # integers beyond it have gaps
_ADDS_IN_PLACE = frozenset({"aten.add_", "aten.sub_", "aten.lerp_"})
_ADDS = frozenset({"aten.add", "aten.sub"})
_CASTS = frozenset({"aten._to_copy", "aten.copy_"})
_SOFTMAX = frozenset({"aten._softmax", "aten._log_softmax", "aten._safe_softmax"})


class Losses:
    """Looks at single calls, before and after they run, and reads what it measured later."""

    def __init__(self, facts: Facts, readings: Readings) -> None:
        self._facts = facts
        self._readings = readings

    def before(self, call: Call) -> torch.Tensor | None:
        """Look at what the call will write over; return what a sum held before."""
        name = call.operator.name
        if name in _SOFTMAX and call.forward:
            self._masked_rows(call)
        if call.forward and call.operator.written and name not in _CASTS:
            self._downcast(call)
        if name in _ADDS_IN_PLACE and is_half(call.args[0]) and call.args[0].numel() <= _LARGEST:
            before: torch.Tensor = call.args[0].detach().clone()
            return before
        return None

    def after(self, call: Call, before: torch.Tensor | None) -> None:
        name = call.operator.name
        if before is not None:
            self._lost(call, before, call.args[0])
        elif name in _ADDS and call.forward and isinstance(call.args[0], torch.Tensor):
            if is_half(call.args[0]) and call.args[0].numel() == 1 and call.results:
                self._lost(call, call.args[0], call.results[0][1])
        elif name in _CASTS:
            self._cast(call)
        elif name == "aten.arange" and call.results and is_half(call.results[0][1]):
            self._integers(call, call.results[0][1], call.results[0][1].dtype)

    def _lost(self, call: Call, before: torch.Tensor, after: torch.Tensor) -> None:
        """Count elements that had something added and did not change."""
        other = call.args[1]
        if call.operator.name == "aten.lerp_":
            other = other - before
        if not isinstance(other, torch.Tensor):
            other = torch.full_like(before, 1.0 if other else 0.0)
        if other.shape != after.shape and other.numel() != 1:
            return
        wanted = (other != 0).expand_as(after)
        stayed = wanted & (after == before) & before.isfinite()
        place, notes = call.place, {"dtype": short(before.dtype)}

        def read(values: list[float]) -> None:
            if values[0] and values[1] / values[0] >= _UNCHANGED:
                share = values[1] / values[0]
                largest = {"share": share, "elements": values[0], "sum": values[2], "addend": values[3]}
                self._facts.add("lost-additions", place, largest, notes, worst=share)

        figures = (wanted.sum(), stayed.sum(), before.abs().amax().float(), other.abs().amax().float())
        self._readings.ask(figures, read)

    def _downcast(self, call: Call) -> None:
        """Note a wider tensor that is worked into a half one in place, so that the result is rounded to half."""
        into = next((tensor for name, tensor in call.inputs if name in call.operator.written), None)
        if into is None or not is_half(into) or call.draws:
            return
        for name, tensor in call.inputs:
            wider = is_float(tensor) and name not in call.operator.written
            if wider and torch.result_type(into, tensor) is not into.dtype:
                notes = {"into": short(into.dtype), "operand": short(tensor.dtype)}
                self._facts.add("inplace-downcast", call.place, {}, notes)
                return

    def _cast(self, call: Call) -> None:
        to, source = _ends(call)
        if to is None or source is None or not is_half(to):
            return
        if not source.is_floating_point():
            if source.dtype is not torch.bool and not source.is_complex():
                self._integers(call, source, to.dtype)
            return
        if source.dtype is torch.bfloat16 and to.dtype is torch.float16:
            self._lossy(call, source, to)
        elif call.operator.name == "aten.copy_" and call.forward and source.dtype not in HALF:
            self._lossy(call, source, to, kind="inplace-downcast")
        elif call.forward and source.dtype not in HALF and not source.requires_grad:
            self._integers(call, source, to.dtype)

    def _lossy(self, call: Call, source: torch.Tensor, to: torch.Tensor, kind: str = "lossy-cast") -> None:
        if source.shape != to.shape:
            source = source.expand_as(to)
        place = call.place
        infinite = (to.isinf() & source.isfinite()).sum()
        vanished = ((to == 0) & (source != 0)).sum()
        notes = {"from": short(source.dtype), "to": short(to.dtype)}

        def read(values: list[float]) -> None:
            if any(values):
                found = {"became_infinite": values[0], "became_zero": values[1]}
                self._facts.add(kind, place, found, notes, worst=sum(values))

        self._readings.ask((infinite, vanished), read)

    def _integers(self, call: Call, source: torch.Tensor, dtype: torch.dtype) -> None:
        """Whole numbers, such as positions, that the half type has no room between."""
        if not 2 <= source.numel() <= _LARGEST:
            return
        place: Place = call.place
        low, high = torch.aminmax(source)
        whole = (source == source.trunc()).all() if source.is_floating_point() else torch.ones_like(low).bool()

        def read(values: list[float]) -> None:
            largest = max(abs(values[0]), abs(values[1]))
            if values[2] and largest > _EXACT[dtype] and not math.isnan(largest):
                found = {"largest": largest, "exact_to": _EXACT[dtype]}
                self._facts.add("imprecise-integers", place, found, {"dtype": short(dtype)}, worst=largest)

        self._readings.ask((low, high, whole), read)

    def _masked_rows(self, call: Call) -> None:
        """Rows without a single finite score, whose softmax is NaN."""
        scores, dim = call.args[0], call.argument("dim")
        if not is_float(scores) or not scores.numel():
            return
        rows = (scores.amax(dim) == -math.inf).sum()
        place = call.place

        def read(values: list[float]) -> None:
            if values[0]:
                self._facts.add("masked-row", place, {"rows": values[0]}, worst=values[0])

        self._readings.ask((rows,), read)


def _ends(call: Call) -> tuple[torch.Tensor | None, torch.Tensor | None]:
    """Return what a cast wrote and what it read."""
    source: Any = call.args[1] if call.operator.name == "aten.copy_" else call.args[0]
    to = call.results[0][1] if call.results else None
    return to, source if isinstance(source, torch.Tensor) else None
