"""Decides how the diff of an automatic fix becomes the replacements of a SARIF fix."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from reports.places import file_of, uri

if TYPE_CHECKING:
    from collections.abc import Iterator

    from verifier.api import Reported

_HUNK = re.compile(r"@@ -(?P<line>\d+)(?:,(?P<count>\d+))? \+\d+(?:,\d+)? @@")
_LONG = 100_000  # characters of a diff; a longer one is for `verify fix`
_SAFETY = {"safe": "", "unsafe": " (may change what the program does)"}


def fixes(item: Reported, otherwise: str) -> list[dict[str, Any]]:
    """Return the one fix of a finding, or nothing: its diff says what changes, file by file."""
    if not item.diff or len(item.diff) > _LONG:
        return []
    changes = [
        {"artifactLocation": {"uri": uri(file_of(path, otherwise))}, "replacements": replacements}
        for path, lines in _files(item.diff)
        if (replacements := list(_replacements(lines)))
    ]
    words = f"verify fix{' --unsafe' if item.finding.fix == 'unsafe' else ''}{_SAFETY[item.finding.fix or 'safe']}"
    return [{"description": {"text": words}, "artifactChanges": changes}] if changes else []


def _files(diff: str) -> Iterator[tuple[str, list[str]]]:
    path, lines = "", list[str]()
    for line in diff.split("\n"):
        if line.startswith("--- ") and not _within_hunk(lines):
            if path:
                yield path, lines
            path, lines = "", []
        elif line.startswith("+++ b/") and not path:
            path = line.removeprefix("+++ b/")
        elif path:
            lines.append(line)
    if path:
        yield path, lines


def _within_hunk(lines: list[str]) -> bool:
    """Say whether the last hunk still waits for old lines: then `--- ` is a deleted line that begins with `-- `."""
    wanted = seen = 0
    for line in lines:
        if found := _HUNK.match(line):
            wanted, seen = int(found["count"] or 1), 0
        elif line[:1] in ("-", " "):
            seen += 1
    return seen < wanted


def _replacements(lines: list[str]) -> Iterator[dict[str, Any]]:
    """Yield one replacement for each run of changed lines; `number` is the next line of the old file."""
    number = 0
    old, new = list[str](), list[str]()
    for line in [*lines, "@@ end"]:
        if line.startswith("-"):
            old.append(line[1:])
        elif line.startswith("+"):
            new.append(line[1:])
        elif not line.startswith("\\"):
            if old or new:
                yield _replacement(number, old, new)
                number += len(old)
                old, new = [], []
            if found := _HUNK.match(line):
                number = int(found["line"]) + (found["count"] == "0")
            else:
                number += 1


def _replacement(line: int, old: list[str], new: list[str]) -> dict[str, Any]:
    """Replace whole lines. The region ends before the line end of the last one, or, without a new line, after it."""
    if not old:
        region = {"startLine": line, "startColumn": 1, "endLine": line, "endColumn": 1}
        return _changed(region, "".join(f"{text}\n" for text in new))
    if not new:
        return {"deletedRegion": {"startLine": line, "startColumn": 1, "endLine": line + len(old), "endColumn": 1}}
    region = {"startLine": line, "startColumn": 1, "endLine": line + len(old) - 1, "endColumn": len(old[-1]) + 1}
    return _changed(region, "\n".join(new))


def _changed(region: dict[str, int], text: str) -> dict[str, Any]:
    return {"deletedRegion": region, "insertedContent": {"text": text}}
