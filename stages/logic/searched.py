"""Decides what the outcome of the stage takes from a file that nobody reads: what is searched for in its text."""

from __future__ import annotations

import hashlib
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from stages.logic.projects import is_worth_reading
from stages.logic.survey import surveyed_of
from stages.logic.suspects import Spoken, words_in
from stages.logic.watch import watchers
from verifier.api import Searched

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from stages.logic.projects import Looked
    from stages.logic.survey import Surveyed
    from verifier.api import SourceFile


def searched(files: Sequence[SourceFile], surveyed: Mapping[str, Surveyed], spoken: Spoken, looked: Looked) -> Searched:
    """Return what the texts of those files say that neither speak of AMP nor were looked into.

    Where the text of such a file changes and says the same, nothing that the stage finds is another: findings lie in
    files that were read, and which files are read is decided by what texts say and by what the files read say.

    Args:
        spoken: the low precision that the whole project speaks of.
    """
    asked = sorted(path for path in looked.asked if path not in looked.read)
    said = {
        file.path: _digest(file, surveyed[file.path], asked=file.path in looked.asked)
        for file in files
        if not surveyed[file.path].speaks and file.path not in looked.read
    }
    return Searched(given={"spoken": asdict(spoken), "asked": asked}, said=said)


def says(given: Any, file: SourceFile) -> str:
    """Return the same of a file as it is now.

    Args:
        given: the project that it was said in: `Searched.given`.
    """
    found = surveyed_of(file, watchers(), Spoken(**given["spoken"]))
    return _digest(file, found, asked=file.path in given["asked"])


def _digest(file: SourceFile, found: Surveyed, *, asked: bool) -> str:
    suspects = found.suspects
    row = (
        *(found.speaks, found.steps, found.low, found.inspected, found.sound, sorted(found.acting)),
        *(sorted(suspects.lines), suspects.whole, suspects.choices),
        *(file.data is not None, words_in(file.data or b""), asked and is_worth_reading(file)),
    )
    return hashlib.sha256(repr(row).encode()).hexdigest()[:32]
