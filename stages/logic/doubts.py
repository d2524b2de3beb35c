"""Looks at code that half precision would harm although nothing in sight runs it so: suspicions, INFO."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from stages._source.program.kinds import Kinds
from stages._source.versions import WHERE_PROMOTES, TorchVersions
from stages.logic.dtypes.judging import suspected
from stages.logic.dtypes.suspected import Suspecting
from stages.logic.findings import finding_of
from stages.logic.view import View
from verifier.api import Severity

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from stages.logic.dtypes.program import Dtypes
    from stages.logic.survey import Surveyed
    from stages.logic.suspects import Spoken
    from stages.logic.watch import Inspect, Watchers
    from verifier.api import Finding, RuleInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubting:
    """What is needed to doubt a file: what its text says, and what is known to run in low precision.

    Args:
        spoken: the low precision that the project speaks of.
    """

    surveyed: Mapping[str, Surveyed]
    spoken: Spoken
    root: Path
    dtypes: Dtypes
    found: Sequence[Finding]


def doubtful(doubting: Doubting, watching: Watchers, known: Mapping[str, RuleInfo]) -> Iterator[Finding]:
    """Yield what low precision would harm in files that say something harmful, whether they speak of AMP or not."""
    dtypes, spoken = doubting.dtypes, doubting.spoken
    kinds, versions = Kinds(dtypes.project), TorchVersions(doubting.root)
    judges, inspections = watching.suspecting(spoken), watching.suspicions if spoken.low else ()
    suspecting = Suspecting(dtypes, spoken)
    found = {(item.rule, item.location.path, item.symbol) for item in doubting.found}
    for path, said in doubting.surveyed.items():
        suspects = said.suspects
        whole = suspects.whole or (suspects.choices and versions.of(path).admit_older_than(WHERE_PROMOTES))
        module = dtypes.project.module(path) if suspects.lines or whole else None
        if module is None:
            continue
        yield from suspected(known, judges, dtypes.project, suspecting.read(module, suspects.lines), found)
        if whole:
            yield from _doubted(View(dtypes.project, module, kinds, versions), inspections, known)


def _doubted(
    view: View, inspections: Sequence[tuple[str, Inspect]], known: Mapping[str, RuleInfo]
) -> Iterator[Finding]:
    for code, suspect in inspections:
        for problem in suspect(view):
            yield finding_of(known[code], replace(problem, severity=Severity.INFO, suspicion=True))
