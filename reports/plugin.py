"""Decides which report formats are built in. Each is loaded only when a run asks for it."""

from __future__ import annotations

from importlib import metadata
from typing import TYPE_CHECKING

from verifier.api import Ability, AnalysisFormat, ComparisonFormat, Renderer, State, hookimpl

if TYPE_CHECKING:
    from collections.abc import Mapping

    from verifier.api import AnalysisReport, Comparison, RunReport


def _markdown(report: RunReport) -> str:
    from reports import markdown  # noqa: PLC0415 - only when it is asked for

    return markdown.render(report)


def _markdown_pages(report: RunReport) -> Mapping[str, str]:
    from reports import markdown  # noqa: PLC0415 - only when it is asked for

    return markdown.extras(report)


def _json(report: RunReport) -> str:
    from reports import json_report  # noqa: PLC0415 - only when it is asked for

    return json_report.render(report)


def _concise(report: RunReport) -> str:
    from reports import concise  # noqa: PLC0415 - only when it is asked for

    return concise.render(report)


def _intoto(report: RunReport) -> str:
    from reports import intoto  # noqa: PLC0415 - only when it is asked for

    return intoto.render(report)


RENDERERS = (
    Renderer(
        name="md",
        filename="report.md",
        summary="for people: what blocks first, a page for each stage, plots beside them",
        render=_markdown,
        extras=_markdown_pages,
    ),
    Renderer(name="json", filename="report.json", summary="the whole report, for tools", render=_json),
    Renderer(name="concise", filename="report.txt", summary="one line a finding", render=_concise),
    Renderer(
        name="intoto", filename="report.intoto.json", summary="an in-toto statement, to be signed", render=_intoto
    ),
)


def _analysis(report: AnalysisReport) -> str:
    from reports import analysis  # noqa: PLC0415 - only when it is asked for

    return analysis.markdown(report)


def _analysis_json(report: AnalysisReport) -> str:
    from reports import analysis_json  # noqa: PLC0415 - only when it is asked for

    return analysis_json.render(report)


@hookimpl
def verifier_analysis_formats() -> tuple[AnalysisFormat, ...]:
    return (
        AnalysisFormat(
            name="md", filename="analysis.md", summary="for people: eight sections a module", render=_analysis
        ),
        AnalysisFormat(name="json", filename="analysis.json", summary="the same, for tools", render=_analysis_json),
    )


def _comparison_text(comparison: Comparison) -> str:
    from reports import comparison as written  # noqa: PLC0415 - only when it is asked for

    return written.text(comparison)


def _comparison_markdown(comparison: Comparison) -> str:
    from reports import comparison as written  # noqa: PLC0415 - only when it is asked for

    return written.markdown(comparison)


def _comparison_json(comparison: Comparison) -> str:
    from reports import comparison_json as written  # noqa: PLC0415 - only when it is asked for

    return written.render(comparison)


@hookimpl
def verifier_comparison_formats() -> tuple[ComparisonFormat, ...]:
    return (
        ComparisonFormat(name="text", summary="for a terminal", render=_comparison_text),
        ComparisonFormat(name="md", summary="for a code host", render=_comparison_markdown),
        ComparisonFormat(name="json", summary="for tools", render=_comparison_json),
    )


@hookimpl
def verifier_machine() -> tuple[Ability, ...]:
    from reports import plots  # noqa: PLC0415 - only `verify doctor` asks

    if plots.available():
        version = metadata.version("matplotlib")
        return (Ability(name="matplotlib", state=State.WORKS, text=f"{version}: loss curves stand beside the report"),)
    text, remedy = "not installed: reports come without plots", "pip install 'verify-amp[plots]'"
    return (Ability(name="matplotlib", state=State.LIMITED, text=text, remedy=remedy),)


@hookimpl
def verifier_renderers() -> tuple[Renderer, ...]:
    return RENDERERS
