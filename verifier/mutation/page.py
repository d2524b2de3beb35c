"""Turns results into the documents and the summary that people read."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from verifier import __version__
from verifier.mutation.results import shares

if TYPE_CHECKING:
    from verifier.model.finding import Json
    from verifier.mutation.results import Result, Share

SCHEMA = "verifier-mutation/1"
_SHOWN = 15
_SEEN = {True: "a reader could see it", False: "not visible in the text"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutated:
    """One run of `verify mutate`. `task_says`: findings of the task as it is that are no hazard to its mutants."""

    task: str
    commit: str | None
    dirty: bool | None
    command: str
    results: tuple[Result, ...]
    limitations: tuple[str, ...] = ()

    @property
    def figures(self) -> Mapping[str, Share]:
        return shares(self.results)

    @property
    def survivors(self) -> tuple[Result, ...]:
        return tuple(item for item in self.results if item.survives)


def as_json(mutated: Mutated) -> str:
    document: dict[str, Json] = {
        "schema": SCHEMA,
        "task": mutated.task,
        "tool": {"version": __version__, "command": mutated.command},
        "source": {"commit": mutated.commit, "dirty": mutated.dirty},
        "figures": {name: share.as_json() for name, share in mutated.figures.items()},
        "limitations": list(mutated.limitations),
        "mutants": [item.as_json() for item in mutated.results],
    }
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def as_markdown(mutated: Mutated) -> str:
    lines = [f"# Mutants of {_escaped(mutated.task)}", "", *_figures(mutated), "", "## By operator", ""]
    lines += [*_by_operator(mutated.results), "", "## Survivors", ""]
    lines += _survivors(mutated.survivors)
    if mutated.limitations:
        lines += ["", "## What this run could not see", "", *(f"- {_escaped(text)}" for text in mutated.limitations)]
    state = {True: ", with changes that are not committed", False: "", None: ""}[mutated.dirty]
    lines += ["", f"Commit {mutated.commit or 'none'}{state}; verify {__version__}; `{_code(mutated.command)}`"]
    return "\n".join(lines) + "\n"


def summary(mutated: Mutated) -> str:
    """Return what the terminal shows: figures first, then what nothing caught."""
    lines = [f"{mutated.task}: {len(mutated.results)} mutants", ""]
    lines += [f"  {name:45s} {share}" for name, share in mutated.figures.items()]
    if mutated.survivors:
        lines += ["", "caught by nothing:"]
        lines += [f"  {_line(item)}" for item in mutated.survivors[:_SHOWN]]
        if len(mutated.survivors) > _SHOWN:
            lines.append(f"  and {len(mutated.survivors) - _SHOWN} more")
    return _printable("\n".join(lines))


def _line(result: Result) -> str:
    mutant = result.mutant
    told = "; ".join(f"{name}: {word}" for name, word in result.words.items())
    return f"{mutant.place}: {mutant.operator} ({', '.join(mutant.codes)}) {told}; {_SEEN[mutant.visible]}"


def _figures(mutated: Mutated) -> list[str]:
    rows = ["| Figure | |", "| --- | --- |"]
    return rows + [f"| {name} | {share} |" for name, share in mutated.figures.items()]


def _by_operator(results: Sequence[Result]) -> list[str]:
    names = list(dict.fromkeys(name for item in results for name in item.words))
    lines = [f"| Operator | Expected | Mutants | {' | '.join(names)} |", f"| --- | --- | --- |{' --- |' * len(names)}"]
    grouped: dict[str, list[Result]] = {}
    for item in results:
        grouped.setdefault(item.mutant.operator, []).append(item)
    for operator, items in sorted(grouped.items()):
        cells = [_words(item.words.get(name) for item in items) for name in names]
        codes = ", ".join(items[0].mutant.codes)
        lines.append(f"| {operator} | {codes} | {len(items)} | {' | '.join(cells)} |")
    return lines


def _words(words: object) -> str:
    assert not isinstance(words, str)
    counts = Counter(str(word) for word in words if word is not None)  # type: ignore[attr-defined]
    return ", ".join(f"{count} {word}" for word, count in counts.items()) or "-"


def _survivors(results: Sequence[Result]) -> list[str]:
    if not results:
        return ["None."]
    lines: list[str] = []
    for item in results:
        mutant = item.mutant
        told = "; ".join(f"{name}: {word}" for name, word in item.words.items())
        lines += [f"### {mutant.number}. {mutant.operator} at {_escaped(mutant.place)}", ""]
        lines += [f"{mutant.does}. Expected: {', '.join(mutant.codes)}; {_SEEN[mutant.visible]}. {told}.", ""]
        fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", mutant.diff)), default=0))
        lines += [f"{fence}diff", _printable(mutant.diff), fence, ""]
    return lines[:-1]


def _escaped(text: str) -> str:
    return re.sub(r"([\\`*_{}\[\]<>#|])", r"\\\1", _printable(text.replace("\n", " ")))


def _code(text: str) -> str:
    return _printable(text.replace("`", "'").replace("\n", " "))


def _printable(text: str) -> str:
    return "".join(
        letter if letter in "\n\t" or letter.isprintable() else letter.encode("unicode_escape").decode("ascii")
        for letter in text
    )
