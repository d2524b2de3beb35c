"""Put functions of ours in front of other people's, and take them away again in any order."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

_MARK = "__amp_sanitizer__"


class Patches:
    """Every replacement of one sanitizer. After `undo`, what still holds a wrapper calls straight through it."""

    def __init__(self) -> None:
        self._done: list[tuple[object, str, object, bool, Any]] = []
        self.active = True

    def wrap(self, owner: object, name: str, make: Callable[[Any], Callable[..., Any]]) -> None:
        """Replace `owner.name` by `make(original)`; an attribute that the owner only inherits gets its own.

        The wrapper is not called any more once the patch is undone, even by code that took hold of it meanwhile.
        """
        mine = name in vars(owner)
        original = getattr(owner, name)
        wrapper = make(original)

        @functools.wraps(original)
        def patched(*args: Any, **kwargs: Any) -> Any:
            return wrapper(*args, **kwargs) if self.active else original(*args, **kwargs)

        setattr(patched, _MARK, self)
        setattr(owner, name, patched)
        self._done.append((owner, name, original, mine, patched))

    def wrapped(self, owner: object, name: str) -> bool:
        """Whether this sanitizer's wrapper is what `owner.name` gives, by itself or by inheritance."""
        return getattr(getattr(owner, name, None), _MARK, None) is self

    def replaced(self) -> list[str]:
        """Return the names of patches that somebody has replaced, so that their events may have been lost."""
        return sorted(
            f"{getattr(owner, '__name__', type(owner).__name__)}.{name}"
            for owner, name, _original, _mine, patched in self._done
            if not _reaches(vars(owner).get(name), patched)
        )

    def undo(self) -> None:
        """Restore what can be restored. Where somebody has patched over us, the wrapper stays and is passed through."""
        self.active = False
        for owner, name, original, mine, patched in reversed(self._done):
            if vars(owner).get(name) is not patched:
                continue
            if mine:
                setattr(owner, name, original)
            else:
                delattr(owner, name)
        self._done.clear()


def _reaches(found: object, patched: object) -> bool:
    """Whether a function is ours or says that it wraps ours."""
    for _ in range(20):
        if found is patched:
            return True
        found = getattr(found, "__wrapped__", None)
        if found is None:
            return False
    return False
