"""What a stage brought comes back as it was, or is not kept at all."""

from __future__ import annotations

import enum
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from verifier.cache.codec import NotPlainError, outcome_from_json, outcome_to_json
from verifier.model.finding import Evidence, Finding, Location, Related, Severity
from verifier.model.stage import Gate, GateStatus, Mark, StageOutcome

_TEXT = st.text(max_size=20)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | _TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
    max_leaves=6,
)
_PLACE = st.builds(
    Location, path=_TEXT, line=st.integers(1), column=st.integers(1), end_line=st.none() | st.integers(1)
)
_EVIDENCE = st.builds(
    Evidence,
    kind=st.sampled_from(["source", "simulation"]),
    summary=_TEXT,
    data=st.dictionaries(_TEXT, _JSON, max_size=3),
)
_FINDING = st.builds(
    Finding,
    rule=_TEXT,
    severity=st.sampled_from(list(Severity)),
    message=_TEXT,
    location=_PLACE,
    symbol=st.none() | _TEXT,
    related=st.lists(st.builds(Related, location=_PLACE, message=_TEXT), max_size=2).map(tuple),
    evidence=st.lists(_EVIDENCE, max_size=2).map(tuple),
    why=_TEXT,
    fix=st.sampled_from([None, "safe", "unsafe"]),
)
_GATE = st.builds(
    Gate,
    name=_TEXT,
    requirement=_TEXT,
    status=st.sampled_from(list(GateStatus)),
    evidence=_TEXT,
    sums_up=st.lists(_TEXT, max_size=3).map(tuple),
    at_most=st.none() | st.integers(),
    lacks=st.lists(_TEXT, max_size=2).map(tuple),
)
_OUTCOME = st.builds(
    StageOutcome,
    checks_run=st.integers(0),
    findings=st.lists(_FINDING, max_size=3).map(tuple),
    gates=st.lists(_GATE, max_size=3).map(tuple),
    facts=st.dictionaries(_TEXT, _JSON, max_size=3),
)


@given(_OUTCOME)
def test_an_outcome_comes_back_as_it_was(outcome: StageOutcome) -> None:
    assert outcome_from_json(json.loads(json.dumps(outcome_to_json(outcome)))) == outcome


class _Colour(enum.StrEnum):
    RED = "red"


@pytest.mark.parametrize("value", [{1: "a"}, {"a": {1, 2}}, {"a": _Colour.RED}, {"a": b"bytes"}, {"a": object()}])
def test_what_would_come_back_as_something_else_is_not_kept(value: dict[Any, Any]) -> None:
    with pytest.raises(NotPlainError):
        outcome_to_json(StageOutcome(checks_run=1, facts=value))


def test_marks_are_not_kept() -> None:
    finding = Finding(rule="AMP101", severity=Severity.HIGH, message="", location=Location(path="a.py"))
    mark = Mark(finding=finding, evidence=Evidence(kind="run", summary=""))
    with pytest.raises(NotPlainError):
        outcome_to_json(StageOutcome(checks_run=1, marks=(mark,)))
