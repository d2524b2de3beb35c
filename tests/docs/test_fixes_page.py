"""docs/fixes.md lists every fix as the fix itself says it."""

from __future__ import annotations

from pathlib import Path

from tests.stages.fixing import plugins

PAGE = Path(__file__).parents[2] / "docs" / "fixes.md"


def rows() -> list[str]:
    """Return the table as the fixes make it: run this file to print it."""
    known = plugins()
    lines = ["| rule | safe? | what it does | what it leaves alone |", "|---|---|---|---|"]
    for code, fix in known.fixes.items():
        name = known.rules[code].name
        left = fix.declines or "nothing"
        lines.append(f"| [{code}](rules/{code}.md) `{name}` | {fix.safety} | {fix.summary} | {left} |")
    return lines


def test_the_page_has_the_table_of_all_fixes() -> None:
    assert "\n".join(rows()) in PAGE.read_text("utf-8"), "run `python -m tests.docs.test_fixes_page` for the table"


if __name__ == "__main__":
    print("\n".join(rows()))
