"""Decides what is said of the requirements of a project: which of them have no bound, and no lock file that helps."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from stages._source.declarations import declarations_in
from verifier.api import Evidence, Finding, Location, read_regular

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from stages._source.requirements import Requirement
    from verifier.api import RuleInfo, SourceTree

_LOCKS = (
    *("uv.lock", "poetry.lock", "pdm.lock", "Pipfile.lock", "pylock.toml", "pixi.lock", "conda-lock.yml"),
    *("constraints.txt", "requirements.lock", "requirements.lock.txt"),
)
_LARGEST = 400_000
_SHOWN = 8


def folders_of(sources: SourceTree) -> list[str]:
    """Return every folder of the files and those above, the root first."""
    found = {""}
    for file in sources.python():
        folder = file.path.rpartition("/")[0]
        while folder and not folder.startswith(".."):
            found.add(folder)
            folder = folder.rpartition("/")[0]
    return sorted(found)


def unpinned(root: Path, sources: SourceTree, rule: RuleInfo) -> Iterator[Finding]:
    """Yield one finding for each file that asks for anything without a bound, in a folder without a lock file."""
    for folder in folders_of(sources):
        here = root / folder
        if any(os.path.isfile(here / name) for name in _LOCKS):  # noqa: PTH113 - false where the folder is shut
            continue
        loose: dict[str, list[Requirement]] = {}
        for item in declarations_in(here).requirements:
            if item.role in ("runtime", "listed") and not item.bounded:
                loose.setdefault(item.file or "pyproject.toml", []).append(item)
        for name, items in sorted(loose.items()):
            yield _finding(root, f"{folder}/{name}" if folder else name, items, rule)


def _finding(root: Path, path: str, items: list[Requirement], rule: RuleInfo) -> Finding:
    names = list(dict.fromkeys(item.name for item in items))
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    line = _line_of(root / path, names[0])
    return Finding(
        rule=rule.code,
        severity=rule.severity,
        message=f"any version will do of {', '.join(names[:_SHOWN])}{more}",
        location=Location(path=path, line=line),
        evidence=(Evidence(kind="source", summary=f"{path} names no version of them", data={"names": names}),),
        remediation="Give bounds, and keep a lock file or constraints of what was tested.",
    )


def _line_of(path: Path, name: str) -> int:
    try:
        text = read_regular(path, _LARGEST).decode("utf-8", "replace")
    except OSError:
        return 1
    wanted = re.compile(rf"(?im)(?<![\w.-]){re.sub('[-_.]+', '[-_.]+', name)}(?![\w-])")
    match = wanted.search(text)
    return text.count("\n", 0, match.start()) + 1 if match else 1
