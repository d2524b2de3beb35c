"""Decides how a page says what was judged, by what and where."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reports.facts import text, texts
from reports.figures import listed, plural

if TYPE_CHECKING:
    from collections.abc import Mapping

    from verifier.api import Json, RunReport

_FIRST = ("python", "torch", "device")


def about(report: RunReport) -> tuple[str, ...]:
    source, environment = report.source, report.environment
    state = " with uncommitted changes" if source.dirty else ""
    commit = f"commit `{source.commit}`{state}" if source.commit else "a tree that is not under git"
    lines = sum(file.lines for file in source.files)
    plugins = texts(report.tool, "plugins")
    return (
        f"verify {text(report.tool, 'version') or 'of unknown version'}"
        f"{f' with plugins {listed(plugins, 20)}' if plugins else ''}, on {commit}",
        f"{plural(len(source.files), 'file')}, {lines:,} lines; their digests are in `report.json`",
        listing(environment),
        f"findings of severity {report.block_at.upper()} and above block",
    )


def listing(values: Mapping[str, Json]) -> str:
    """Write names and values in one line, the well-known names first."""
    keys = [*(key for key in _FIRST if key in values), *sorted(values.keys() - set(_FIRST))]
    return "; ".join(f"{key.replace('_', ' ')} {_plain(values[key])}" for key in keys)


def _plain(value: Json) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, list):
        return listed([_plain(item) for item in value], 20)
    if isinstance(value, dict):
        return listed([f"{key} {_plain(item)}" for key, item in value.items()], 20)
    return str(value)
