"""Drawings of cycles: complete, and unbreakable by names."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from stages.syntax.imports.drawings import as_mermaid, as_text
from stages.syntax.imports.graph import Edge

HOSTILE = st.text(min_size=1, max_size=20)


@given(HOSTILE, HOSTILE)
def test_no_name_can_add_a_line_or_leave_its_label(first: str, second: str) -> None:
    edges = (Edge("1", "2", 3, "eager"), Edge("2", "1", 4, "lazy"))
    names = {"1": first, "2": second}
    lines = as_mermaid(edges, names.__getitem__).split("\n")
    assert len(lines) == 5
    assert all(re.fullmatch(r'    n\d\["[\w.#;]+"\]', line, re.ASCII) for line in lines[1:3])
    assert len(as_text(edges, names.__getitem__).splitlines()) == 4


def test_lazy_steps_are_dotted_and_every_step_has_its_line() -> None:
    drawn = as_mermaid((Edge("a.py", "b.py", 3, "eager"), Edge("b.py", "a.py", 4, "lazy")), str)
    assert drawn.splitlines()[-2:] == ["    n0 -->|line 3| n1", "    n1 -.->|line 4, lazy| n0"]
    assert "b.py\n  -> a.py  (lazy import, line 4)" in as_text((Edge("b.py", "a.py", 4, "lazy"),), str)
