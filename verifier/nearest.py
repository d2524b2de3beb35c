"""The nearest valid name, for every message that refuses a name."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def suggestion(name: str, valid: Iterable[str]) -> str:
    """Return `; did you mean "x"?`, or the list of valid names where none is near, or nothing where there are none."""
    names = sorted(valid)
    lowered = {candidate.lower(): candidate for candidate in names}
    close = difflib.get_close_matches(name.lower(), lowered, n=1, cutoff=0.6)
    if close:
        return f'; did you mean "{lowered[close[0]]}"?'
    if 0 < len(names) <= 12:
        return f"; valid: {', '.join(names)}"
    return ""
