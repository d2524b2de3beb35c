from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from amp_runtime.calibration import HardwareCalibration, load_profile
from amp_runtime.calibration.markdown import code, escaped, grid, prose
from amp_runtime.calibration.report import report
from tests.amp_runtime.calibration.records import profile, records
from tests.amp_runtime.calibration.test_schema import OLD

PARSER = MarkdownIt("commonmark", {"linkify": False}).enable("table")
HOSTILE = st.text(st.sampled_from(list("a1 `|*_<>[]()!#-+.:@\\~&$\n\r\x1b\u202e/=w")), max_size=24)


def _headings(text: str) -> list[str]:
    tokens = PARSER.parse(text)
    return [tokens[place + 1].content for place, token in enumerate(tokens) if token.type == "heading_open"]


def test_the_report_has_its_sections_in_order() -> None:
    text = report(profile(), picture="x-roofline.svg")
    assert _headings(text) == [
        "Calibration of `AMD EPYC`",
        "Precisions",
        "Roofline",
        "Speedup against FP32",
        "Operations",
        "matmul",
        "Not measured",
        "Fused patterns against their parts",
        "How it was measured",
    ]
    assert "![Roofline: GFLOP/s over FLOP per byte](x-roofline.svg)" in text
    assert "| `fp32` | native | 100 | [98.0, 101] | 125 | 80 % | 1.00x | `matmul_1024` |" in text
    assert "| `matmul_1024` | 0.25x |" in text


def test_without_a_picture_it_says_why() -> None:
    assert "There is no picture: matplotlib is not installed." in report(
        profile(), picture=None, no_picture="matplotlib is not installed"
    )


def test_an_impossible_efficiency_never_shows_as_a_percentage() -> None:
    text = report(load_profile(OLD), picture=None)
    assert not re.search(r"\b1\d\d %", text)
    assert "above the stated peak (1.15 times)" in text
    assert "above peak!" in text


@given(HOSTILE)
def test_text_becomes_neither_structure_nor_markup(text: str) -> None:
    for write in (code, prose, escaped):
        table = grid(("a", "b"), [(write(text), "z")], right=set())
        tokens = PARSER.parse(f"x {write(text)} y\n\n- {write(text)} y\n\n{table}")
        assert {token.type for token in tokens} <= {
            *("paragraph_open", "paragraph_close", "inline", "bullet_list_open", "bullet_list_close"),
            *("list_item_open", "list_item_close", "table_open", "table_close", "thead_open", "thead_close"),
            *("tbody_open", "tbody_close", "tr_open", "tr_close", "th_open", "th_close", "td_open", "td_close"),
        }
        inside = {child.type for token in tokens for child in token.children or ()}
        assert inside <= {"text", "code_inline", "text_special"}
        assert sum(token.type == "td_open" for token in tokens) == 2


@pytest.mark.parametrize(
    "text", ["@someone", "#12", "see https://a.example/x", "www.a.example", "a_b_c", "1. one", "- x"]
)
def test_what_a_code_host_would_act_on_is_code(text: str) -> None:
    assert prose(text) == f"`{text}`"


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(records(HardwareCalibration))
def test_any_profile_has_a_report_of_one_title(one: HardwareCalibration) -> None:
    text = report(one, picture=None)
    assert sum(token.type == "heading_open" and token.tag == "h1" for token in PARSER.parse(text)) == 1
    assert "\x1b" not in text


def test_a_hostile_name_stays_a_name() -> None:
    named = replace(profile().metadata, hardware_name="`\n# x <script>|")
    assert _headings(report(profile(metadata=named), picture=None))[0].startswith("Calibration of ``")
