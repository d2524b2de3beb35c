from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from reports.mermaid import graph, label


@given(st.text())
def test_a_label_holds_no_character_that_mermaid_reads(name):
    assert re.fullmatch(r"(?:[A-Za-z0-9_. /-]|#[0-9]+;)*", label(name))


def test_imports_that_do_not_run_at_load_are_dotted():
    drawn = graph(["a", "b"], [("a", "b", "eager", 0), ("b", "a", "lazy", 7), ("a", "elsewhere", "eager", 1)])
    nodes = '    n0["a"]\n    n1["b"]\n'
    assert drawn == f"```mermaid\ngraph LR\n{nodes}    n0 --> n1\n    n1 -.->|line 7, lazy| n0\n```"


def test_an_edge_is_drawn_once_and_an_unknown_kind_has_no_label():
    drawn = graph(["a"], [("a", "a", '"]; click', 0)] * 2)
    assert drawn.count("-->") == 1
    assert "click" not in drawn
