"""Writes the list of operators into docs/mutants.md, so that page and code say the same."""

from __future__ import annotations

import sys
from pathlib import Path

from stages.mutation.catalogue import ARITHMETIC, FRAMEWORKS, SCALER, SCOPE, STATE, WITHOUT_OPERATOR, Row

BEGIN, END = "<!-- list: begin -->", "<!-- list: end -->"
_GROUPS = {
    "Scaler": SCALER,
    "Scope of autocast": SCOPE,
    "Arithmetic": ARITHMETIC,
    "Parameters and state": STATE,
    "Frameworks": FRAMEWORKS,
}


def listed() -> str:
    """Return the tables of operators, and of the rules for which there is none."""
    parts = [f"### {title}\n\n{_table(rows)}" for title, rows in _GROUPS.items()]
    reasons: dict[str, list[str]] = {}
    for code, reason in sorted(WITHOUT_OPERATOR.items()):
        reasons.setdefault(reason, []).append(code)
    without = ["| Rules | Why there is no operator |", "| --- | --- |"]
    without += [f"| {', '.join(codes)} | {reason} |" for reason, codes in reasons.items()]
    return "\n\n".join([*parts, "### Rules without operator\n\n" + "\n".join(without)])


def with_list(page: str) -> str:
    """Return the page with the list of today between its marks."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{listed()}\n\n{END}{after}"


def _table(rows: tuple[Row, ...]) -> str:
    lines = ["| Operator | What it does | Expected | Visible in text |", "| --- | --- | --- | --- |"]
    for row in rows:
        seen = f"{row.visible}: {row.why}" if row.why else str(row.visible)
        lines.append(f"| `{row.name}` | {row.does} | {', '.join(row.codes)} | {seen} |")
    return "\n".join(lines)


if __name__ == "__main__":
    path = Path(sys.argv[1])
    path.write_text(with_list(path.read_text("utf-8")), "utf-8")
