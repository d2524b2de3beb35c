"""What became of each mutant, and the figures that follow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from verifier.mutation.judging import Said, word_of

if TYPE_CHECKING:
    from verifier.model.finding import Json
    from verifier.mutation.judging import Word
    from verifier.mutation.mutants import Mutant

READ, WATCHED, TRAINED, TESTED = "static rules", "sanitizer", "training checks", "tests"


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One mutant, and what each observer says of it; an observer that was not asked is not there."""

    mutant: Mutant
    said: dict[str, Said] = field(default_factory=dict)
    words: dict[str, Word] = field(default_factory=dict)

    @property
    def caught_by(self) -> tuple[str, ...]:
        return tuple(name for name, word in self.words.items() if word.startswith("caught"))

    @property
    def survives(self) -> bool:
        return not self.caught_by

    def as_json(self) -> dict[str, Json]:
        mutant = self.mutant
        return {
            "number": mutant.number,
            "operator": mutant.operator,
            "expected": list(mutant.codes),
            "path": mutant.path,
            "line": mutant.line,
            "end_line": mutant.end_line,
            "visible": mutant.visible,
            "diff": mutant.diff,
            "caught_by": list(self.caught_by),
            "observers": {
                name: {
                    "word": word,
                    "findings": [item.as_json() for item in self.said[name].news] if name in self.said else [],
                    "failing": list(self.said[name].failing) if name in self.said else [],
                }
                for name, word in self.words.items()
            },
        }


@dataclass(frozen=True, slots=True)
class Share:
    """So many of so many. `percent` of nothing is None."""

    caught: int
    of: int

    @property
    def percent(self) -> float | None:
        return round(100 * self.caught / self.of, 1) if self.of else None

    def __str__(self) -> str:
        return f"{self.caught} of {self.of}" + (f" ({self.percent:.1f} %)" if self.percent is not None else "")

    def as_json(self) -> Json:
        return {"caught": self.caught, "of": self.of, "percent": self.percent}


def read(mutant: Mutant, said: Said) -> Result:
    """Return the result of a mutant that only stages which read have seen."""
    return Result(mutant=mutant, said={READ: said}, words={READ: word_of(mutant, said.news)})


def shares(results: Sequence[Result]) -> dict[str, Share]:
    """Return the figures: of the rules over what a reader could see, of each observer over what reached it."""
    visible = [item for item in results if item.mutant.visible]
    figures = {
        "visible, caught by the expected rule": _share(visible, READ, exactly=True),
        "visible, caught by any rule": _share(visible, READ),
        "all, caught by any rule": _share(results, READ),
    }
    for name in (WATCHED, TRAINED, TESTED):
        if any(name in item.words for item in results):
            figures[f"run, caught by {name}"] = _share(_asked(results, name), name)
    reached = [item for item in results if not _is_unreached(item)]
    figures["all that were reached, caught by anything"] = Share(
        sum(not item.survives for item in reached), len(reached)
    )
    return figures


def _share(results: Sequence[Result], name: str, *, exactly: bool = False) -> Share:
    words = [item.words[name] for item in results]
    return Share(sum(word == "caught" or (not exactly and word.startswith("caught")) for word in words), len(words))


def _asked(results: Sequence[Result], name: str) -> list[Result]:
    return [item for item in results if item.words.get(name) not in (None, "not reached", "not run")]


def _is_unreached(result: Result) -> bool:
    ran = [word for name, word in result.words.items() if name != READ and word != "not run"]
    return result.survives and bool(ran) and all(word == "not reached" for word in ran)
