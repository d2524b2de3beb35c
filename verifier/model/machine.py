"""What a machine offers to stages and formats, as `verify doctor` tells it."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class State(enum.StrEnum):
    """Whether something can be used here."""

    WORKS = "works"
    LIMITED = "limited"
    MISSING = "missing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ability:
    """One fact about this machine, in one line.

    Args:
        text: what is so: a version, a device, a reason.
        remedy: what to do about it; empty where nothing has to be done.
        stops: the stages that cannot do their work without it, as the tasks stand.
        defers: the gates, as `stage:gate`, that are DEFERRED without it.
    """

    name: str
    state: State
    text: str
    remedy: str = ""
    stops: tuple[str, ...] = ()
    defers: tuple[str, ...] = ()
