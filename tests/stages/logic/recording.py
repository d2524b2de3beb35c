"""Decides how a test sees what the engine saw: every event of a program, in the order it was followed."""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Iterable, Iterator
from typing import Any, get_args

from stages._source.program.project import read_project
from stages.logic.engine import events
from stages.logic.engine.engine import Engine
from stages.logic.starts import walk_all


def followed(code: str, **others: str) -> list[Any]:
    """Return every event of a program; `others` are further files by module name."""
    files = {"example.py": code} | {f"{name}.py": text for name, text in others.items()}
    texts = {path: textwrap.dedent(text) for path, text in files.items()}
    project = read_project((path, ast.parse(text), text.splitlines()) for path, text in texts.items())
    seen: list[Any] = []

    def record(event: Any) -> Iterable[Any]:
        seen.append(event)
        return ()

    kinds = get_args(events.Event)
    engine = Engine(project, {kind: [("AMP000", record)] for kind in kinds})
    walk_all(engine, project.modules)
    return seen


def of(seen: list[Any], *kinds: type) -> Iterator[Any]:
    """Yield the events of some kinds."""
    return (event for event in seen if isinstance(event, kinds))


def lines(seen: list[Any], *kinds: type) -> list[int]:
    """Return the lines of the events of some kinds, each once, in order of line."""
    return sorted({event.place.line for event in of(seen, *kinds)})
