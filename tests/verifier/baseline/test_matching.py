"""An entry covers one finding of its fingerprint that is no worse, and no other."""

from __future__ import annotations

from typing import Any

from tests.builders import finding
from verifier.baseline.document import Entry
from verifier.baseline.matching import Cover


def _entry(mark: str = "m", task: str = "T1", severity: str = "HIGH", **fields: Any) -> Entry:
    values = {"path": "a.py", "rule": "SCP001", "stage": "syntax", "reason": "r"} | fields
    return Entry(task=task, severity=severity, fingerprint=mark, **values)


HIGH = finding(severity="HIGH")


def test_each_entry_covers_one_finding() -> None:
    cover = Cover([_entry(), _entry()], "T1")
    assert [cover.takes(HIGH, "m", counts=True) for _ in range(3)] == [True, True, False]


def test_another_fingerprint_of_the_same_code_is_not_covered() -> None:
    assert not Cover([_entry("m")], "T1").takes(HIGH, "n", counts=True)


def test_a_finding_that_got_worse_is_not_covered_and_one_that_got_better_is() -> None:
    assert not Cover([_entry(severity="MEDIUM")], "T1").takes(HIGH, "m", counts=True)
    assert Cover([_entry(severity="CRITICAL")], "T1").takes(HIGH, "m", counts=True)


def test_a_finding_that_spreads_to_more_places_is_not_covered() -> None:
    wide = finding(severity="HIGH", related=[("a.py:2", "used here too")])
    assert not Cover([_entry()], "T1").takes(wide, "m", counts=True)
    assert Cover([_entry(places=2)], "T1").takes(wide, "m", counts=True)


def test_two_tasks_that_share_a_file_share_its_finding_and_do_not_add_up() -> None:
    cover = Cover([_entry(task="T1"), _entry(task="T2")], "T3")
    assert [cover.takes(HIGH, "m", counts=True) for _ in range(2)] == [True, False]


def test_adopting_covers_what_counts() -> None:
    cover = Cover([], "T1", adopt=True)
    assert cover.takes(HIGH, "m", counts=True)
    assert not cover.takes(finding(severity="INFO"), "n", counts=False)
