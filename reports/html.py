"""Decides what the HTML report is: one file that needs no network, which a browser may not make it ask for."""

from __future__ import annotations

import base64
import functools
import hashlib
from collections import Counter
from importlib import resources
from typing import TYPE_CHECKING

import jinja2
from markupsafe import Markup

from reports import html_text, plots
from reports.about import about
from reports.facts import rows
from reports.figures import duration
from reports.findings import ranked
from reports.html_view import finding_view
from reports.limitations import limitations, narrowed
from reports.rows import command, gates_of
from reports.summary import summary
from reports.timeline_plot import timeline_plots
from reports.troubles import unexplained
from verifier.api import Severity, inert

if TYPE_CHECKING:
    from verifier.api import RunReport

IN_FULL = 200  # findings with their code; of the others one line each, so that the page opens on a phone
OPEN = 5  # of these are unfolded at first
ROWS = 500


def render(report: RunReport) -> str:
    judged = ranked(report.stages)
    blocking = sum(item.reported.blocking for item in judged)
    counts = Counter(item.reported.finding.severity for item in judged)
    style, script = _asset("report.css"), _asset("report.js")
    text = (
        _environment()
        .get_template("report.html.j2")
        .render(
            report=report,
            passed=report.verdict.value == "PASS",
            summary=(*summary(report.stages, judged, len(report.suppressed), whole=True), *narrowed(report)),
            troubles=list(unexplained(report.stages)),
            findings=[finding_view(item, report.snippets) for item in judged[:IN_FULL]],
            others=judged[IN_FULL:],
            opened=min(OPEN, blocking),
            blocking=blocking,
            counts=[(level.name, counts[level]) for level in sorted(Severity, reverse=True) if counts[level]],
            gates=gates_of(report.stages),
            pictures=_pictures(report),
            limitations=limitations(report, report.stages, task=True),
            about=about(report),
            command=command(report.tool),
            rows=ROWS,
            style=Markup(style),
            script=Markup(script),
            policy=_policy(style, script),
        )
    )
    return inert(text.strip(), colon="&#58;") + "\n"


def _policy(style: str, script: str) -> str:
    """Return a policy under which only our own style and script have an effect, and nothing is ever loaded."""
    return (
        f"default-src 'none'; img-src data:; style-src {_digest(style)}; script-src {_digest(script)}; "
        "base-uri 'none'; form-action 'none'"
    )


def _digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode('ascii')}'"


def _pictures(report: RunReport) -> list[tuple[str, str]]:
    """Return name and address of every picture; the same ones that stand beside the Markdown report."""
    drawn = [(f"Steps of {name}", svg) for name, (_, svg) in timeline_plots(report).items()]
    if any(rows(stage.facts, "workloads") for stage in report.stages) and plots.available():
        drawn += [(f"Losses of {name}", svg) for name, (_, svg) in plots.loss_plots(report).items()]
    return [(name, html_text.image(svg)) for name, svg in drawn]


@functools.cache
def _asset(name: str) -> str:
    return resources.files("reports").joinpath("templates", name).read_text("utf-8").strip()


@functools.cache
def _environment() -> jinja2.Environment:
    made = jinja2.Environment(
        loader=jinja2.PackageLoader("reports"),
        undefined=jinja2.StrictUndefined,
        autoescape=True,
        finalize=_finalize,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "blocks": html_text.blocks,
        "code": html_text.code,
        "duration": duration,
        "tail": html_text.tail,
        "words": html_text.words,
    }
    return made


def _finalize(value: object) -> object:
    """Write text as one visible line, escaped; nothing else but numbers and what is HTML already comes through."""
    if isinstance(value, Markup | jinja2.Undefined):
        return value
    if isinstance(value, str):
        return html_text.plain(value)
    if isinstance(value, int):
        return Markup(f"{value:,}")
    raise TypeError(f"a template was about to print {value!r}")
