"""Decides what stage 1 depends on besides files of the project: the interpreter, what it has installed, which ruff."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stages._source.environment import interpreter
from stages._source.programs import candidates

if TYPE_CHECKING:
    from pathlib import Path

    from verifier.api import Json, StageContext


def surroundings(context: StageContext) -> Json:
    """Return it as values that differ where a finding could."""
    facts = interpreter(context.options.python)
    return {
        "interpreter": [facts.executable, list(facts.version), facts.platform, facts.os_name, list(facts.path)],
        "modules": [sorted(names) for names in (facts.standard, facts.builtin, facts.frozen, facts.builtins)],
        "ruff": [_program(path) for path in candidates("ruff", context.root)],
        "root": str(context.root.resolve()),
    }


def _program(path: Path) -> Json:
    status = path.stat()
    return [str(path), status.st_size, status.st_mtime_ns, status.st_ino]
