"""What is new in a mutant, and what counts as caught."""

from __future__ import annotations

import pytest

from tests.builders import finding, reported, stage_result
from verifier.model.finding import Severity
from verifier.model.stage import Gate, GateStatus
from verifier.mutation.judging import known_of, said_of, word_of
from verifier.mutation.mutants import Mutant


def mutant(**fields):
    """A mutant of a file of three lines, into which a line was put after the first."""
    given = {
        "number": 1,
        "operator": "plain-step",
        "does": "does it",
        "codes": ("AMP101",),
        "path": "train.py",
        "line": 2,
        "end_line": 2,
        "visible": True,
        "data": b"",
        "diff": "",
        "line_before": (1, 2, 2, 3),
    }
    return Mutant(**{**given, **fields})


def results(*findings):
    return (stage_result(*(reported(item) for item in findings), name="logic", number=2),)


def words(before, after, item=None):
    item = item or mutant()
    return word_of(item, said_of(item, results(*after), known_of(results(*before))).news)


@pytest.mark.parametrize(
    ("found", "word"),
    [
        (finding("AMP101", "train.py:3", "CRITICAL"), "caught"),
        (finding("AMP101", "train.py:3", "MEDIUM"), "caught"),
        (finding("AMP101", "train.py:3", "LOW"), "suspected"),
        (finding("AMP102", "train.py:3", "HIGH"), "caught by another"),
        (finding("AMP101", "other.py:3", "HIGH"), "elsewhere"),
        (finding("AMP101", "other.py:3", "HIGH", related=[("train.py:9", "made here")]), "caught"),
        (finding("SCP001", "train.py:3", "CRITICAL"), "missed"),
    ],
)
def test_what_a_new_finding_is_worth(found, word):
    assert words([], [found]) == word


def test_what_the_task_itself_has_catches_nothing_though_its_line_has_moved():
    known = finding("AMP101", "train.py:3", "HIGH")
    assert words([known], [finding("AMP101", "train.py:4", "HIGH")]) == "missed"
    assert words([known], [finding("AMP101", "train.py:1", "HIGH")]) == "caught"


def test_a_suspicion_that_becomes_grave_is_new():
    known = finding("AMP101", "train.py:3", "LOW")
    assert words([known], [finding("AMP101", "train.py:4", "CRITICAL")]) == "caught"


def test_a_gate_that_fails_only_for_the_mutant_is_told():
    def with_gate(status):
        gate = Gate(name="tests", requirement="they pass", status=status, evidence="")
        return (stage_result(name="integration", number=3, gates=(gate,)),)

    passing, failing = with_gate(GateStatus.PASS), with_gate(GateStatus.FAIL)
    assert said_of(mutant(), failing, known_of(passing)).failing == ("tests",)
    assert said_of(mutant(), failing, known_of(failing)).failing == ()
    assert said_of(mutant(), passing, known_of(passing)).failing == ()


def test_severities_of_several_findings_on_a_line_are_the_gravest():
    known = known_of(results(finding("AMP101", "a.py:1", "LOW"), finding("AMP101", "a.py:1", "HIGH")))
    assert known.findings == {("AMP101", "a.py", 1): Severity.HIGH}
