"""Where in a TOML file a key stands, so that an error about it can name the line."""

from __future__ import annotations

import re

_HEADER = re.compile(r"^\s*(\[\[?)\s*(?P<path>.+?)\s*\]\]?\s*(#.*)?$")
_KEY = re.compile(r"""^\s*(?P<path>(?:[\w-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[\w-]+|"[^"]*"|'[^']*'))*)\s*=""")
_PART = re.compile(r"""[\w-]+|"[^"]*"|'[^']*'""")


def line_of(text: str, keys: tuple[str | int, ...]) -> int:
    """Return the 1-based line on which the longest known part of `keys` is written.

    `keys` is the path to a value, with numbers for the elements of arrays of tables. A key inside an inline table
    or a multi-line array is reported at the line where that table or array begins.
    """
    best, best_line = 0, 1
    here: tuple[str | int, ...] = ()
    seen: dict[tuple[str, ...], int] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if header := _HEADER.match(line):
            path = _parts(header["path"])
            here = path
            if header[1] == "[[":
                index = seen[path] = seen.get(path, -1) + 1
                here = (*path, index)
            elif any(path[: len(table)] == table for table in seen):
                here = _under_latest(path, seen)
            candidate = here
        elif key := _KEY.match(line):
            candidate = (*here, *_parts(key["path"]))
        else:
            continue
        common = _common(candidate, keys)
        if common > best and common == len(candidate):
            best, best_line = common, number
    return best_line


def _parts(path: str) -> tuple[str, ...]:
    return tuple(part.strip("\"'") for part in _PART.findall(path))


def _under_latest(path: tuple[str, ...], seen: dict[tuple[str, ...], int]) -> tuple[str | int, ...]:
    table = max((table for table in seen if path[: len(table)] == table), key=len)
    return (*table, seen[table], *path[len(table) :])


def _common(left: tuple[str | int, ...], right: tuple[str | int, ...]) -> int:
    count = 0
    for one, other in zip(left, right, strict=False):
        if one != other:
            break
        count += 1
    return count
