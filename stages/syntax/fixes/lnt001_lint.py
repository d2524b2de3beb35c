"""Removes unused imports by the edits that ruff itself proposes as safe."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

from stages._source.rewriting.reading import reading
from stages._source.ruff.binary import environment, find_ruff
from stages.syntax.lint.unused import UNUSED
from verifier.api import Edit, Fix, Key, Repair

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from stages._source.rewriting.reading import Reading
    from stages._source.ruff.binary import Ruff
    from verifier.api import Finding, FixContext, Location

_RUFF: Key[Ruff] = Key("ruff, for fixes")
_LIMIT_S = 20.0


def _repair(finding: Finding, context: FixContext) -> Repair | None:
    places = [finding.location, *(one.location for one in finding.related)]
    told = finding.evidence[0].data.get("places") if finding.evidence else None
    if finding.fix is None or told != len(places):
        return None  # of very many places only some are listed
    edits: dict[str, tuple[Edit, ...]] = {}
    for path in sorted({place.path for place in places}):
        file, read = context.file(path), None
        if file is not None:
            read = reading(context, path)
        here = [place for place in places if place.path == path]
        made = _edits(read, here, context) if read is not None else None
        if made is None or read is None:
            return None
        edits[path] = made
    commented = any("#" in context.text(path).text[edit.start : edit.end] for path in edits for edit in edits[path])
    count = f"{len(places)} unused import{'' if len(places) == 1 else 's'}"
    return Repair(edits=edits, what=f"removes {count}", safety="unsafe" if commented else finding.fix)


def _edits(read: Reading, places: Sequence[Location], context: FixContext) -> tuple[Edit, ...] | None:
    """Return ruff's edits for these places; None where it has none, or none that it calls safe, for one of them."""
    wanted = {(place.line, place.column) for place in places}
    found: dict[tuple[int, int], list[Edit]] = {}
    for entry in _asked(read, context):
        place = entry["location"]["row"], entry["location"]["column"]
        fix = entry.get("fix") or {}
        if place in wanted and fix.get("applicability") == "safe":
            found[place] = [_edit(read, item) for item in fix["edits"]]
    if found.keys() != wanted:
        return None
    return tuple(dict.fromkeys(edit for edits in found.values() for edit in edits))


def _asked(read: Reading, context: FixContext) -> Iterator[dict[str, Any]]:
    ruff = context.stash.get(_RUFF) or find_ruff(context.config.root)
    if ruff is None:
        return
    context.stash.put(_RUFF, ruff)
    command = [
        str(ruff.path), "check", "--isolated", "--no-cache", "--exit-zero", "--quiet", "--output-format", "json-lines",
        "--select", UNUSED, "--stdin-filename", read.path, "-",
    ]  # fmt: skip
    file = context.file(read.path)
    data = file.data if file is not None else None
    try:
        done = subprocess.run(
            command, input=data, capture_output=True, timeout=_LIMIT_S, check=False, env=environment(1),
            cwd=context.config.root,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return
    for line in done.stdout.splitlines():
        yield json.loads(line)


def _edit(read: Reading, item: dict[str, Any]) -> Edit:
    """Return an edit of ruff's, which counts characters from 1."""
    start, end = (
        read.text.line_starts[p["row"] - 1] + p["column"] - 1 for p in (item["location"], item["end_location"])
    )
    return Edit(start, end, item["content"] or "")


FIX = Fix(
    rule="LNT001",
    safety="safe",
    summary=(
        "Removes unused imports (F401) by the edits that ruff calls safe; unsafe where they load project code, or a"
        " comment goes with them."
    ),
    repair=_repair,
    declines="the error is another one than F401, ruff proposes no safe edit, or there are more places than are listed",
    shown=False,
)
