"""Decides by texts alone which files each rule looks at; the texts of many files are searched in several processes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from stages._source.patterns import late
from stages._source.prose import code_of
from stages._source.testfiles import is_test_file
from stages._source.workers import Died, map_forked
from stages.logic.suspects import Suspects, suspects_of
from stages.logic.texts import ACTS_TEXT, AMP_TEXT, LOW_TEXT, STEPS_TEXT

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from stages.logic.suspects import Spoken
    from stages.logic.watch import Watchers
    from verifier.api import SourceFile

_SPREAD = 100  # files from which other processes pay for themselves
_DEFINED = late(rb"\bdef (\w+)")
_NONE = Suspects()
# what prepares data, or shows and measures what comes out, runs where no autocast is on
_BESIDE = late(
    r"feature_|frontends?\b|\baudio\.py|extract[eo]r|image_process|preprocess|processing_|datasets?\b|convert|infer|realtime|webui|evaluat|compute_|demo|metrics?\b|plot|visuali[sz]|export|onnx"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Surveyed:
    """What the text of one file says.

    Args:
        speaks: it speaks of AMP; what follows up to `inspected` is only said of files that do.
        steps: there may be a step of training in it.
        low: some function of it may enter autocast or cast to half by itself.
        code: its text without prose.
        inspected: codes of the rules that want to read it as a file that speaks of AMP.
        sound: codes of the rules about module soundness that want to read it.
        suspects: what half precision may harm in it.
        acting: names of the functions in a file that acts on gradients.
    """

    speaks: bool = False
    steps: bool = False
    low: bool = False
    code: bytes = b""
    inspected: tuple[str, ...] = ()
    sound: tuple[str, ...] = ()
    suspects: Suspects = _NONE
    acting: frozenset[str] = frozenset()


def survey(
    files: Sequence[SourceFile], watching: Watchers, spoken: Spoken, *, jobs: int, progress: Callable[[str], None]
) -> dict[str, Surveyed]:
    """Return what the texts of a task's files say, by path.

    Args:
        spoken: the low precision that the whole project speaks of.
    """
    found = [Surveyed()] * len(files)
    if jobs > 1 and len(files) >= _SPREAD:
        work = map_forked(lambda index: surveyed_of(files[index], watching, spoken), len(files), jobs, progress)
        for index, result in work:
            found[index] = surveyed_of(files[index], watching, spoken) if isinstance(result, Died) else result
    else:
        found = [surveyed_of(file, watching, spoken) for file in files]
    return {file.path: said for file, said in zip(files, found, strict=True)}


def surveyed_of(file: SourceFile, watching: Watchers, spoken: Spoken) -> Surveyed:
    """Return what the text of one file says."""
    data = file.data
    if data is None:
        return Surveyed()
    speaks = AMP_TEXT.within(data)
    code = code_of(data) if speaks else b""
    test = is_test_file(file.path)
    torch = b"torch" in data and not test
    return Surveyed(
        speaks=speaks,
        steps=speaks and STEPS_TEXT.within(code),
        low=speaks and LOW_TEXT.within(code),
        code=code,
        inspected=tuple(rule for rule, reads, _ in watching.inspections if reads.within(code)) if speaks else (),
        sound=tuple(
            rule
            for rule, wanted, _ in watching.soundness
            if not test and (torch or not wanted.torch) and wanted.within(data)
        ),
        suspects=suspects_of(data, spoken) if torch and not _BESIDE.search(file.path) else _NONE,
        acting=acting_names(data),
    )


@lru_cache(maxsize=1 << 17)  # every task of a run asks for the same files
def acting_names(data: bytes | None) -> frozenset[str]:
    """Return the names of the functions in a text that acts on gradients: a call of any other name leads nowhere."""
    if data is None or not ACTS_TEXT.within(data):
        return frozenset()
    return frozenset(name.decode() for name in _DEFINED.findall(data))
