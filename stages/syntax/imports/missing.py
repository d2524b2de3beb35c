"""Decides how a missing import is told: once for each target, with every place that asks for it."""

from __future__ import annotations

from dataclasses import dataclass

from verifier.api import Evidence, Finding, Location, Related, Severity

_MAX_RELATED = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """One suspect import that is a finding: the missing target, where, how bad and why not worse."""

    code: str
    target: str
    severity: Severity
    message: str
    reason: str
    location: Location
    lazy: bool = False
    optional: bool = False


def told(places: list[Judged]) -> Finding:
    """Return the one finding for everything that asks for the same missing target, the worst place first."""
    worst = max(place.severity for place in places)
    ordered = sorted(places, key=lambda place: (-place.severity, place.location))
    first = ordered[0]
    others = [place for place in ordered[1:] if place.location != first.location]
    related = [Related(location=place.location, message=f"imported here too: {place.reason}") for place in others]
    count = f" ({len(others) + 1} places)" if others else ""
    return Finding(
        rule=first.code,
        severity=worst,
        message=f"{first.message}: {first.reason}{count}",
        location=first.location,
        symbol=first.target.rpartition(":")[2] if first.code == "IMP001" else first.target,
        related=tuple(related[:_MAX_RELATED]),
        evidence=(
            Evidence(
                kind="source",
                summary=f"{first.target.replace(':', '.')} is looked up by {len(others) + 1} import statement(s)",
                data={"target": first.target.replace(":", "."), "places": len(others) + 1},
            ),
        ),
        why=_WHY[first.code],
        remediation=_remedy(first),
    )


_WHY = {
    "IMP001": "Python raises ImportError when it reaches the statement; nothing below it in that scope runs.",
    "IMP002": "On a machine that holds exactly what the project declares, the import raises ModuleNotFoundError.",
}


def _remedy(place: Judged) -> str:
    if "git submodule" in place.reason:
        return "Check out what is missing: `git submodule update --init`."
    if place.code == "IMP001":
        return f"Create {place.target.replace(':', '.')}, correct the name, or remove the import."
    top = place.target.partition(".")[0]
    if "is installed here" in place.reason:
        return f"Correct the module's name, or require the version of {top} that has it."
    if "supplies it" in place.reason:
        return f"Nothing to mend if {top} is there where the script runs; otherwise declare what brings it."
    if "declared, but" in place.reason:
        return "Install the project's dependencies where it is verified, or name their interpreter with --python."
    return f"Declare the distribution that brings {top} in the project's dependencies."
