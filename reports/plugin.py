"""Decides which report formats are built in. Each is loaded only when a run asks for it."""

from __future__ import annotations

import importlib
from importlib import metadata
from typing import TYPE_CHECKING

from verifier.api import Ability, AnalysisFormat, ComparisonFormat, Renderer, State, hookimpl

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from verifier.api import AnalysisReport, Comparison, RunReport


def _from(module: str) -> Callable[[RunReport], str]:
    """Return the renderer of a module of this package, which is loaded only when it is asked for."""

    def render(report: RunReport) -> str:
        written: str = importlib.import_module(f"reports.{module}").render(report)
        return written

    return render


def _files_from(module: str) -> Callable[[RunReport], Mapping[str, str]]:
    def extras(report: RunReport) -> Mapping[str, str]:
        written: Mapping[str, str] = importlib.import_module(f"reports.{module}").extras(report)
        return written

    return extras


RENDERERS = (
    Renderer(
        name="md",
        filename="report.md",
        summary="for people: what blocks first, a page for each stage, plots beside them",
        render=_from("markdown"),
        extras=_files_from("markdown"),
    ),
    Renderer(name="json", filename="report.json", summary="the whole report, for tools", render=_from("json_report")),
    Renderer(
        name="json-lines",
        filename="report.jsonl",
        summary="one finding a line, the verdict last, for streams",
        render=_from("json_lines"),
    ),
    Renderer(name="concise", filename="report.txt", summary="one line a finding", render=_from("concise")),
    Renderer(
        name="agent",
        filename="agent.txt",
        summary="for coding agents: what to fix, file by file, in few words",
        render=_from("agent"),
    ),
    Renderer(
        name="sarif",
        filename="report.sarif",
        summary="SARIF 2.1.0 for code scanning, and beside it one for the archive",
        render=_from("sarif"),
        extras=_files_from("sarif"),
    ),
    Renderer(
        name="junit",
        filename="junit.xml",
        summary="gates and findings as test cases, for CI servers",
        render=_from("junit"),
    ),
    Renderer(
        name="github",
        filename="github.txt",
        summary="annotations for GitHub Actions, and the summary of the job",
        render=_from("github"),
        extras=_files_from("github"),
    ),
    Renderer(
        name="gitlab",
        filename="gl-code-quality-report.json",
        summary="for the Code Quality widget of GitLab",
        render=_from("gitlab"),
    ),
    Renderer(
        name="html",
        filename="report.html",
        summary="for people: one file for a browser, with filters, code and pictures, without a network",
        render=_from("html"),
    ),
    Renderer(
        name="intoto",
        filename="report.intoto.json",
        summary="an in-toto statement, to be signed",
        render=_from("intoto"),
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
