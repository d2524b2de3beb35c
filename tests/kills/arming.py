"""Tells the library which call to make fail, and reads what it counted."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

KILL = 0
MOST = 300  # calls of one kind; far more than there are


@dataclass(frozen=True, slots=True, kw_only=True)
class Calls:
    """The calls of one run that counted: their functions, and which of them was made to fail or was the last."""

    functions: tuple[str, ...]
    failed: str | None


@dataclass(slots=True)
class Arm:
    """Calls on files count below `under`."""

    under: Path
    journal: Path

    def at(self, kind: str, n: int, error: int) -> str:
        self.journal.unlink(missing_ok=True)
        return f"{kind} {n} {error} {self.under} {self.journal}"

    def calls(self) -> Calls:
        lines = self.journal.read_text().splitlines() if self.journal.exists() else []
        failed = [line.removesuffix(" failed") for line in lines if line.endswith(" failed")]
        return Calls(
            functions=tuple(line.removesuffix(" failed") for line in lines), failed=failed[0] if failed else None
        )
