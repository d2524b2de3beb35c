"""Decides whether a stage need run at all: not where nothing that it looked at has changed since it ran last."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from verifier.cache import seen
from verifier.cache.codec import NotPlainError, outcome_from_json, outcome_to_json, plain, seen_from_json, seen_to_json
from verifier.cache.identity import digest_of
from verifier.cache.unchanged import still_true
from verifier.notebooks.file import NotebookFile
from verifier.selection import rest_of_project
from verifier.sources import EditedFile

if TYPE_CHECKING:
    from collections.abc import Iterable

    from verifier.cache.cache import Cache
    from verifier.model.finding import Json
    from verifier.model.stage import Stage, StageContext, StageOutcome
    from verifier.model.task import Config
    from verifier.sources import SourceFile, SourceTree

# what no static stage is decided by: how many processes work, and what concerns code that is run
_IDLE_OPTIONS = frozenset(
    {"jobs", "time_limit_s", "memory_limit_gib", "sandbox", "require_isolation", "strict", "require_device"}
)
_IDLE_CONFIG = frozenset({"tasks", "path"})


def run_stage(stage: Stage, context: StageContext) -> StageOutcome:
    """Return what a stage brings: from the cache, where it would bring the same again."""
    cache = context.sources.cache
    if cache is None or stage.depends_on is None or not can_be_kept(context.sources):
        return stage.run(context)
    name = f"{stage.name}-{_key(stage, context, cache, stage.depends_on(context))[:40]}.json"
    found = _kept(stage, name, context, cache)
    return found if found is not None else _run_and_keep(stage, context, cache, name)


def can_be_kept(sources: SourceTree) -> bool:
    """Say whether all files are what stands on disk, each by itself; stages change the data of notebooks."""
    return not any(file.is_replaced or isinstance(file, NotebookFile | EditedFile) for file in sources)


def _kept(stage: Stage, name: str, context: StageContext, cache: Cache) -> StageOutcome | None:
    found = cache.store.read(name)

    def rest() -> str:
        return seen.rest_digest(rest_of_project(context.config, context.sources))

    try:
        noted = None if found is None else seen_from_json(found["seen"])
        searched = None if found is None else _said_again(stage, found["searched"], context.sources)
        now = None if noted is None or searched is None else still_true(noted, rest)
        if now is not None:
            outcome = outcome_from_json(found["outcome"])
            if now is not noted or searched != found["searched"]:
                cache.store.write(name, {**found, "searched": searched, "seen": seen_to_json(now)})
            return outcome
    except (KeyError, TypeError, ValueError, AttributeError):  # whole, and yet not of our making
        return None
    return None


def _run_and_keep(stage: Stage, context: StageContext, cache: Cache, name: str) -> StageOutcome:
    seen.start()
    try:
        outcome = stage.run(context)
    finally:
        noted = seen.stop()
    if noted.spoiled:
        return outcome
    try:
        searched = _searched(stage, outcome, context.sources)
        kept = {"outcome": outcome_to_json(outcome), "searched": searched, "seen": seen_to_json(noted)}
        cache.store.write(name, kept)
    except NotPlainError:
        return outcome
    return outcome


def _searched(stage: Stage, outcome: StageOutcome, sources: SourceTree) -> dict[str, Any]:
    """Return what an outcome rests on of the files that its key says nothing of: content, or else what was said."""
    if stage.says is None:
        return {}
    given, said = (outcome.searched.given, outcome.searched.said) if outcome.searched is not None else (None, {})
    return {"given": plain(given), "files": {file.path: [file.sha256, said.get(file.path)] for file in sources}}


def _said_again(stage: Stage, kept: dict[str, Any], sources: SourceTree) -> dict[str, Any] | None:
    """Return the same of the files as they are now; None where more has changed than the outcome stands."""
    if stage.says is None:
        return kept
    given, files = kept["given"], dict(kept["files"])
    for file in sources:
        digest, said = files[file.path]
        if file.sha256 != digest:
            if said is None or stage.says(given, file) != said:
                return None
            files[file.path] = [file.sha256, said]
    return {"given": given, "files": files}


def _key(stage: Stage, context: StageContext, cache: Cache, depends_on: Json) -> str:
    return digest_of(
        {
            "tool": cache.identity,
            "stage": [stage.number, stage.name],
            "depends_on": depends_on,
            "root": str(context.root),
            "config": config_row(context.config),
            "options": _fields(context.options, _IDLE_OPTIONS),
            "files": [file_row(file) if stage.says is None else _name_row(file) for file in context.sources],
        }
    )


def _name_row(file: SourceFile) -> list[Any]:
    return [file.path, file.is_python, file.problem]


def config_row(config: Config) -> dict[str, str]:
    """Return what of a configuration a stage that only reads may be decided by."""
    return _fields(config, _IDLE_CONFIG)


def _fields(value: Any, without: Iterable[str]) -> dict[str, str]:
    names = [field.name for field in dataclasses.fields(value) if field.name not in without]
    return {name: repr(getattr(value, name)) for name in names}


def file_row(file: SourceFile) -> list[Any]:
    """Return what tells a file from any other."""
    return [file.path, file.is_python, file.problem or file.sha256, file.problem is None]
