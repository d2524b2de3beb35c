"""Decides what stays of a Markdown page that is too long for the summary of a job: whole sections, no half tables."""

from __future__ import annotations

import re

LIMIT = 1_000_000  # bytes; GitHub takes 1 MiB of a step and refuses more
_FENCE = re.compile(r"(?P<ticks>`{3,})")
_SECTION = "## "


def shortened(document: str, limit: int = LIMIT) -> str:
    """Return the document, without its last sections where it is longer than `limit` bytes."""
    if _size(document) <= limit:
        return document
    first, *sections = _sections(document)
    kept = _first_blocks(first, limit)
    left_out: list[str] = []
    for section in sections:
        if left_out or _size(first) > limit or _size(kept) + _size(section) > limit:
            left_out.append(section.split("\n", maxsplit=1)[0].removeprefix(_SECTION))
        else:
            kept += section
    return kept + _note(left_out)


def _note(titles: list[str]) -> str:
    named = f" Left out: {', '.join(titles)}." if titles else ""
    return f"\n---\n\nThis summary was cut, as it must stay below 1 MiB; `report.md` has all of it.{named}\n"


def _sections(document: str) -> list[str]:
    parts, fence = [""], ""
    for line in document.splitlines(keepends=True):
        opened = _FENCE.match(line)
        if opened and not fence:
            fence = opened["ticks"]
        elif opened and line.strip() == fence:
            fence = ""
        if line.startswith(_SECTION) and not fence:
            parts.append("")
        parts[-1] += line
    return parts


def _first_blocks(section: str, limit: int) -> str:
    """Return what comes before the first section, cut between its paragraphs where it alone is too long."""
    kept = ""
    for block in section.split("\n\n"):
        if _size(kept) + _size(block) > limit:
            break
        kept += f"{block}\n\n"
    return kept


def _size(text: str) -> int:
    return len(text.encode("utf-8", "backslashreplace"))
