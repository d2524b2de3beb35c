"""The page about lint names every rule that counts, and no other."""

from __future__ import annotations

import re
from pathlib import Path

from stages.syntax.lint.selection import SELECT

PAGE = Path(__file__).parents[4] / "docs/lint.md"


def test_the_page_names_every_rule_that_counts() -> None:
    listed = PAGE.read_text("utf-8").partition("## What is not reported")[0]
    assert set(re.findall(r"`([A-Z]+\d+)`", listed)) == set(SELECT)
