"""What a task requires of its measurements: bounds on figures, each with the device it holds for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

ANY_DEVICE = "any"
Operator = Literal[">=", ">", "<=", "<"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """A side of a number. `value` is a share where the text has `%`: 40 % is 0.4; `unit` is as written, "" for none."""

    operator: Operator
    value: float
    unit: str
    text: str

    @property
    def is_floor(self) -> bool:
        return self.operator.startswith(">")

    def holds(self, figure: float) -> bool:
        """Say whether one exact figure lies on the right side."""
        if self.operator == ">=":
            return figure >= self.value
        if self.operator == ">":
            return figure > self.value
        return figure <= self.value if self.operator == "<=" else figure < self.value


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement:
    """One line of `requirements`.

    Args:
        name: one of those that `verifier.requirements` knows, and of the gate it becomes.
        bounds: by kind of device ("cuda", "cpu", ...); under `ANY_DEVICE` for every other one.
        only: the workloads and scripts it is asked of; empty: all of the task.
        line: where it is written in the configuration.
    """

    name: str
    bounds: Mapping[str, Bound] = field(default_factory=dict)
    only: tuple[str, ...] = ()
    line: int = 1

    def bound_for(self, device: str) -> Bound | None:
        """Return what holds for a device ("cuda:0"); None where the requirement names others only."""
        return self.bounds.get(device.partition(":")[0], self.bounds.get(ANY_DEVICE))

    def concerns(self, name: str) -> bool:
        """Say whether it is asked of this workload or script."""
        return not self.only or name in self.only

    def text(self) -> str:
        """Return the requirement as a reader writes it."""
        said = ", ".join(
            bound.text if device == ANY_DEVICE else f"{bound.text} on {device}" for device, bound in self.bounds.items()
        )
        return f"{said}; of {', '.join(self.only)}" if self.only else said
