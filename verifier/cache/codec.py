"""What a stage brought as JSON and back: what is not JSON through and through is not kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import astuple, fields
from typing import Any

from verifier.cache.seen import Seen
from verifier.model.finding import Evidence, Finding, Location, Related, Severity
from verifier.model.stage import Gate, GateStatus, StageOutcome

_GATE_FIELDS = tuple(field.name for field in fields(Gate))
_PLAIN = (str, int, float, bool, type(None))


class NotPlainError(ValueError):
    """A value is no JSON, or would come back as something else."""


def outcome_to_json(outcome: StageOutcome) -> Any:
    """Return a value that `outcome_from_json` makes the same outcome of.

    Raises:
        NotPlainError: something in it cannot be kept.
    """
    if outcome.marks:
        raise NotPlainError("marks refer to findings of this run")
    return {
        "checks_run": outcome.checks_run,
        "findings": [finding_to_json(finding) for finding in outcome.findings],
        "gates": [_gate(gate) for gate in outcome.gates],
        "facts": plain(outcome.facts),
    }


def outcome_from_json(value: Any) -> StageOutcome:
    return StageOutcome(
        checks_run=value["checks_run"],
        findings=tuple(map(finding_from_json, value["findings"])),
        gates=tuple(map(_gate_from_json, value["gates"])),
        facts=value["facts"],
    )


def finding_to_json(finding: Finding) -> Any:
    """Return a finding as a list, in the order of its fields."""
    return [
        finding.rule,
        int(finding.severity),
        finding.message,
        astuple(finding.location),
        finding.symbol,
        [[astuple(other.location), other.message] for other in finding.related],
        [[item.kind, item.summary, plain(item.data)] for item in finding.evidence],
        *(finding.why, finding.impact, finding.remediation, finding.fix),
    ]


def finding_from_json(value: Any) -> Finding:
    rule, severity, message, place, symbol, related, evidence, why, impact, remediation, fix = value
    return Finding(
        rule=rule,
        severity=Severity(severity),
        message=message,
        location=_location(place),
        symbol=symbol,
        related=tuple(Related(location=_location(other), message=told) for other, told in related),
        evidence=tuple(Evidence(kind=kind, summary=summary, data=data) for kind, summary, data in evidence),
        why=why,
        impact=impact,
        remediation=remediation,
        fix=fix,
    )


def seen_to_json(seen: Seen) -> Any:
    return {"files": seen.files, "folders": seen.folders, "kinds": seen.kinds, "rest": seen.rest}


def seen_from_json(value: Any) -> Seen:
    return Seen(
        files={path: (_stamp(stamp), digest) for path, (stamp, digest) in value["files"].items()},
        folders={path: (_stamp(stamp), digest) for path, (stamp, digest) in value["folders"].items()},
        kinds=value["kinds"],
        rest=value["rest"],
    )


def plain(value: Any) -> Any:
    """Return a value of JSON types only.

    Raises:
        NotPlainError: it has others, or keys that are no text.
    """
    if type(value) in _PLAIN:
        return value
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, Mapping):
        if not all(type(key) is str for key in value):
            raise NotPlainError("a key is no text")
        return {key: plain(item) for key, item in value.items()}
    raise NotPlainError(f"{type(value).__name__} is no type of JSON")


def _location(value: Any) -> Location:
    path, line, column, end_line = value
    return Location(path=path, line=line, column=column, end_line=end_line)


def _gate(gate: Gate) -> Any:
    return {name: getattr(gate, name) for name in _GATE_FIELDS}


def _gate_from_json(value: Any) -> Gate:
    given: dict[str, Any] = {name: tuple(item) if isinstance(item, list) else item for name, item in value.items()}
    return Gate(**{**given, "status": GateStatus(value["status"])})


def _stamp(value: Any) -> Any:
    return None if value is None else tuple(value)
