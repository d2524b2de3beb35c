"""Decides when a regular expression is compiled: at its first use, as most runs use few of the many that rules have."""

from __future__ import annotations

import re
from typing import Any, AnyStr, cast

_ASKED = ("search", "match", "fullmatch", "finditer", "findall", "sub", "split")


class _Late:
    def __init__(self, expression: str | bytes, flags: int) -> None:
        self._expression = expression
        self._flags = flags

    def __getattr__(self, name: str) -> Any:
        compiled = re.compile(self._expression, self._flags)
        for method in _ASKED:  # from here on they are found without coming here
            setattr(self, method, getattr(compiled, method))
        return getattr(compiled, name)


def late(expression: AnyStr, flags: int = 0) -> re.Pattern[AnyStr]:
    """Return a regular expression that is compiled when it is first used.

    Raises:
        re.error: at its first use, where it is none.
    """
    return cast("re.Pattern[AnyStr]", _Late(expression, flags))
