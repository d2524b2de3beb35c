"""What a rule says about one place on one path, before it is known whether the path decides it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stages.logic.engine.place import Place
    from stages.logic.engine.values import Scaler
    from verifier.api import Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """A rule's word.

    Args:
        severity: where it is not the rule's usual one.
        message: what is wrong here, in one sentence.
        why: what happens because of it.
        remedy: what to write instead.
        related: other places of the same cause, each with what happens there.
        scaler: on whose account; one that is only assumed, and may be off on this path, makes it a suspicion.
        suspicion: the code alone does not establish it: reported LOW, as only a run can confirm it.
    """

    place: Place
    message: str
    symbol: str | None = None
    why: str = ""
    remedy: str = ""
    related: tuple[tuple[Place, str], ...] = ()
    severity: Severity | None = None
    scaler: Scaler | None = None
    suspicion: bool = False
