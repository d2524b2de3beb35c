"""What is asked of another machine and what it answers, as JSON: nothing but data goes from one to the other."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from verifier.commands import Options

_PATHS = ("config_file", "python", "baseline")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One task.

    Args:
        options: as given; paths in the project are relative to its root.
        formats: of the report.
        checkout: commit and state of the tree that the snapshot was taken of.
        stamp: of the larger run, as it stands in the report; None where the run is whole.
    """

    task: str
    version: str
    options: Options
    formats: tuple[str, ...]
    checkout: tuple[str | None, bool | None]
    stamp: Mapping[str, Any] | None = None

    def as_json(self) -> str:
        fields = {**dataclasses.asdict(self), "options": _plain(self.options)}
        return json.dumps(fields)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The documents of the report by their names and, where there is none, one sentence and the exit code."""

    documents: Mapping[str, str] = field(default_factory=dict)
    error: str = ""
    code: int = 0

    def as_json(self) -> str:
        return json.dumps(dataclasses.asdict(self))


def request_from(text: str) -> Request:
    read = json.loads(text)
    commit, dirty = read["checkout"]
    return Request(
        task=read["task"],
        version=read["version"],
        options=_options(read["options"]),
        formats=tuple(read["formats"]),
        checkout=(commit, dirty),
        stamp=read["stamp"],
    )


def answer_from(text: str) -> Answer:
    return Answer(**json.loads(text))


def _plain(options: Options) -> dict[str, Any]:
    return {
        name: str(value) if isinstance(value, Path) else value for name, value in dataclasses.asdict(options).items()
    }


def _options(fields: Mapping[str, Any]) -> Options:
    given: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else Path(value) if name in _PATHS and value else value
        for name, value in fields.items()
    }
    return Options(**given)
