"""Compare what was read in the code with what was seen when it ran: confirmed, refuted, or not reached.

The two halves of a rule look at the same program from two sides, and need not name the same line of one mistake. They
are taken for the same, in this order: the line of the alarm lies in the statement that was reported; a line on the way
to it, in the alarm's stack, does; the alarm stands in the same function and the code has one finding there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from stages.integration.alarms import run_evidence
from verifier.api import Evidence, Mark

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from stages.integration.alarms import Hazard, Watching
    from verifier.api import Finding, Location, RuleInfo

_REFUTED = (
    "refuted in these runs: {runs} came to this statement with everything the rule asks about in place, and it did not "
    "happen. Other settings or data may differ, so the finding stands as it is"
)
_NOT_REACHED = "not reached: no run of this task came to this statement, so it is neither confirmed nor refuted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """`new`: what was seen and nothing had reported; `marks`: what the runs say of what had been reported."""

    new: tuple[Hazard, ...]
    marks: tuple[Mark, ...]


def compare(
    seen: Sequence[Hazard],
    found: Iterable[Finding],
    runs: Sequence[Watching],
    rules: Mapping[str, RuleInfo],
    heard: Iterable[str],
) -> Compared:
    """Match hazards with findings of the stages that read.

    Args:
        heard: the codes that the sanitizer looks for; of others a run says nothing.
    """
    codes = frozenset(heard)
    open_ones = [finding for finding in found if finding.rule in codes]
    partners = {id(hazard): _partner(hazard, open_ones) for hazard in seen}
    marks: list[Mark] = []
    for finding in open_ones:
        happened = [hazard for hazard in seen if partners[id(hazard)] is finding]
        marks += [_confirmed(finding, hazard, rules) for hazard in happened] or _not_seen(finding, runs)
    return Compared(new=tuple(one for one in seen if partners[id(one)] is None), marks=tuple(marks))


def _partner(hazard: Hazard, found: Sequence[Finding]) -> Finding | None:
    same = [finding for finding in found if finding.rule == hazard.code]
    exact = [finding for finding in same if _within(hazard.location.path, hazard.location.line, finding.location)]
    if exact:
        return exact[0]
    for frame in reversed(hazard.frames[:-1]):
        if on_the_way := [finding for finding in same if _within(frame.path, frame.line, finding.location)]:
            return on_the_way[0]
    together = [finding for finding in same if _same_function(hazard, finding)]
    return together[0] if len(together) == 1 else None


def _within(path: str, line: int, place: Location) -> bool:
    return path == place.path and place.line <= line <= (place.end_line or place.line)


def _same_function(hazard: Hazard, finding: Finding) -> bool:
    if not hazard.frames or not finding.symbol or finding.location.path != hazard.location.path:
        return False
    return hazard.frames[-1].function.replace(".<locals>", "") == finding.symbol.replace(".<locals>", "")


def _confirmed(finding: Finding, hazard: Hazard, rules: Mapping[str, RuleInfo]) -> Mark:
    run, alarm = hazard.seen[0]
    evidence = run_evidence(run, alarm, verdict="confirmed")
    return Mark(
        finding=finding,
        evidence=Evidence(kind="run", summary=f"confirmed, {evidence.summary}: {alarm.message}", data=evidence.data),
        confirmed=True,
        severity=rules[hazard.code].severity,
    )


def _not_seen(finding: Finding, runs: Sequence[Watching]) -> list[Mark]:
    watched = [run for run in runs if run.report is not None and run.report.watched.steps]
    if not watched:
        return []
    there = [run.name for run in watched if _looked(run, finding)]
    if there:
        summary = _REFUTED.format(runs=", ".join(there[:3]) + (" and others" if len(there) > 3 else ""))
        evidence = Evidence(kind="run", summary=summary, data={"verdict": "refuted", "runs": there})
    else:
        evidence = Evidence(kind="run", summary=_NOT_REACHED, data={"verdict": "not reached"})
    return [Mark(finding=finding, evidence=evidence)]


def _looked(run: Watching, finding: Finding) -> bool:
    places = run.report.watched.looked.get(finding.rule, ()) if run.report else ()
    parts = (place.rpartition(":") for place in places)
    return any(_within(path, int(line), finding.location) for path, _, line in parts)
