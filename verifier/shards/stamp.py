"""What a report says of the run that it is a part of, so that nothing but the reports is needed to join them."""

from __future__ import annotations

import platform
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from verifier.model.isolation import DEFAULT_SANDBOX
from verifier.shards.dealing import Shard

if TYPE_CHECKING:
    from verifier.commands import Options
    from verifier.model.finding import Json
    from verifier.saved.shape import Reader

KEY = "shard"  # of `tool`
_OPTION = "--shard"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamp:
    """Which shard a report comes from.

    Args:
        tasks: of the whole run, in its order.
        choices: the options that decide what a run finds, as far as they were given.
    """

    shard: Shard
    tasks: tuple[str, ...]
    choices: Mapping[str, Json]

    def as_facts(self) -> Mapping[str, Json]:
        number, of = self.shard.number, self.shard.of
        return {"number": number, "of": of, "tasks": list(self.tasks), "choices": dict(self.choices)}


def stamp_from(facts: Mapping[str, Any]) -> Stamp:
    """Return the stamp that `as_facts` has written."""
    shard = Shard(number=facts["number"], of=facts["of"])
    return Stamp(shard=shard, tasks=tuple(facts["tasks"]), choices=facts["choices"])


def choices_of(options: Options) -> dict[str, Json]:
    """Return the options that decide what is found and how it is judged, as far as they were given.

    Where the reports go and how much a machine does at once may differ from shard to shard.
    """
    given: dict[str, Json] = {
        "stage": list(options.stage),
        "select": list(options.select),
        "ignore": list(options.ignore),
        "facts": options.facts,
        "strict": options.strict,
        "require_device": options.require_device,
        "require_isolation": options.require_isolation,
        "sandbox": None if options.sandbox == DEFAULT_SANDBOX else options.sandbox,
        "time_limit": options.time_limit,
        "memory_limit": options.memory_limit,
        "baseline": None if options.baseline is None else options.baseline.name,
        "python": platform.python_version(),
    }
    return {name: value for name, value in given.items() if value not in (None, False, [])}


def read_stamp(tool: Reader) -> Stamp:
    """Return the stamp in the `tool` of a report.

    Raises:
        UsageError: it is none.
    """
    given = tool.under(KEY)
    number, of, tasks = given.get("number", int), given.get("of", int), given.get("tasks", list)
    if not 1 <= number <= of:
        raise given.wrong(f"says that it is shard {number} of {of}")
    if not tasks or len(set(map(str, tasks))) != len(tasks):
        raise given.wrong("names no task, or one twice")
    return Stamp(shard=Shard(number=number, of=of), tasks=tuple(map(str, tasks)), choices=given.get("choices", dict))


def without_shard(command: str) -> str:
    """Return the command line of the whole run."""
    try:
        words = shlex.split(command)
    except ValueError:  # nobody but us wrote it, and we quote: it was altered, and reproduces nothing anyway
        return command
    return shlex.join(_without(words))


def _without(words: Sequence[str]) -> list[str]:
    kept: list[str] = []
    skip = False
    for word in words:
        if not skip and word != _OPTION and not word.startswith(f"{_OPTION}="):
            kept.append(word)
        skip = word == _OPTION
    return kept
