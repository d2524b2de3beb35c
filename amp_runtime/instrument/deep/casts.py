"""Conversions between floating types: by whom, of what, how often (AMP802)."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from .call import Call, is_float, is_half
from .operators import short
from .records import CastSeen

if TYPE_CHECKING:
    from types import CodeType

    from .names import Names
    from .sites import Place

_CAST = "aten._to_copy"


class Casts:
    """Counts casts. One of autocast is told by the operator that follows it within the same call of the program."""

    def __init__(self, names: Names) -> None:
        self._names = names
        self._count: Counter[tuple[Place, str, str, str, bool]] = Counter()
        self._waiting: list[tuple[Place, str, str, str]] = []
        self._call: tuple[CodeType, int] | None = None
        self._weights: Counter[str] = Counter()

    def after(self, call: Call) -> None:
        if call.operator.name == _CAST and is_float(call.args[0]) and call.results:
            self._cast(call)
        elif self._waiting and call.computes:
            self._settle(automatic=call.where.call == self._call)

    def finish(self) -> None:
        self._settle(automatic=False)

    def records(self) -> tuple[CastSeen, ...]:
        return tuple(
            CastSeen(site=place.site(), source=source, target=target, what=what, automatic=automatic, count=count)
            for (place, source, target, what, automatic), count in self._count.items()
        )

    def weights_again(self) -> dict[str, int]:
        return {name: count for name, count in self._weights.items() if count > 1}

    def _cast(self, call: Call) -> None:
        source, target = call.args[0], call.results[0][1]
        if not is_float(target) or source.dtype is target.dtype:
            return
        what = self._names.of_storage(int(source.untyped_storage()._cdata))
        seen = (call.place, short(source.dtype), short(target.dtype), what)
        if what and call.forward and not call.recomputed and is_half(target) and source.requires_grad:
            self._weights[what] += 1
        if not call.forward or not call.autocast:
            self._count[(*seen, False)] += 1
            return
        if self._waiting and call.where.call != self._call:
            self._settle(automatic=False)
        self._call = call.where.call
        self._waiting.append(seen)

    def _settle(self, *, automatic: bool) -> None:
        for seen in self._waiting:
            self._count[(*seen, automatic)] += 1
        self._waiting.clear()
