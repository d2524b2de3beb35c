"""Stage 2: follows training code path by path and reports AMP misuse. Never runs what it reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stages._source.discovery import fixes_in, rules_in
from stages.logic import fixes, rules
from stages.logic.gates import GATES
from stages.logic.mending import wary_of_tests
from stages.logic.run import run_logic
from stages.logic.searched import says
from verifier.api import Stage, hookimpl, nothing_besides

if TYPE_CHECKING:
    from collections.abc import Iterable

    from verifier.api import Fix

STAGE = Stage(
    number=2,
    name="logic",
    title="Logic & AMP",
    summary="Is AMP used correctly on every path?",
    runs_code=False,
    rules=rules_in(rules),
    gates=GATES,
    run=run_logic,
    depends_on=nothing_besides,
    says=says,
)


@hookimpl
def verifier_stages() -> Iterable[Stage]:
    return (STAGE,)


@hookimpl
def verifier_fixes() -> Iterable[Fix]:
    return tuple(map(wary_of_tests, fixes_in(fixes, STAGE.rules)))
