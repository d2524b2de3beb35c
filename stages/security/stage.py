"""Stage 5: reads the code for unsafe loading and execution, secrets, and what leaves for trackers. Never runs it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stages._source.discovery import rules_in
from stages.security import rules
from stages.security.gates import GATES
from stages.security.run import run_security
from verifier.api import Stage, hookimpl

if TYPE_CHECKING:
    from collections.abc import Iterable

STAGE = Stage(
    number=5,
    name="security",
    title="Security",
    summary="Are there secrets, unsafe loading or execution, and what is logged to trackers?",
    runs_code=False,
    rules=rules_in(rules),
    gates=GATES,
    run=run_security,
)


@hookimpl
def verifier_stages() -> Iterable[Stage]:
    return (STAGE,)
