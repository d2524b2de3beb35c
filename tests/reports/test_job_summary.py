from __future__ import annotations

from reports.job_summary import LIMIT, shortened
from tests.reports.parsed import blocks, headings

ROWS = "\n".join(f"| {n} | x |" for n in range(200))
PAGE = (
    "# BLOCK\n\nSome words.\n\n"
    f"## Short\n\ntext\n\n```text\n## no heading\n```\n\n## Long\n\n| a | b |\n|---|---|\n{ROWS}\n\n## Last\n\nend\n"
)


def test_a_page_within_the_limit_stays_as_it_is():
    assert shortened(PAGE) == PAGE
    assert LIMIT < 1024 * 1024


def test_a_long_page_loses_its_last_sections_as_a_whole_and_names_them():
    text = shortened(PAGE, 400)
    assert [title for _, title in headings(text)] == ["BLOCK", "Short"]
    assert not [token for token in blocks(text) if token.type == "table_open"]
    assert "Left out: Long, Last." in text
    assert "## no heading" in text


def test_a_first_section_that_is_too_long_is_cut_between_paragraphs():
    text = shortened("# BLOCK\n\n" + "word " * 30 + "\n\n" + "x" * 3_000 + "\n\n## Next\n\ny\n", 1_000)
    assert text.startswith("# BLOCK\n\nword")
    assert "xxx" not in text
    assert "Left out: Next." in text
