"""The options that several commands take, each said once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from verifier.model.isolation import DEFAULT_SANDBOX, LEVELS, SANDBOXES

# Written down, as `--help` must not load plugins; a test compares it with what they bring.
BUILT_IN_FORMATS = (
    *("md", "json", "json-lines", "concise", "agent", "sarif", "junit", "github", "gitlab", "html", "intoto"),
)
PATH = click.Path(path_type=Path)
CHECKED = click.Path(path_type=Path, readable=False)  # what cannot be read is a finding, beside those of the others


_RUNNING_CODE = (
    click.option(
        "--time-limit",
        type=click.FloatRange(min=0, min_open=True),
        metavar="S",
        help="Seconds for each stage that runs code.",
    ),
    click.option(
        "--memory-limit",
        type=click.FloatRange(min=0, min_open=True),
        metavar="GIB",
        help="Memory for each stage that runs code.",
    ),
    click.option(
        "--sandbox",
        default=DEFAULT_SANDBOX,
        metavar="NAME",
        help=f"How code is isolated: {', '.join(SANDBOXES)}. auto takes what this machine has.",
    ),
    click.option(
        "--require-isolation",
        metavar="LEVEL",
        help=f"Run code only where this much isolation holds: {', '.join(LEVELS)}, each with those before it.",
    ),
)

_DECIDING = (
    click.option("--strict", is_flag=True, help="A gate on which the figures decide neither way fails."),
    click.option(
        "--require-device",
        type=click.Choice(["cuda", "cpu"]),
        help="A gate that would be deferred for want of this device fails.",
    ),
)
_KEEPING = (
    click.option(
        "--save-baseline",
        is_flag=True,
        help="Keep the figures of this run in .verify-baselines, for later runs to be compared with.",
    ),
    click.option(
        "--save-baseline-anyway",
        "save_anyway",
        metavar="REASON",
        help="The same for a run that would be refused: one that blocks, or a machine that was too busy.",
    ),
)


def _with(options: tuple[Any, ...], function: Any) -> Any:
    for option in reversed(options):
        function = option(function)
    return function


def keeping(function: Any) -> Any:
    return _with(_KEEPING, function)


def common(function: Any) -> Any:
    """Add the options that every run takes."""
    options = (
        click.option(
            "--stage", "stage", multiple=True, metavar="NAME", help="Only this stage, by name or number (repeatable)."
        ),
        click.option(
            "--select",
            "select",
            multiple=True,
            metavar="CODES",
            help="Report only these rules: codes, names or families (repeatable or comma list).",
        ),
        click.option(
            "--ignore",
            "ignore",
            multiple=True,
            metavar="CODES",
            help="Do not report these rules; wins over --select. The report names what was left out.",
        ),
        click.option(
            "--format",
            "formats",
            multiple=True,
            metavar="NAMES",
            help=f"Report formats: {', '.join(BUILT_IN_FORMATS)} (repeatable or comma list), and those of plugins.",
        ),
        click.option("--output", metavar="DIR", help="Folder for the reports; - with one format prints it."),
        click.option("--config", "config_file", type=PATH, help="Configuration file; its folder is the root."),
        click.option("--python", "python", type=PATH, help="Interpreter of the verified project."),
        click.option("--jobs", type=click.IntRange(min=1), help="Processes at work at a time; 1: everything in turn."),
        click.option("--facts", is_flag=True, help="Keep every fact of a large tree in the JSON."),
        click.option("--no-cache", is_flag=True, help="Neither use nor keep what earlier runs have established."),
        *_RUNNING_CODE,
        *_DECIDING,
        click.option("-q", "--quiet", is_flag=True, help="No progress and no summary."),
        click.option("-v", "--verbose", is_flag=True, help="Say more while working."),
        click.option("--color", type=click.Choice(["auto", "always", "never"]), default="auto", show_default=True),
        click.option("--no-progress", is_flag=True, help="No progress on stderr."),
    )
    return _with(options, function)


def accepting(function: Any) -> Any:
    """Add the options that say which findings a project has accepted."""
    options = (
        click.option(
            "--baseline", "baseline", type=PATH, metavar="FILE", help="Findings that stand in FILE do not block."
        ),
        click.option(
            "--update-baseline",
            "update_baseline",
            metavar="REASON",
            help="Accept what is found now: add it to the file of --baseline, with this reason.",
        ),
    )
    return _with(options, function)


def sharing(function: Any) -> Any:
    """Add the options that say which part of the run is done, and where."""
    options = (
        click.option(
            "--shard", "shard", metavar="I/N", help="Only part I of N of the tasks; `verify merge` joins their reports."
        ),
        click.option(
            "--executor",
            "executor",
            default="local",
            show_default=True,
            metavar="local|ray[://HOST:PORT]",
            help="Where tasks are verified: here, or on the nodes of a Ray cluster.",
        ),
    )
    return _with(options, function)


def watching(function: Any) -> Any:
    option = click.option("--watch", is_flag=True, help="Run again whenever a file changes; only what is read. Ctrl-C.")
    return option(function)
