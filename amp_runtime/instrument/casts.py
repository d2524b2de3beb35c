"""Which parameters are in half precision, and which casts made them so."""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Iterable

HALF = (torch.float16, torch.bfloat16)
# Said of a model that became half by mistake: what follows from it is not said as well.
CAUSES = ("AMP405", "AMP406", "AMP412", "AMP413")


@dataclass(slots=True)
class Cast:
    """The last cast of a parameter. `rounded`: where it went from float32 to half before it came back, or None."""

    parameter: weakref.ref[Any]
    place: tuple[str, int]
    rounded: tuple[str, int] | None = None


class Casts:
    """The casts of modules, by parameter."""

    def __init__(self) -> None:
        self._known: dict[int, Cast] = {}

    def __bool__(self) -> bool:
        return bool(self._known)

    def note(self, parameter: Any, before: torch.dtype, after: torch.dtype, place: tuple[str, int]) -> None:
        cast = self.of(parameter)
        if cast is None:
            cast = self._known[id(parameter)] = Cast(weakref.ref(parameter), place)
        cast.place = place
        if before is torch.float32 and after in HALF:
            cast.rounded = place

    def of(self, parameter: Any) -> Cast | None:
        cast = self._known.get(id(parameter))
        return cast if cast is not None and cast.parameter() is parameter else None

    def settle(self, parameters: Iterable[Any]) -> None:
        """Take these as they are now: what was rounded before does not count."""
        for parameter in parameters:
            if (cast := self.of(parameter)) is not None:
                cast.rounded = None

    def place_of(self, parameters: Iterable[Any]) -> tuple[str, int] | None:
        """Return where the first of these that was cast was cast last."""
        casts = (self.of(parameter) for parameter in parameters)
        return next((cast.place for cast in casts if cast is not None), None)


def parameters_of(optimizer: Any) -> list[Any]:
    """Return the floating parameters that an optimizer steps: those that have a gradient."""
    return [
        parameter
        for group in optimizer.param_groups
        for parameter in group["params"]
        if parameter.grad is not None and parameter.is_floating_point()
    ]


def histogram(parameters: Iterable[Any]) -> dict[str, int]:
    """Return how many parameters have each dtype."""
    found: dict[str, int] = {}
    for parameter in parameters:
        name = str(parameter.dtype).removeprefix("torch.")
        found[name] = found.get(name, 0) + 1
    return dict(sorted(found.items()))


def name_of(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
