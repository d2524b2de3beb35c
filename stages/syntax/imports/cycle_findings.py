"""Decides how a judged cycle is reported: IMP003 fails, IMP004 is fragile, IMP005 is lazy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stages.syntax.imports.drawings import as_mermaid, as_text, printable
from stages.syntax.imports.remedies import proved, remedy
from verifier.api import Evidence, Finding, Location, Related, Severity

if TYPE_CHECKING:
    from collections.abc import Callable

    from stages.syntax.imports.cycles import Cycle
    from stages.syntax.imports.graph import Edge
    from stages.syntax.imports.simulated import Failed
    from verifier.api import Json

_LISTED = 200  # members of a lazy or fragile cycle that are listed one by one
_NAMED = 6
_SAID = 3


def cycle_finding(cycle: Cycle, name_of: Callable[[str], str]) -> Finding:
    """Return the finding for one cycle."""
    if cycle.kind == "failing":
        return _failing(cycle, name_of)
    return _fragile(cycle, name_of) if cycle.kind == "fragile" else _lazy(cycle, name_of)


def cycle_facts(cycle: Cycle, name_of: Callable[[str], str]) -> dict[str, Json]:
    """Return a cycle as a JSON fact, with its drawings."""
    return {
        "kind": cycle.kind,
        "modules": list(_members(cycle, name_of)),
        "size": len(cycle.members),
        "fails_from": list(cycle.fails_from),
        "error": f"{cycle.failed.kind}: {printable(cycle.failed.message)}" if cycle.failed else "",
        "risk": _RISK[cycle.kind],
        "imports": [_edge_fact(edge, name_of) for edge in cycle.edges],
        "text": as_text(cycle.edges, name_of),
        "mermaid": as_mermaid(cycle.edges, name_of),
    }


_RISK = {
    "failing": "importing one of its modules first raises",
    "fragile": "works from every entry today, and only because of the order of statements",
    "lazy": "safe while loading: it exists only through imports that do not run on import",
}


def _edge_fact(edge: Edge, name_of: Callable[[str], str]) -> dict[str, Json]:
    return {"from": name_of(edge.source), "to": name_of(edge.target), "line": edge.line, "kind": edge.kind}


def _failing(cycle: Cycle, name_of: Callable[[str], str]) -> Finding:
    failed = cycle.failed
    assert failed is not None
    return Finding(
        rule="IMP003",
        severity=Severity.HIGH,
        message=f"importing {_ways(cycle, name_of)} first fails: import cycle {_drawn(cycle, name_of)}",
        location=Location(path=failed.path, line=failed.line),
        symbol=name_of(failed.path),
        related=(*_errors(cycle, name_of), *_related(cycle, name_of)),
        evidence=(
            Evidence(
                kind="simulation",
                summary=(
                    f"Module initialisation, simulated from every project module, raises from {len(cycle.fails_from)}: "
                    f"{failed.kind} at {failed.path}:{failed.line}."
                ),
                data={"cycle": sorted({name_of(path) for path in cycle.members}), "fails_from": list(cycle.fails_from)},
            ),
            *proved(cycle.proposal),
        ),
        why=(
            "Python puts a module into sys.modules before it has run. Whoever imports it again on the way round "
            "gets it half initialised, without the names that are bound further down."
        ),
        impact=_impact(cycle, name_of),
        remediation=remedy(cycle.proposal),
    )


def _ways(cycle: Cycle, name_of: Callable[[str], str]) -> str:
    """Return the modules that cannot be imported first, those on the cycle before others."""
    own = {name_of(path) for path in cycle.members}
    names = sorted(cycle.fails_from, key=lambda name: (name not in own, name))
    if len(names) > _SAID:
        return f"{names[0]} or any of {len(names) - 1} other modules"
    return " or ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _errors(cycle: Cycle, name_of: Callable[[str], str]) -> tuple[Related, ...]:
    """Return one entry for each error that importing some module first raises."""
    entries: dict[Failed, list[str]] = {}
    for path, failed in cycle.failures:
        entries.setdefault(failed, []).append(name_of(path))
    found = []
    for failed, names in list(entries.items())[:_LISTED]:
        said = ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")
        found.append(
            Related(
                location=Location(path=failed.path, line=failed.line),
                message=f"importing {said} first raises {failed.kind} at `{failed.statement}`: {failed.message}",
            )
        )
    return tuple(found)


def _impact(cycle: Cycle, name_of: Callable[[str], str]) -> str:
    members = sorted({name_of(path) for path in cycle.members})
    if not set(members) <= set(cycle.fails_from):
        return "Whether the program starts depends on which module happens to be imported first."
    beyond = len(set(cycle.fails_from) - set(members))
    also = f", and {beyond} more {'module fails' if beyond == 1 else 'modules fail'} with them" if beyond else ""
    if len(members) == 1:
        return f"{members[0]} cannot be imported first{also}."
    if len(members) == 2:
        return f"Neither {members[0]} nor {members[1]} can be imported first{also}."
    return f"None of the {len(members)} modules of the cycle can be imported first{also}."


def _fragile(cycle: Cycle, name_of: Callable[[str], str]) -> Finding:
    last = cycle.edges[-1] if cycle.edges else None
    location = Location(path=last.source, line=last.line) if last else Location(path=cycle.ring[0])
    return Finding(
        rule="IMP004",
        severity=Severity.MEDIUM,
        message=(
            f"{_count(cycle)} while loading: {_drawn(cycle, name_of)}; it works from every entry, "
            "because whatever is taken from a half-loaded module is bound above the import that leads round"
        ),
        location=location,
        symbol=name_of(location.path),
        related=_related(cycle, name_of),
        evidence=(
            _tied(cycle, name_of, "Module initialisation, simulated from each of its modules, never raises."),
            *proved(cycle.proposal),
        ),
        why="Moving an import or a definition up or down in one of these modules can make importing another one raise.",
        remediation=remedy(cycle.proposal),
    )


def _lazy(cycle: Cycle, name_of: Callable[[str], str]) -> Finding:
    first = cycle.edges[0]
    others = (
        "" if len(cycle.members) == len(cycle.ring) else f" ({len(cycle.members)} modules are tied together this way)"
    )
    how = "inside a function" if first.kind == "lazy" else "for type checking only"
    return Finding(
        rule="IMP005",
        severity=Severity.INFO,
        message=(
            f"import cycle {_drawn(cycle, name_of)} is broken by an import {how}: loading any of its modules "
            f"is safe{others}"
        ),
        location=Location(path=first.source, line=first.line),
        symbol=name_of(first.source),
        related=_related(cycle, name_of),
        evidence=(_tied(cycle, name_of, "No cycle remains when only imports that run while loading are counted."),),
    )


def _tied(cycle: Cycle, name_of: Callable[[str], str], summary: str) -> Evidence:
    members: list[Json] = list(_members(cycle, name_of))
    return Evidence(kind="simulation", summary=summary, data={"cycle": members, "size": len(cycle.members)})


def _members(cycle: Cycle, name_of: Callable[[str], str]) -> list[str]:
    shown = cycle.members if len(cycle.members) <= _LISTED else cycle.ring
    return sorted({name_of(path) for path in shown})


def _count(cycle: Cycle) -> str:
    return "a module imports itself" if len(cycle.members) == 1 else f"{len(cycle.members)} modules import each other"


def _drawn(cycle: Cycle, name_of: Callable[[str], str]) -> str:
    names = [name_of(path) for path in cycle.ring]
    shown = names if len(names) <= _NAMED else [*names[: _NAMED - 1], f"({len(names) - _NAMED} more)", names[-1]]
    return " -> ".join([*shown, names[0]])


def _related(cycle: Cycle, name_of: Callable[[str], str]) -> tuple[Related, ...]:
    return tuple(
        Related(
            location=Location(path=edge.source, line=edge.line),
            message=(
                f"{name_of(edge.source)} imports a module below {name_of(edge.target)}, which loads that package first"
                if edge.implied
                else f"{name_of(edge.source)} imports {name_of(edge.target)} ({edge.kind})"
            ),
        )
        for edge in cycle.edges
    )
