"""Keep the warnings that tests give: each once, with its place and how often it came."""

from __future__ import annotations

import warnings
from collections import Counter
from typing import TYPE_CHECKING

from ..wire import WarningSeen
from .failure import safe_text

if TYPE_CHECKING:
    from .failure import Project

_MOST = 100  # different ones
_MESSAGE_LIMIT = 300


class Warned:
    """A pytest plugin."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._seen: Counter[tuple[str, str, str, int]] = Counter()

    def pytest_warning_recorded(self, warning_message: warnings.WarningMessage) -> None:
        file = warning_message.filename
        place = self._project.relative(file) or file.rpartition("site-packages/")[2]
        text = safe_text(warning_message.message)[:_MESSAGE_LIMIT]
        key = (warning_message.category.__name__, text, place, warning_message.lineno)
        if key in self._seen or len(self._seen) < _MOST:
            self._seen[key] += 1

    def seen(self) -> list[WarningSeen]:
        return [
            WarningSeen(category=category, message=message, path=path, line=line, count=count)
            for (category, message, path, line), count in sorted(self._seen.items())
        ]
