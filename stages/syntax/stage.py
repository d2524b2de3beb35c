"""Stage 1: runs the fast pass, resolves imports and names, and hands over facts. Never runs what it reads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stages._source.discovery import fixes_in, rules_in
from stages.syntax import fixes, rules
from stages.syntax.gates import GATES
from stages.syntax.run import run_syntax
from stages.syntax.surroundings import surroundings
from verifier.api import Stage, hookimpl

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from verifier.api import Fix, Json, StageContext

STAGE = Stage(
    number=1,
    name="syntax",
    title="Syntax & Build",
    summary="Does the code parse, compile, resolve its names and imports, and load without a failing cycle?",
    runs_code=False,
    rules=rules_in(rules),
    gates=GATES,
    run=run_syntax,
    depends_on=surroundings,
)


@hookimpl
def verifier_stages() -> Iterable[Stage]:
    return (STAGE,)


@hookimpl
def verifier_fixes() -> Iterable[Fix]:
    return fixes_in(fixes, STAGE.rules)


@hookimpl
def verifier_module_facts(context: StageContext, facts: Mapping[str, Any]) -> Mapping[str, Mapping[str, Json]]:
    from stages.syntax.modules.facts import module_facts  # noqa: PLC0415 - only `verify analyze` comes here

    return module_facts(context, facts)
