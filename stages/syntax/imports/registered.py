"""Decides which modules that no file holds may be put in place while the project runs: by name, or by a finder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stages._source.patterns import late

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

_WRITES = late(rb"sys\.modules\s*\[[^\]\n]+\]\s*=[^=]|sys\.modules\.(setdefault|update)\b")
_FINDERS = late(rb"\bmeta_path\.(append|insert|extend)\b|\bpath_hooks\.(append|insert)\b")


class Registered:
    """Asks the texts of the project, tests aside: what a test puts into sys.modules, only that test imports."""

    def __init__(self, texts: Mapping[str, bytes], is_test: Callable[[str], bool]) -> None:
        self._texts = texts
        self._is_test = is_test
        self._known: tuple[bool, list[bytes]] | None = None

    def may_hold(self, module: str) -> bool:
        """Say whether code of the project writes to sys.modules, or installs a finder, for a module of this name.

        A finder that names the package above serves what is in it; the top-level package is named for many reasons.
        """
        writes, finders = self._registrars()
        if writes and _names(self._own(), module):
            return True
        parent = module.rpartition(".")[0]
        return _names(finders, module) or ("." in parent and _names(finders, parent))

    def _registrars(self) -> tuple[bool, list[bytes]]:
        if self._known is None:
            texts = [text for text in self._own() if b"sys." in text]
            writes = any(_WRITES.search(text) for text in texts)
            self._known = writes, [text for text in texts if _FINDERS.search(text)]
        return self._known

    def _own(self) -> Iterator[bytes]:
        return (text for path, text in self._texts.items() if not self._is_test(path))


def _names(texts: Iterable[bytes], module: str) -> bool:
    """Say whether a text writes the module's name as a string."""
    if not module:
        return False
    quoted = (f'"{module}"'.encode(), f"'{module}'".encode())
    return any(quote in text for text in texts for quote in quoted)
