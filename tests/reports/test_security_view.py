"""The page of stage 5 lists what leaves for trackers, and cannot be bent by what the code calls its keys."""

from __future__ import annotations

from reports import markdown
from tests.builders import run_report, stage_result


def page(**facts: object) -> str:
    return markdown.extras(run_report(stage_result(number=5, name="security", facts=facts)))["security.md"]


ROW = {"tracker": "W&B", "kind": "metrics", "key": "loss", "source": "loss", "path": "train.py", "line": 3}


def test_every_value_stands_with_its_key_and_place() -> None:
    text = page(tracker_inventory=[ROW, {**ROW, "key": "", "source": ""}], tools={"secret scanner": None})
    assert "## What leaves for experiment trackers" in text
    assert "`loss`" in text
    assert "`train.py:3`" in text
    assert "chosen by the tracker" in text
    assert "not installed" in text


def test_without_a_tracker_there_is_no_section() -> None:
    assert "experiment trackers" not in page(tracker_inventory=[])


def test_a_hostile_key_stays_in_its_cell() -> None:
    text = page(tracker_inventory=[{**ROW, "key": "a|b\n## c\n</details><script>", "source": "x`y"}])
    assert "\n## c" not in text
    assert "<script>" not in text.replace("`", "") or "<script>" not in [line[:8] for line in text.splitlines()]


def test_facts_of_another_shape_do_no_harm() -> None:
    assert "experiment trackers" not in page(tracker_inventory="none", tools=[1], not_read=3)
