"""What a run showed of findings that were made by reading: joins them, and never takes one away."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from verifier.model.stage import Key

if TYPE_CHECKING:
    from verifier.model.finding import Finding
    from verifier.model.stage import Mark

FOUND: Key[Mapping[str, tuple[Finding, ...]]] = Key("findings of the stages before")


def marked(finding: Finding, marks: Mapping[str, Sequence[Mark]]) -> Finding:
    """Return a finding with the evidence of every mark that is about it. A run may raise its severity."""
    about = [mark for given in marks.values() for mark in given if mark.finding is finding]
    if not about:
        return finding
    return dataclasses.replace(
        finding,
        evidence=(*finding.evidence, *(mark.evidence for mark in about)),
        severity=max(finding.severity, *(mark.severity or finding.severity for mark in about)),
    )


def confirmed_by(finding: Finding, marks: Mapping[str, Sequence[Mark]]) -> tuple[str, ...]:
    """Return the stages that saw happen what the finding says."""
    return tuple(
        stage for stage, given in marks.items() if any(mark.finding is finding and mark.confirmed for mark in given)
    )
