"""What stage 2 requires, and what was looked at for each requirement. Findings settle the gates in the core."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stages._source.testfiles import is_test_file
from verifier.api import Gate, GateStatus

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stages._source.program.scopes import Scope
    from stages.logic.engine.engine import Engine

GATES = {
    "scaler-protocol": "the gradient scaler is used in its order on every path",
    "autocast-scope": "autocast is entered where it should be, and only there",
    "low-precision-arithmetic": "no operation loses its meaning in low precision",
    "parameters-and-state": "parameters and state that training keeps stay in full precision",
    "frameworks": "frameworks and wrappers are used through their own AMP methods",
    "compile-and-migration": "AMP is used as the current torch has it",
    "soundness": "modules do what they say: modes, gradients, data and errors are handled as training needs it",
}
_CODES = {
    "scaler-protocol": "AMP1",
    "autocast-scope": "AMP2",
    "low-precision-arithmetic": "AMP3",
    "parameters-and-state": "AMP4",
    "frameworks": "AMP5",
    "soundness": "MOD",
}
_BY_PATHS = ("scaler-protocol", "autocast-scope", "frameworks")


def logic_gates(speaking: int, engine: Engine, unread: Sequence[str], files: int) -> tuple[Gate, ...]:
    """Return the gates of the stage. What was not read, or not followed to the end, is deferred: not proven.

    Args:
        speaking: how many files speak of AMP and parse.
        files: how many there are; the rules about soundness look into each, unless it is a test.
    """
    looked_at = f"{_count(speaking, 'file')} that speak of AMP, {_count(len(engine.walked), 'function')} followed"
    if unread:
        looked_at += f"; not read, as they do not parse: {', '.join(unread[:3])}"
    cut = len(_not_proven(engine))
    left = f"; {_count(cut, 'function')} with too many paths not followed to the end" if cut else ""
    tests = len(engine.unfinished) - cut
    left += f"; {_count(tests, 'test')} not followed to the end, through code that was followed from elsewhere" * bool(
        tests
    )
    return tuple(
        Gate(
            name=name,
            requirement=requirement,
            status=GateStatus.DEFERRED if unread or (cut and name in _BY_PATHS) else GateStatus.PASS,
            evidence=_searched(files, unread) if name == "soundness" else looked_at + left * (name in _BY_PATHS),
            sums_up=_codes(name),
        )
        for name, requirement in GATES.items()
    )


def _searched(files: int, unread: Sequence[str]) -> str:
    left = f"; not read, as they do not parse: {', '.join(unread[:3])}" if unread else ""
    return f"{_count(files, 'file')} searched for what these rules look at, tests left out{left}"


def _not_proven(engine: Engine) -> list[Scope]:
    """Return the starts that took too long, without tests all of whose ways lead through code that was followed."""
    lost = (scope for scope in engine.cut - engine.walked if engine.relevance.of(scope))
    left = any(not _in_test(engine, scope) for scope in lost)
    return [scope for scope in engine.unfinished if left or not _in_test(engine, scope)]


def _in_test(engine: Engine, scope: Scope) -> bool:
    module = engine.module_of(scope)
    return module is not None and is_test_file(module.path)


def _codes(name: str) -> tuple[str, ...]:
    return (_CODES[name],) if name in _CODES else ("AMP6", "AMP7", "AMP8", "AMP9")


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
