"""The pictures of stage 4 name what they show, with units, are the same each time, and carry no text that harms."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from reports.performance_plots import performance_plots
from tests.builders import run_report, stage_result
from tests.reports import measurements
from tests.reports.hostile_report import hostile_report

pytest.importorskip("matplotlib", reason="pictures are an extra")


def drawn(facts):
    return {
        plot.file: plot
        for plot in performance_plots(run_report(stage_result(number=4, name="performance", facts=facts)))
    }


@pytest.fixture(scope="module")
def plots():
    return drawn(measurements.facts())


def words(svg: str) -> list[str]:
    return [
        " ".join("".join(node.itertext()).split())
        for node in ElementTree.fromstring(svg).iter()
        if node.tag.endswith("}text")
    ]


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("step-times", ["time of a training step, ms (dots: pairs, box: middle half, line: median)", "FP32", "AMP"]),
        ("speedups", ["required: 1.5 on cuda", "required: 1 on cpu", "format only emulated here"]),
        ("memory", ["bytes of one training step, MiB", "activations for backward", "optimizer state"]),
        ("roofline", ["operations per byte of a step, FLOP/byte", "GFLOP/s", "measured limit of this machine"]),
        ("history", ["this run", "2026-02-03"]),
    ],
)
def test_each_picture_names_its_axes_and_what_is_drawn(plots, name, says):
    shown = words(plots[f"plots/performance-{name}.svg"].svg)
    assert set(says) <= set(shown)
    assert any("char_lm" in word for word in shown)


def test_the_same_figures_are_the_same_bytes(plots):
    again = drawn(measurements.facts())
    assert {file: plot.svg for file, plot in again.items()} == {file: plot.svg for file, plot in plots.items()}


def test_what_was_not_measured_has_no_picture():
    assert drawn({}) == {}
    facts = measurements.facts()
    for one in facts["measurements"]:
        one["roofline"], one["modes"] = None, {}
    assert set(drawn(facts | {"baselines": []})) == {
        "plots/performance-step-times.svg",
        "plots/performance-speedups.svg",
    }


@pytest.mark.parametrize("name", ["</text><script>", "$x_1$\x1b[31m\u202e", "a" * 400])
def test_names_from_outside_stay_text(name):
    for plot in performance_plots(hostile_report(name)):
        tags = {re.sub(r"\{.*\}", "", node.tag) for node in ElementTree.fromstring(plot.svg).iter()}
        assert "script" not in tags
        assert re.fullmatch(r"plots/performance-[a-z-]+\.svg", plot.file)


def test_alternatives_differ_in_lightness_and_not_only_in_hue(plots):
    colours = set(re.findall(r"#[0-9a-f]{6}", plots["plots/performance-step-times.svg"].svg))
    assert {"#7db8e8", "#a33400"} <= colours
