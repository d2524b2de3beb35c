from __future__ import annotations

import math

import pytest

from reports.facts import as_number, numbers, rows, section, text, texts, whole
from reports.figures import figure, listed, plural, seconds, sentence

ODD = {"list": [1, {"a": 1}, "x", None], "text": 3, "map": [], "flag": True, "count": 4}


def test_what_has_another_shape_is_left_out():
    assert rows(ODD, "list") == [{"a": 1}]
    assert texts(ODD, "list") == ["x"]
    assert (text(ODD, "text"), section(ODD, "map"), rows(ODD, "absent")) == ("", {}, [])


def test_a_count_may_be_a_number_or_a_list():
    assert (whole(ODD, "count"), whole(ODD, "list"), whole(ODD, "text"), whole(ODD, "absent")) == (4, 4, 3, 0)


def test_numbers_written_as_text_are_numbers():
    assert numbers({"losses": [1, "Infinity", "words", True, None, 2.5]}, "losses") == [1.0, math.inf, 2.5]
    assert math.isnan(as_number("NaN"))


@pytest.mark.parametrize(
    ("value", "written"),
    [(2.04567, "2.046"), (0, "0"), (math.nan, "NaN"), ("-Infinity", "-Infinity"), (None, ""), ("a lot", "a lot")],
)
def test_figures(value, written):
    assert figure(value) == written


@pytest.mark.parametrize(
    ("value", "written"), [(0.314, "0.31 s"), (38.42, "38.4 s"), (140.4, "140 s"), ("NaN", "NaN s")]
)
def test_seconds(value, written):
    assert seconds(value) == written


def test_words():
    assert (plural(1, "class"), plural(2, "class"), plural(1200, "file")) == ("1 class", "2 classes", "1,200 files")
    assert listed(["a", "b", "c"], 2) == "a, b and 1 more"


def test_sentences_leave_names_alone():
    assert sentence("it broke") == "It broke."
    assert sentence("pkg.mod broke.") == "pkg.mod broke."
    assert sentence("") == ""
