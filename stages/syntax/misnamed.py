"""Decides what is said of functions that are called like tests and stand in no test module."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from verifier.api import Evidence, Finding, Location, Related, Severity

if TYPE_CHECKING:
    from collections.abc import Mapping


def misnamed_findings(rows: Any) -> list[Finding]:
    """Return one API001 finding for each row of the fact `misnamed_tests`."""
    return [_finding(row) for row in rows]


def _finding(row: Mapping[str, Any]) -> Finding:
    name, collected = row["name"], row["collected_by"]
    return Finding(
        rule="API001",
        severity=Severity.INFO,
        message=f"`{name}()` is named like a test but stands in no test module: {row['note']}",
        location=Location(path=row["path"], line=row["line"]),
        symbol=name,
        related=tuple(Related(location=Location(path=path), message="imports it by name") for path in collected),
        evidence=(
            Evidence(
                kind="source",
                summary=f"a function whose name begins with test_ is defined at line {row['line']}",
                data={"collected_by": list(collected)},
            ),
        ),
        why="pytest collects a function by the name it has in a test module, wherever it was defined.",
        remediation=f"Give `{name}()` a name that does not begin with `test_`.",
    )
