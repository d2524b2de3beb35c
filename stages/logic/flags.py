"""Which tests on a path ask whether AMP is on, and whether their answers can be true together."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from stages._source.patterns import late

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages.logic.engine.place import Place
    from stages.logic.engine.state import State

_FLAG = late(r"\bamp\b|_amp|amp_|fp16|half|mixed|precision|scaler|autocast|float16|cuda|is_available", re.I)


def flag_is_off(state: State) -> bool:
    """Say whether some test on the path found AMP off."""
    return any(not outcome for _, outcome in _flags(state))


def flags_disagree(state: State) -> bool:
    """Say whether one test found AMP on and another one off: flags that may be one and the same."""
    return {outcome for _, outcome in _flags(state)} == {True, False}


def _flags(state: State) -> Iterator[tuple[Place, bool]]:
    return ((place, outcome) for place, outcome in state.decisions if _FLAG.search(place.module.code(place.line)))
