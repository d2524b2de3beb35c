"""Decides what build systems would do with the lines of a log, as GitHub's runner, Azure and TeamCity read them."""

from __future__ import annotations

import re

# What GitHub's runner knows in the form `::name properties::data`; it is taken after leading blanks.
_KNOWN = frozenset(
    (
        *("add-mask", "add-matcher", "add-path", "debug", "echo", "endgroup", "error", "group", "notice"),
        *("internal-set-repo-path", "remove-matcher", "save-state", "set-env", "set-output", "stop-commands"),
        "warning",
    )
)
_ANYWHERE = re.compile(r"##(?:vso|teamcity)?\[")
HOSTILE = (
    *("::set-output name=x::y", "::stop-commands::z", "  ::error file=a::b", "::add-mask::PASS", "##[error]x"),
    *("##[set-env name=a]b", "##vso[task.complete result=Succeeded;]", "##teamcity[buildStatus status='SUCCESS']"),
    *("\n::warning::x", "%0A::error::x", "a##[group]", "::endgroup::"),
)


def commands(log: str) -> list[str]:
    """Return the name of every command in a log, in the order of its lines."""
    return [name for line in log.split("\n") if (name := _command(line))]


def _command(line: str) -> str:
    if _ANYWHERE.search(line):
        return "##"
    begun = line.lstrip()
    info, mark, _ = begun.removeprefix("::").partition("::")
    name = info.split(" ", maxsplit=1)[0].lower()
    return name if begun.startswith("::") and mark and name in _KNOWN else ""
