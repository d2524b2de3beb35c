"""The page of stage 3 tells of each run under the sanitizer, and its pictures show what was left out and planted."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports import markdown
from reports.findings import seen_at_run_time
from reports.sanitizer_view import sanitizer_view
from reports.timeline_plot import draw, timeline_plots
from tests.builders import finding, reported, run_report, stage_result
from verifier.api import Evidence

SVG = "{http://www.w3.org/2000/svg}"


def run(name: str = "train.py", **fields: Any) -> dict[str, Any]:
    timeline = {
        "step": [1, 2, 3, 4],
        "loss": [2.0, "NaN", 1.5, 1.0],
        "scale": [1024.0, 512.0, 512.0, 512.0],
        "skipped": [2],
        "planted": {"3": "overflow"},
    }
    values = {"steps": 4, "skipped_steps": 1, "scalers": 1, "autocast": {"cpu float16": 4}, "looked": {"AMP103": 2}}
    alarm = {"code": "AMP103", "message": "Clipped.", "step": 1, "last_step": 3, "count": 3, "place": "train.py:7"}
    base = {"run": name, "amp": True, "reported": True, "timeline": timeline, "alarms": [alarm], "problems": ["Blind."]}
    return {**base, **values, **fields}


def test_a_run_is_a_row_and_so_is_each_alarm() -> None:
    seen = sanitizer_view({"sanitizer": [run(), {"run": "b", "reported": False}]}, {})
    assert [row[1:] for row in seen.runs.rows] == [
        (4, 1, "4 cpu float16", 1, 1, 1),
        ("nothing was reported", "", "", "", "", ""),
    ]
    assert [row[0] for row in seen.alarms.rows] == ["AMP103"]
    assert seen.alarms.rows[0][2:4] == ("1 to 3", 3)
    assert seen.problems == ("train.py: Blind.",)


@pytest.mark.parametrize(
    ("scales", "said"),
    [
        ([512.0, 512.0], "512 throughout"),
        ([65536.0, 512.0], "65,536 at the beginning, 512 at the end"),
        ([64.0, 4.0, 128.0], "64 at the beginning, 128 at the end, between 4 and 128 on the way"),
    ],
)
def test_the_way_of_the_loss_scale_is_told(scales: list[float], said: str) -> None:
    seen = sanitizer_view({"sanitizer": [run(timeline={"scale": scales})]}, {})
    assert seen.scales == (f"`train.py`: loss scale {said}; 1 of 4 steps skipped (25 %).",)
    assert "1 %" in seen.healthy


def test_without_a_scaler_nothing_is_said_of_a_scale() -> None:
    seen = sanitizer_view({"sanitizer": [run(timeline={"scale": [None, None]})]}, {})
    assert (seen.scales, seen.healthy) == ((), "")


def test_the_picture_has_two_curves_a_gap_and_marks() -> None:
    picture = ET.fromstring(draw(run()))
    assert len(picture.findall(f"{SVG}polyline")) == 2  # the loss from step 3 on, and the scale
    assert len(picture.findall(f"{SVG}circle")) == 1  # the loss of step 1, alone before the gap
    marks = [title.text for title in picture.iter(f"{SVG}title")]
    assert marks == ["step 2, skipped", "step 3, planted: overflow"] * 2


def test_a_run_without_figures_has_no_picture() -> None:
    assert draw(run(timeline={"step": [1], "loss": [None], "scale": [None]})) == ""
    assert draw(run(timeline={"step": [1], "loss": ["NaN"], "scale": [0.0]})) == ""


@given(st.text(), st.lists(st.one_of(st.none(), st.floats(), st.integers(), st.text()), max_size=6))
def test_whatever_a_run_is_called_and_measured_the_picture_is_well_formed(name: str, values: list[Any]) -> None:
    timeline = {"step": list(range(1, len(values) + 1)), "loss": values, "scale": values}
    if picture := draw(run(name, timeline=timeline)):
        ET.fromstring(picture)


def test_every_picture_has_a_file_of_its_own_and_is_linked() -> None:
    runs = [run("a b"), run("a-b"), run("in FP32", amp=False)]
    report = run_report(stage_result(number=3, name="integration", facts={"sanitizer": runs}))
    files = [file for file, _ in timeline_plots(report).values()]
    assert files == ["plots/steps-a-b.svg", "plots/steps-a-b-2.svg"]
    documents = markdown.extras(report)
    assert all(f"]({file})" in documents["integration.md"] for file in files)
    assert set(files) <= set(documents)


def test_a_finding_says_what_a_run_showed_of_it() -> None:
    verdicts = {"confirmed": "confirmed at run time", "not reached": "not reached at run time", "other": ""}
    for verdict, words in verdicts.items():
        assert seen_at_run_time([Evidence(kind="run", summary="s", data={"verdict": verdict})]) == words
    evidence = Evidence(kind="run", summary="s", data={"verdict": "confirmed", "step": 3, "scale": 65536.0})
    item = reported(finding("AMP103", evidence=(evidence,)), name="clip-before-unscale")
    text = markdown.render(run_report(stage_result(item, number=2, name="logic")))
    assert "(clip-before-unscale), confirmed at run time\n" in text
    assert "Run: s (scale: 65536)" in text
