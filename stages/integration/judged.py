"""What judging one group of checks (imports, tests, training) yields; the stage adds the groups up."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stages.integration.causes import Cause
    from verifier.api import Gate, Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """One group: how many checks ran, what went wrong, and what is to be reported."""

    checks_run: int
    causes: tuple[Cause, ...] = ()
    gates: tuple[Gate, ...] = ()
    facts: Mapping[str, Json] = field(default_factory=dict)
    limitations: tuple[str, ...] = ()
